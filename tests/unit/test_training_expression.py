import csv
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from smart_filter_shared.errors import FolderUnreadable, SetupFailed
from smart_filter_tests import drawn_faces
from smart_filter_training import recipes
from smart_filter_training.checks import Finding
from smart_filter_training.models.expression import data, operating_point, votes
from smart_filter_training.models.expression.augmentation import augment
from smart_filter_training.models.expression.configuration import Configuration

CONFIGURATION = Configuration(held_out_share=0.3)


def test_votes_become_levels_by_either_rule() -> None:
    counts = np.zeros((1, 10), np.int64)
    counts[0, [votes.COLUMNS.index("happiness"), votes.COLUMNS.index("surprise")]] = 3, 5

    by_rule = {rule: int(votes.levels(votes.smiling(counts, rule))[0]) for rule in votes.RULES}

    assert by_rule == {"happiness": 0, "happiness+surprise": 2}


def test_levels_have_the_bins_of_the_rule() -> None:
    smiles = np.array([0, 3, 4, 6, 7, 8, 9, 10])

    assert votes.levels(smiles).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_shares_of_emotions_leave_out_votes_for_none() -> None:
    counts = np.zeros((2, 10), np.int64)
    counts[0, [0, 1, 8]] = 3, 1, 6
    counts[1, 8] = 10

    shares = votes.emotions(counts)

    assert shares[0, :2].tolist() == [0.75, 0.25]
    assert (shares[1] == 1 / 8).all()


def test_every_face_is_in_one_split(tmp_path: Path) -> None:
    read = data.read(drawn_faces.folder(tmp_path, 60), CONFIGURATION)

    assert not set(read.train.names) & set(read.validation.names)
    assert len(read.train.names) + len(read.validation.names) == 60


def test_crops_that_look_the_same_are_on_one_side(tmp_path: Path) -> None:
    folder = drawn_faces.folder(tmp_path, 60)
    images = _images(folder)
    images[30:] = images[:30]
    np.savez(folder / "drawn.npz", images=images)

    read = data.read(folder, CONFIGURATION)

    trained = {crop.tobytes() for crop in read.train.crops}
    assert not any(crop.tobytes() in trained for crop in read.validation.crops)


def test_faces_without_a_vote_are_left_out(tmp_path: Path) -> None:
    folder = drawn_faces.folder(tmp_path, 20)
    _change(folder, 4, happiness="0", sadness="0", NF="10")

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


@pytest.mark.parametrize("votes_of_one", ["11", "-1", "many", "9" * 23, "9" * 5000, ""])
def test_malformed_votes_are_found_unless_empty(tmp_path: Path, votes_of_one: str) -> None:
    folder = drawn_faces.folder(tmp_path, 20)
    _change(folder, 0, happiness=votes_of_one, sadness="0")

    assert bool(_fatal(folder)) == (votes_of_one != "")


def test_every_row_with_malformed_votes_is_found_by_name(tmp_path: Path) -> None:
    folder = drawn_faces.folder(tmp_path, 60)
    for number in (3, 7):
        _change(folder, number, anger="many")

    found = _fatal(folder)

    assert [one.where for one in found] == ["drawn00003.png", "drawn00007.png"]
    assert all("'many' votes for anger" in one.what for one in found)
    with pytest.raises(FolderUnreadable, match=r"drawn00003\.png has 'many' votes"):
        data.read(folder, CONFIGURATION)


def test_folder_is_named_once(tmp_path: Path) -> None:
    [finding] = data.findings(tmp_path, CONFIGURATION)

    assert finding.where == str(tmp_path)
    assert str(tmp_path) not in finding.what


def test_labels_that_a_spreadsheet_saved_are_read(tmp_path: Path) -> None:
    folder = drawn_faces.folder(tmp_path, 60)
    labels = folder / "drawn_labels.csv"
    labels.write_bytes(b"\xef\xbb\xbf" + labels.read_bytes())

    assert len(data.read_all(folder).names) == 60


def test_faces_too_few_to_validate_on_are_found_before_a_run_refuses_them(tmp_path: Path) -> None:
    folder = drawn_faces.folder(tmp_path, 60)
    share = Configuration(held_out_share=0.00001)

    with pytest.raises(FolderUnreadable, match="too few faces"):
        data.read(folder, share)
    assert any("too few faces" in one.what for one in _fatal(folder, share))


