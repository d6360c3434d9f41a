"""Read crops of faces with the votes of ten raters, and compute emotions and smile levels.

Two layouts: a folder with `X_labels.csv` and `X.png` or `X.npz`, as `smart-filter eval smile` reads
it, and one with `fer2013.csv` and `fer2013new.csv`, as FER2013 and FERPlus are published.
"""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.catalog.emotions import EMOTIONS
from smart_filter_shared.errors import FolderUnreadable
from smart_filter_training import examples, preflight
from smart_filter_training.evaluation import dataset_files
from smart_filter_training.examples import Data, Examples
from smart_filter_training.preflight import Finding
from smart_filter_workers.results import Bools, Bytes, Floats

Counts = NDArray[np.int64]

# Ten people voted on each picture; the columns of `fer2013new.csv` after the emotions.
# Source: Barsoum et al. 2016, "Training deep networks for facial expression recognition with
# crowd-sourced label distribution".
RATERS: Final = 10
OTHERS: Final = ("unknown", "NF")
COLUMNS: Final = (*EMOTIONS, *OTHERS)
# The votes that count as a smile, by label rule.
RULES: Final[Mapping[str, tuple[str, ...]]] = {
    "happiness": ("happiness",),
    "happiness+surprise": ("happiness", "surprise"),
}
# The least number of votes of mild, moderate and huge: bins [-1, 3, 6, 8, 10].
MIN_VOTES: Final = (4, 7, 9)
LEVELS: Final = 4

PIXELS, VOTES = "fer2013.csv", "fer2013new.csv"
_SIDE_PX: Final = dataset_files.CROP_PX
# A crop with a lower deviation of its levels shows no face; some of FER2013 have one color.
_MIN_DEVIATION: Final = 2.0
# From this number of votes on, half of the raters saw no face.
_NO_FACE_FROM: Final = 5
_MAX_SHOWN: Final = 20
_TOO_FEW: Final = "has too few faces to train and to validate on"

_Rows = list[dict[str, str]]


def read_votes(folder: Path, *, held_out_share: float) -> Data:
    """Read a folder, without crops in which most raters saw no face or no emotion.

    Crops are (N, 48, 48) uint8 gray; labels are votes, (N, 10) int64 of COLUMNS.  The name of a
    crop decides its side of the split; crops that look the same are on one side.
    Raises FolderUnreadable.
    """
    every = read_crops(folder)
    train, validation = _split(every.where(_is_usable(every)), held_out_share)
    if not train.names or not validation.names:
        raise FolderUnreadable(f"{folder} {_TOO_FEW}")
    digest = preflight.compute_digest([every.pictures.tobytes(), every.labels.tobytes()])
    return Data(train, validation, digest)


def read_crops(folder: Path) -> Examples:
    """Read all crops of a folder of either layout.  Raises FolderUnreadable."""
    crops, rows = _read_layout(folder)
    for number, row in enumerate(rows, start=1):
        problem = _find_problem(row)
        if problem:
            raise FolderUnreadable(f"{folder}: {_row_name(row, number)} {problem}")
    return _to_examples(crops, rows)


def check_data(folder: Path, *, held_out_share: float) -> Iterator[Finding]:
    """Find the problems of a folder."""
    try:
        crops, rows = _read_layout(folder)
    except FolderUnreadable as error:
        remedy = "docs/training.md shows both layouts"
        yield preflight.describe_unreadable(str(folder), folder, error, remedy)
        return
    problems = [_find_problem(row) for row in rows]
    for number, (row, problem) in enumerate(zip(rows, problems, strict=True), start=1):
        if problem:
            yield Finding(_row_name(row, number), problem, "correct its votes, or remove it")
    is_sound = np.array([not problem for problem in problems], np.bool_)
    sound_rows = [row for row, is_in in zip(rows, is_sound, strict=True) if is_in]
    every = _to_examples(crops[is_sound], sound_rows)
    deviations = every.pictures.std(axis=(1, 2))
    for name, deviation in zip(every.names, deviations, strict=True):
        if deviation < _MIN_DEVIATION:
            yield Finding(name, "has one color", "nothing: it is left out", fatal=False)
    usable = every.where(_is_usable(every))
    by_crop = levels(count_smiles(usable.labels, "happiness"))
    counts = {f"level {level}": int((by_crop == level).sum()) for level in range(LEVELS)}
    yield from preflight.check_class_sizes(counts, where=str(folder), least=2)
    if not all(part.names for part in _split(usable, held_out_share)):
        yield Finding(str(folder), _TOO_FEW, "add faces")


