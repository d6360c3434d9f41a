from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from smart_filter_shared.errors import FolderUnreadable
from smart_filter_training.models.orientation import data
from smart_filter_training.models.orientation.augmentation import as_they_are, augment
from smart_filter_training.models.orientation.configuration import Configuration
from smart_filter_training.models.orientation.cut import sure_above
from smart_filter_workers.networks.scenes import SIZE_PX

HALF = Configuration(held_out_share=0.5, crops=2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return scenes(tmp_path / "photos", 24)


def scenes(place: Path, count: int) -> Path:
    """Write so many scenes that stand upright."""
    place.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        cv2.imwrite(str(place / f"scene{number:04d}.png"), a_scene(rng))
    return place


def a_scene(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a scene, (120, 160, 3) uint8: a light sky, dark ground, and trees on it."""
    picture = np.empty((120, 160, 3), np.float32)
    horizon = int(rng.integers(45, 75))
    picture[:horizon] = rng.uniform(170, 240, 3)
    picture[horizon:] = rng.uniform(40, 110, 3)
    for _ in range(4):
        x, y = int(rng.integers(0, 160)), int(rng.integers(horizon, 115))
        cv2.rectangle(picture, (x - 2, y - 30), (x + 2, y), (30.0, 60.0, 90.0), -1)
        cv2.circle(picture, (x, y - 32), 11, (30.0, float(rng.uniform(90, 150)), 40.0), -1)
    return np.clip(picture + rng.normal(0, 6, picture.shape), 0, 255).astype(np.uint8)


def test_all_crops_of_a_photo_are_on_one_side(folder: Path) -> None:
    read = data.read(folder, HALF)

    assert len(read.train.names) + len(read.validation.names) == 48
    assert not set(read.train.names) & set(read.validation.names)
    assert data.read(folder, HALF).digest == read.digest


def test_folders_of_images_are_read_without_their_masks(folder: Path) -> None:
    photos = sorted(folder.glob("*.png"))
    for photo, place in zip(photos, ("images", "masks"), strict=False):
        (folder / "portrait" / place).mkdir(parents=True)
        photo.rename(folder / "portrait" / place / "a.png")

    assert [path.parent.name for path in data.paths(folder)] == ["images"]


def test_crop_that_touches_a_head_is_not_clear_of_it() -> None:
    face = (100.0, 100.0, 200.0, 200.0)

    assert not data.clear_of((150, 210, 300, 300), [face])
    assert data.clear_of((0, 240, 300, 300), [face])
    assert data.clear_of((0, 0, 300, 300), [])


def test_damaged_photo_is_named(folder: Path) -> None:
    assert not list(data.findings(folder, HALF))

    (folder / "scene0003.png").write_bytes(b"no picture")

    assert [finding.where for finding in data.findings(folder, HALF)] == ["scene0003.png"]


def test_few_photos_are_found(tmp_path: Path) -> None:
    [finding] = data.findings(scenes(tmp_path / "few", 5), HALF)

    assert "has 5 of photos" in finding.what


def test_photo_on_both_sides_is_found(folder: Path) -> None:
    content = (folder / "scene0000.png").read_bytes()
    for number in range(12):
        (folder / f"again{number}.png").write_bytes(content)

    found = list(data.findings(folder, HALF))

    assert found
    assert all(finding.fatal and "other side" in finding.what for finding in found)


def test_photos_on_one_side_alone_are_found_before_a_run_refuses_them(folder: Path) -> None:
    share = Configuration(held_out_share=0.00001, crops=2)

    with pytest.raises(FolderUnreadable, match="too few photos"):
        data.read(folder, share)

    [finding] = data.findings(folder, share)
    assert (finding.fatal, "too few photos" in finding.what) == (True, True)


def test_photos_too_small_for_crops_are_refused(tmp_path: Path) -> None:
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((20, 20, 3), np.uint8))

    with pytest.raises(FolderUnreadable, match="no photo with room"):
        data.read(tmp_path, HALF)


def test_scenes_are_the_same_for_a_seed_and_stay_upright() -> None:
    crops = np.zeros((4, data.SIDE_PX, data.SIDE_PX, 3), np.uint8)
    crops[:, : data.SIDE_PX // 2] = 220

    (first,), (again,) = (augment(np.random.default_rng(5), crops) for _ in range(2))

    assert first.shape == (4, SIZE_PX, SIZE_PX, 3)
    assert (first == again).all()
    assert (first[:, :8].mean(axis=(1, 2, 3)) > first[:, -8:].mean(axis=(1, 2, 3)) + 80).all()


def test_scene_without_augmentation_is_only_resized() -> None:
    flat = np.full((1, data.SIDE_PX, data.SIDE_PX, 3), 77, np.uint8)

    assert (as_they_are(flat) == 77).all()


def test_cut_lets_hardly_any_upright_scene_be_turned() -> None:
    rng = np.random.default_rng(0)
    shares = rng.dirichlet([3, 1, 1, 1], 4000).astype(np.float32)
    never_wrong = np.tile(np.array([[0.7, 0.1, 0.1, 0.1]], np.float32), (50, 1))

    cut = sure_above(shares)

    harmed = (shares.argmax(axis=1) != 0) & (shares.max(axis=1) >= cut)
    assert 0 < harmed.mean() <= 0.005
    assert sure_above(never_wrong) <= 0.7
