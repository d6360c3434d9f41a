import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from smart_filter_shared.errors import FolderUnreadable
from smart_filter_tests import drawn_eyes
from smart_filter_training.checks import Finding
from smart_filter_training.models.eyes import data
from smart_filter_training.models.eyes.augmentation import as_they_are, augment
from smart_filter_training.models.eyes.configuration import Configuration
from smart_filter_training.models.eyes.cuts import chosen
from smart_filter_workers.networks.eye_patches import SIZE_PX

HALF = Configuration(held_out_share=0.5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return drawn_eyes.folder(tmp_path / "eyes", 40)


def fatal(folder: Path) -> list[Finding]:
    return [finding for finding in data.findings(folder, HALF) if finding.fatal]


def test_eyes_of_one_person_are_of_one_group() -> None:
    persons = [
        ("cew_Al_Leiter_0001_L.jpg", "cew_Al_Leiter_0001_R.jpg"),
        ("cew_Al_Gore_0001_L.jpg",),
        ("cew_closed_eye_0014.jpg_face_2_L.jpg", "cew_closed_eye_0014.jpg_face_2_R.jpg"),
        ("ddd__131.jpg", "ddd__132.jpg"),
        ("ddd__141.jpg",),
    ]

    groups = [{data.group_of(f"open/{name}") for name in names} for names in persons]

    assert [len(group) for group in groups] == [1] * len(persons)
    assert len(set().union(*groups)) == len(persons)


def test_no_person_is_on_both_sides_of_the_split(folder: Path) -> None:
    read = data.read(folder, HALF)

    train, validation = (
        {data.group_of(name) for name in part.names} for part in (read.train, read.validation)
    )
    assert len(read.train.names) + len(read.validation.names) == 80
    assert not train & validation


def test_crops_are_open_or_closed_by_their_folder(folder: Path) -> None:
    every = data.read_all(folder)

    assert every.crops.shape == (80, data.SIDE_PX, data.SIDE_PX)
    assert [name.startswith("open/") for name in every.names] == every.is_open.tolist()


def test_one_source_alone_is_read_when_it_is_named(folder: Path) -> None:
    (folder / "open" / "drawn_open-0-0000_R.png").rename(folder / "open" / "other_1.png")

    assert len(data.read_all(folder, only="drawn").names) == 79
    with pytest.raises(FolderUnreadable, match="no files cew_"):
        data.read_all(folder, only="cew")


def test_folder_without_closed_eyes_is_found(folder: Path) -> None:
    assert fatal(folder) == []

    (folder / "closed").rename(folder / "shut")

    assert [Path(finding.where).name for finding in fatal(folder)] == ["closed"]


def a_crop(height: int, width: int) -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (height, width), dtype=np.uint8)
    return cv2.imencode(".png", noise)[1].tobytes()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"no picture", "no picture"),
        (a_crop(8, 8), "8×8 pixels"),
        (a_crop(20, 90), "90×20 pixels"),
        (None, "is no file"),
    ],
    ids=["damaged", "small", "narrow", "pipe"],
)
def test_broken_crop_is_named(folder: Path, content: bytes | None, what: str) -> None:
    crop = folder / "open" / "drawn_wrong.png"
    if content is None:
        os.mkfifo(crop)
    else:
        crop.write_bytes(content)

    [finding] = fatal(folder)

    assert (finding.where, what in finding.what) == ("open/drawn_wrong.png", True)
    assert finding.remedy


def test_name_that_is_no_utf8_is_printed_escaped(folder: Path) -> None:
    there = folder / "open" / "drawn_open-0-0003_L.png"
    there.rename(Path(os.fsdecode(os.fsencode(folder / "open") + b"/caf\xe9.png")))

    with pytest.raises(FolderUnreadable, match="no UTF-8"):
        data.read(folder, HALF)
    [finding] = fatal(folder)

    assert r"caf\xe9.png" in finding.what


def test_eyes_too_few_to_validate_on_are_found_before_a_run_refuses_them(tmp_path: Path) -> None:
    folder = drawn_eyes.folder(tmp_path / "few", 2)
    share = Configuration(held_out_share=0.001)

    with pytest.raises(FolderUnreadable, match="too few open or closed eyes"):
        data.read(folder, share)

    told = [one.what for one in data.findings(folder, share) if one.fatal]
    assert told == ["has too few open or closed eyes to train and to validate on"]


def test_crop_in_both_classes_is_named(folder: Path) -> None:
    same = (folder / "closed" / "drawn_closed-0-0000_R.png").read_bytes()
    (folder / "open" / "drawn_again_1_R.png").write_bytes(same)

    [finding] = fatal(folder)

    assert finding.where == "open/drawn_again_1_R.png"
    assert "closed/drawn_closed-0-0000_R.png" in finding.what


def test_crops_that_look_the_same_are_on_one_side(folder: Path) -> None:
    content = (folder / "open" / "drawn_open-0-0000_R.png").read_bytes()
    for number in range(1000, 1020):
        (folder / "open" / f"copy_{number}_R.png").write_bytes(content)

    read = data.read(folder, HALF)

    sides = [any("copy_" in name for name in part.names) for part in (read.train, read.validation)]
    assert sorted(sides) == [False, True]


def test_patches_depend_on_the_seed_alone() -> None:
    crops = np.random.default_rng(0).integers(0, 255, (6, 48, 48), dtype=np.uint8)

    (first,), (again,), (other,) = (augment(np.random.default_rng(k), crops) for k in (1, 1, 2))

    assert first.shape == (6, SIZE_PX, SIZE_PX, 1)
    assert (first == again).all()
    assert (first != other).any()
    assert 0 <= first.min() <= first.max() <= 1


def test_crop_as_it_is_is_the_whole_of_it_in_shades_of_grey() -> None:
    crop = np.repeat(np.linspace(0, 255, 48).astype(np.uint8)[np.newaxis], 48, axis=0)

    (patch,) = as_they_are(crop[np.newaxis])

    assert patch.shape == (SIZE_PX, SIZE_PX, 1)
    assert np.allclose(patch[0, :, 0], np.linspace(0, 1, SIZE_PX), atol=0.02)


def test_cuts_lie_between_open_and_closed_eyes() -> None:
    said = np.array([0.01, 0.05, 0.1, 0.7, 0.9, 0.97], np.float32)
    is_open = said > 0.5

    cuts = chosen(said, is_open)

    assert 0.1 < cuts.open_above < 0.7
    assert cuts.shut_below <= cuts.open_above


def test_open_eye_that_looks_shut_is_unknown_rather_than_shut() -> None:
    closed, opened = np.linspace(0, 0.3, 300), np.linspace(0.6, 1, 300)
    said = np.concatenate([closed, opened, [0.1, 0.1, 0.1, 0.1]]).astype(np.float32)
    is_open = np.arange(len(said)) >= 300

    cuts = chosen(said, is_open)

    assert cuts.shut_below == pytest.approx(0.1)
    assert cuts.open_above > 0.3