def to_emotions(votes: Counts) -> Floats:
    """Return the share of raters for each emotion, (N, 8) float32 that sum to 1.

    votes: (N, 10) of COLUMNS.  Votes for no emotion do not count; without votes for any emotion,
    all are equally likely.
    """
    counts = votes[:, : len(EMOTIONS)].astype(np.float32)
    total = counts.sum(axis=1, keepdims=True)
    return np.where(total > 0, counts / np.maximum(total, 1), 1 / len(EMOTIONS)).astype(np.float32)


def count_smiles(votes: Counts, rule: str) -> Counts:
    """Return how many of ten raters saw a smile, (N,) 0..10, by one of RULES."""
    counts = votes[:, [COLUMNS.index(name) for name in RULES[rule]]].sum(axis=1)
    return np.asarray(np.minimum(counts, RATERS), dtype=np.int64)


def levels(smiles: Counts) -> Counts:
    """Return the levels, 0 none to 3 huge, of numbers of votes."""
    return np.asarray(np.digitize(smiles, MIN_VOTES), dtype=np.int64)


def _split(usable: Examples, held_out_share: float) -> tuple[Examples, Examples]:
    groups = examples.group_look_alikes(usable.names, usable.pictures)
    return examples.split(usable, groups, share=held_out_share)


def _is_usable(every: Examples) -> Bools:
    shows_face = every.labels[:, COLUMNS.index("NF")] < _NO_FACE_FROM
    has_emotion = every.labels[:, : len(EMOTIONS)].sum(axis=1) > 0
    has_contrast = every.pictures.std(axis=(1, 2)) >= _MIN_DEVIATION
    return np.asarray(shows_face & has_emotion & has_contrast)


def _read_layout(folder: Path) -> tuple[Bytes, _Rows]:
    """Read the crops of a folder of either layout, and the row of labels of each."""
    return (
        _read_fer2013(folder) if (folder / PIXELS).is_file() else dataset_files.read_crops(folder)
    )


def _to_examples(crops: Bytes, rows: _Rows) -> Examples:
    """Return crops with the votes of sound rows."""
    counts = [[int(row[column] or 0) for column in COLUMNS] for row in rows]
    votes = np.array(counts, dtype=np.int64).reshape(-1, len(COLUMNS))
    return Examples(tuple(row["Image name"] for row in rows), crops, votes)


def _find_problem(row: dict[str, str]) -> str:
    """Return the problem of the votes of a row, or ""."""
    for column in COLUMNS:
        text = row.get(column)
        if text is None:
            return f"has no votes in a column {column}"
        try:
            count = int(text or 0)
        except ValueError:
            count = -1
        if not 0 <= count <= RATERS:
            shown = text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
            return f"has {shown!r} votes for {column}, expected a whole number from 0 to {RATERS}"
    return ""


def _row_name(row: dict[str, str], number: int) -> str:
    return row["Image name"] or f"row {number}"


def _read_fer2013(folder: Path) -> tuple[Bytes, _Rows]:
    """Read the training part of the two published files, whose rows correspond."""
    rows = dataset_files.read_table(folder / VOTES, ["Usage", "Image name", *COLUMNS])
    used, crops = [], []
    try:
        # Spreadsheets write a byte-order mark at the beginning of a file.
        with (folder / PIXELS).open(encoding="utf-8-sig", newline="") as file:
            for row, pixels in zip(rows, csv.DictReader(file), strict=True):
                # FERPlus has no name in rows that it removed; the other usages are for tests.
                if row["Usage"] != "Training" or not row["Image name"]:
                    continue
                used.append(row)
                crops.append(_parse_crop(pixels.get("pixels") or ""))
    except (OSError, UnicodeDecodeError, csv.Error, ValueError, OverflowError) as error:
        raise FolderUnreadable(
            f"{folder / PIXELS} and {VOTES} must have the same rows, each of {_SIDE_PX}×{_SIDE_PX}"
            f" levels in the column pixels: {error}"
        ) from error
    if not crops:
        raise FolderUnreadable(f"{folder / VOTES} has no rows of the usage Training")
    return np.stack(crops), used


def _parse_crop(pixels: str) -> Bytes:
    levels = np.array(pixels.split(), dtype=np.int64)
    if levels.size != _SIDE_PX**2:
        raise ValueError(f"a row has {levels.size} levels")
    if levels.min() < 0 or levels.max() > 255:  # noqa: PLR2004 - the levels of a byte
        raise ValueError("levels lie between 0 and 255")
    return levels.reshape(_SIDE_PX, _SIDE_PX).astype(np.uint8)
