import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from smart_filter_shared.errors import FolderUnreadable, SetupFailed
from smart_filter_tests import drawn_faces
from smart_filter_training import recipes
from smart_filter_training.models.expression import data, operating_point, votes
from smart_filter_training.models.expression.augmentation import augment
from smart_filter_training.models.expression.configuration import Configuration

CONFIGURATION = Configuration(held_out_share=0.3)


def test_votes_become_levels_by_either_rule() -> None:
    counts = np.zeros((1, 10), np.int64)
    counts[0, [votes.COLUMNS.index("happiness"), votes.COLUMNS.index("surprise")]] = 3, 5

    by_rule = {rule: int(votes.levels(votes.smiling(counts, rule))[0]) for rule in votes.RULES}

    assert by_rule == {"happiness": 0, "happiness+surprise": 2}


@pytest.mark.parametrize(
    ("smiles", "level"), [(0, 0), (3, 0), (4, 1), (6, 1), (7, 2), (8, 2), (9, 3), (10, 3)]
)
def test_levels_have_the_bins_of_the_rule(smiles: int, level: int) -> None:
    assert votes.levels(np.array([smiles])) == [level]


def test_shares_of_emotions_leave_out_who_saw_none() -> None:
    counts = np.zeros((2, 10), np.int64)
    counts[0, [0, 1, 8]] = 3, 1, 6
    counts[1, 8] = 10

    shares = votes.emotions(counts)

    assert shares[0, :2].tolist() == [0.75, 0.25]
    assert (shares[1] == 1 / 8).all()


def test_both_splits_are_drawn_by_name_and_share_no_crop(tmp_path: Path) -> None:
    folder = drawn_faces.folder(tmp_path, 60)

    read = data.read(folder, CONFIGURATION)

    assert not set(read.train.names) & set(read.validation.names)
    assert len(read.train.names) + len(read.validation.names) == 60


def test_crops_that_look_the_same_are_on_one_side(tmp_path: Path) -> None:
    folder = drawn_faces.folder(tmp_path, 60)
    with np.load(folder / "drawn.npz") as archive:
        images = archive["images"]
    images[30:] = images[:30]
    np.savez(folder / "drawn.npz", images=images)

    read = data.read(folder, CONFIGURATION)

    trained = {crop.tobytes() for crop in read.train.crops}
    assert not any(crop.tobytes() in trained for crop in read.validation.crops)


def test_faces_that_nobody_saw_are_left_out(tmp_path: Path) -> None:
    folder = drawn_faces.folder(tmp_path, 20)
    rows = _rows(folder)
    rows[4] |= {"happiness": "0", "sadness": "0", "NF": "10"}
    _write(folder, rows)

    read = data.read(folder, CONFIGURATION)

    assert "drawn00004.png" not in {*read.train.names, *read.validation.names}


def test_fer2013_and_its_votes_are_read_as_they_are_published(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    usages = ["Training"] * 8 + ["PublicTest"] * 2
    pixels = [" ".join(map(str, rng.integers(0, 256, 48 * 48))) for _ in usages]
    _csv(tmp_path / data.PIXELS, ["emotion", "pixels", "Usage"],
         [["0", row, usage] for row, usage in zip(pixels, usages, strict=True)])  # fmt: skip
    named = [
        [usage, f"fer{number}.png", "5", "5", *["0"] * 8] for number, usage in enumerate(usages)
    ]
    named[3][1] = ""
    _csv(tmp_path / data.VOTES, ["Usage", "Image name", *votes.COLUMNS], named)

    crops = data.read_all(tmp_path)

    assert crops.names == tuple(f"fer{number}.png" for number in (0, 1, 2, 4, 5, 6, 7))
    assert crops.crops[0].ravel().tolist() == [int(level) for level in pixels[0].split()]


@pytest.mark.parametrize("votes_of_one", ["11", "-1", "many", ""])
def test_votes_that_are_none_are_told(tmp_path: Path, votes_of_one: str) -> None:
    folder = drawn_faces.folder(tmp_path, 20)
    rows = _rows(folder)
    rows[0] |= {"happiness": votes_of_one, "sadness": "0"}
    _write(folder, rows)

    found = [one for one in data.findings(folder, CONFIGURATION) if one.fatal]

    assert bool(found) == (votes_of_one != "")


def test_a_folder_with_one_level_only_is_refused(tmp_path: Path) -> None:
    folder = drawn_faces.folder(tmp_path, 20)
    _write(folder, [row | {"happiness": "0", "sadness": "10"} for row in _rows(folder)])

    found = list(data.findings(folder, CONFIGURATION))

    assert len(found) == 3
    assert all("needs 2" in one.what for one in found)


def test_a_sheet_of_another_size_than_its_labels_is_refused(tmp_path: Path) -> None:
    folder = drawn_faces.folder(tmp_path, 20)
    (folder / "drawn.npz").unlink()
    (folder / "drawn.png").write_bytes(b"no picture")

    with pytest.raises(FolderUnreadable, match=r"drawn\.png"):
        data.read_all(folder)


def test_augmented_crops_are_the_same_for_a_seed_and_others_for_another() -> None:
    crops = np.stack([drawn_faces.crop(np.random.default_rng(one), happy=True) for one in range(8)])

    (first,), (again,), (other,) = (augment(np.random.default_rng(s), crops) for s in (1, 1, 2))

    assert first.shape == (8, 48, 48, 1)
    assert first.dtype == np.float32
    assert 0 <= first.min() <= first.max() <= 255
    assert (first == again).all()
    assert (first != other).any()


def test_cuts_part_levels_that_scores_part() -> None:
    truth = np.repeat([0, 1, 2, 3], 25)
    rng = np.random.default_rng(0)
    scores = (truth / 4 + rng.uniform(0, 0.2, truth.size)).astype(np.float32)

    cuts = operating_point.chosen(scores, truth)

    # The candidates are quantiles: a few scores may lie beside one.
    assert (np.digitize(scores, cuts) == truth).mean() > 0.95


def test_rare_levels_are_said_though_accuracy_alone_would_not() -> None:
    # Of 1,000 faces 30 are mild, and as many that are not have their score.
    truth = np.array([0] * 970 + [1] * 30)
    scores = np.concatenate([np.full(935, 0.1), np.full(35, 0.5), np.full(30, 0.5)])

    mild, *_ = operating_point.chosen(scores.astype(np.float32), truth)

    assert mild == 0.5


def test_settings_that_do_not_exist_or_fit_are_named() -> None:
    recipe = recipes.find_one("expression")

    assert recipe.configuration(["epochs=3", "half_precision=false"]).epochs == 3
    for setting, told in (
        ("epoch=3", "epochs"),
        ("epochs=few", "number"),
        ("epochs", "name=value"),
    ):
        with pytest.raises(SetupFailed, match=told):
            recipe.configuration([setting])


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "drawn_labels.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _write(folder: Path, rows: Sequence[dict[str, str]]) -> None:
    _csv(folder / "drawn_labels.csv", list(rows[0]), [list(row.values()) for row in rows])


def _csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