@pytest.mark.parametrize("pixels", ["", "1 2 3", "9" * 23, None])
def test_rows_of_fer2013_without_levels_are_one_line(tmp_path: Path, pixels: str | None) -> None:
    row = ["0"] if pixels is None else ["0", pixels]
    _csv(tmp_path / data.PIXELS, ["emotion", "pixels"], [row])
    _csv(tmp_path / data.VOTES, ["Usage", "Image name", *votes.COLUMNS],
         [["Training", "fer0.png", "10", *["0"] * 9]])  # fmt: skip

    with pytest.raises(FolderUnreadable, match="must have the same rows"):
        data.read_all(tmp_path)


FACES = np.zeros((20, 48, 48), np.uint8)
HARMS = {
    "empty": lambda _: b"",
    "cut in half": lambda whole: whole[: len(whole) // 2],
    "flipped bit": lambda whole: whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:],
    "one array": lambda _: _npy(FACES),
    "pixels short": lambda _: _npz(_npy(FACES)[:-1]),
    "pixels over": lambda _: _npz(_npy(FACES) + b"0"),
    "numbers of another kind": lambda _: _npz(_npy(FACES.astype(float))),
    "huge header": lambda _: _npz(_header((10**12, 48, 48))),
    "header alone": lambda _: _npz(_header((20, 48, 48))),
    "unknown version": lambda _: _npz(b"\x93NUMPY\x09\x00 what is this"),
    "another name": lambda _: _npz(b"", name="pictures.npy"),
}


@pytest.mark.parametrize("harm", HARMS)
def test_broken_archive_is_one_line(tmp_path: Path, harm: str) -> None:
    folder = drawn_faces.folder(tmp_path, 20)
    archive = folder / "drawn.npz"
    archive.write_bytes(HARMS[harm](archive.read_bytes()))

    [finding] = data.findings(folder, CONFIGURATION)

    assert finding.fatal
    assert "drawn.npz" in finding.what
    assert "\n" not in finding.what


@pytest.mark.parametrize("order", ["C", "F"])
def test_archive_is_read_in_either_order(tmp_path: Path, order: Literal["C", "F"]) -> None:
    folder = drawn_faces.folder(tmp_path, 20)
    images = _images(folder)
    np.savez_compressed(folder / "drawn.npz", images=np.asarray(images, order=order))

    assert (data.read_all(folder).crops == images).all()


def test_folder_with_one_level_only_is_refused(tmp_path: Path) -> None:
    folder = drawn_faces.folder(tmp_path, 20)
    for number in range(20):
        _change(folder, number, happiness="0", sadness="10")

    assert ["needs 2" in one.what for one in data.findings(folder, CONFIGURATION)] == [True] * 3


def test_sheet_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    folder = drawn_faces.folder(tmp_path, 20)
    (folder / "drawn.npz").unlink()
    (folder / "drawn.png").write_bytes(b"no picture")

    with pytest.raises(FolderUnreadable, match=r"drawn\.png"):
        data.read_all(folder)


def test_augmented_crops_depend_on_the_seed_alone() -> None:
    crops = np.stack([drawn_faces.crop(np.random.default_rng(one), happy=True) for one in range(8)])

    (first,), (again,), (other,) = (augment(np.random.default_rng(s), crops) for s in (1, 1, 2))

    assert (first.shape, first.dtype) == ((8, 48, 48, 1), np.float32)
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


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("epoch=3", "epochs"),
        ("epochs=few", "number"),
        ("epochs", "name=value"),
        ("epochs=0", "above 0"),
        ("learning_rate=nan", "above 0"),
        ("dropout=1", "below 1"),
        ("seed=99999999999999", "below"),
    ],
)
def test_wrong_setting_is_named_among_right_ones(setting: str, words: str) -> None:
    recipe, right = recipes.find_one("expression"), "half_precision=false"

    assert recipe.configuration([right]).half_precision is False
    with pytest.raises(SetupFailed, match=words):
        recipe.configuration([right, setting])


def _npy(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def _header(shape: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    told = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, told)
    return file.getvalue()


def _npz(member: bytes, name: str = "images.npy") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, member)
    return file.getvalue()


def _images(folder: Path) -> np.ndarray:
    with np.load(folder / "drawn.npz") as archive:
        return archive["images"]


def _change(folder: Path, number: int, **values: str) -> None:
    """Change a row of the labels."""
    labels = folder / "drawn_labels.csv"
    with labels.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    rows[number] |= values
    _csv(labels, list(rows[0]), [list(row.values()) for row in rows])


def _fatal(folder: Path, configuration: Configuration = CONFIGURATION) -> list[Finding]:
    return [one for one in data.findings(folder, configuration) if one.fatal]


def _csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
