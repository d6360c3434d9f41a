"""Reads crops of faces and the votes of ten raters on each.

Two layouts: a folder with `X_labels.csv` beside `X.png` or `X.npz`, as `smart-filter eval
smile` reads it, and one with `fer2013.csv` and `fer2013new.csv`, as FER2013 and FERPlus come.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.emotions import EMOTIONS
from smart_filter_shared.errors import FolderUnreadable
from smart_filter_training import checks
from smart_filter_training.checks import Finding
from smart_filter_training.models.expression import votes
from smart_filter_training.models.expression.configuration import Configuration
from smart_filter_training.splits import held_out
from smart_filter_workers.evaluation import folders

Bytes = NDArray[np.uint8]
Counts = NDArray[np.int64]
Mask = NDArray[np.bool_]

PIXELS, VOTES = "fer2013.csv", "fer2013new.csv"
_SIDE_PX: Final = folders.CROP_PX
# A crop whose levels hardly differ shows no face; FER2013 has a few of one colour.
_LEAST_SPREAD: Final = 2.0
# Half of the raters saw no face.
_NO_FACE_FROM: Final = 5
_LONGEST_SHOWN: Final = 20
_TOO_FEW: Final = "has too few faces to train and to validate on"

_Rows = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Crops:
    """Crops and votes: crops (N, 48, 48) uint8 grey, votes (N, 10) int64 of votes.COLUMNS."""

    names: tuple[str, ...]
    crops: Bytes
    votes: Counts

    def where(self, chosen: Mask) -> "Crops":
        """Return some of them, chosen by (N,) bool."""
        names = tuple(name for name, is_in in zip(self.names, chosen, strict=True) if is_in)
        return Crops(names, self.crops[chosen], self.votes[chosen])


@dataclass(frozen=True, slots=True)
class Data:
    """Crops to train on, and others to choose by.  digest: SHA-256 of all that was read."""

    train: Crops
    validation: Crops
    digest: str


def read(folder: Path, configuration: Configuration) -> Data:
    """Read a folder; crops in which most raters saw no face or no emotion are left out.

    Which crops validate is drawn by their names; those that look the same are on one side.
    Raises FolderUnreadable.
    """
    every = read_all(folder)
    seen = every.where(_is_seen(every))
    validates = held_out(_alike(seen), share=configuration.held_out_share)
    data = Data(
        train=seen.where(~validates),
        validation=seen.where(validates),
        digest=checks.digest([every.crops.tobytes(), every.votes.tobytes()]),
    )
    if not data.train.names or not data.validation.names:
        raise FolderUnreadable(f"{folder} {_TOO_FEW}")
    return data


def read_all(folder: Path) -> Crops:
    """Read all crops of a folder of either layout.  Raises FolderUnreadable."""
    crops, rows = _either(folder)
    for number, row in enumerate(rows, start=1):
        fault = _fault(row)
        if fault:
            raise FolderUnreadable(f"{folder}: {_called(row, number)} {fault}")
    return _of(crops, rows)


def findings(folder: Path, configuration: Configuration) -> Iterator[Finding]:
    """Find what is wrong with a folder."""
    try:
        crops, rows = _either(folder)
    except FolderUnreadable as error:
        yield checks.unreadable(str(folder), folder, error, "docs/training.md shows both layouts")
        return
    faults = [_fault(row) for row in rows]
    for number, (row, fault) in enumerate(zip(rows, faults, strict=True), start=1):
        if fault:
            yield Finding(_called(row, number), fault, "correct its votes, or remove it")
    sound = np.array([not fault for fault in faults], np.bool_)
    every = _of(crops[sound], [row for row, is_in in zip(rows, sound, strict=True) if is_in])
    spreads = every.crops.std(axis=(1, 2))
    for name, spread in zip(every.names, spreads, strict=True):
        if spread < _LEAST_SPREAD:
            yield Finding(name, "is of one colour", "nothing: it is left out", fatal=False)
    seen = every.where(_is_seen(every))
    levels = votes.levels(votes.smiling(seen.votes, "happiness"))
    counts = {f"level {level}": int((levels == level).sum()) for level in range(4)}
    yield from checks.empty_classes(counts, where=str(folder), least=2)
    validates = held_out(_alike(seen), share=configuration.held_out_share)
    if validates.all() or not validates.any():
        yield Finding(str(folder), _TOO_FEW, "add faces")


def _alike(seen: Crops) -> list[str]:
    """Return the name that each crop is drawn by: its own, or the first one's that looks alike."""
    first: dict[int, str] = {}
    codes = [checks.picture_hash(crop) for crop in seen.crops]
    return [first.setdefault(code, name) for code, name in zip(codes, seen.names, strict=True)]


def _is_seen(every: Crops) -> Mask:
    faces = every.votes[:, votes.COLUMNS.index("NF")] < _NO_FACE_FROM
    told = every.votes[:, : len(EMOTIONS)].sum(axis=1) > 0
    shows = every.crops.std(axis=(1, 2)) >= _LEAST_SPREAD
    return np.asarray(faces & told & shows)


def _either(folder: Path) -> tuple[Bytes, _Rows]:
    """Read the crops of a folder of either layout, and the row of labels of each."""
    return _fer2013(folder) if (folder / PIXELS).is_file() else folders.crops(folder)


def _of(crops: Bytes, rows: _Rows) -> Crops:
    """Return crops with the votes of rows in which nothing is wrong."""
    counted = [[int(row[column] or 0) for column in votes.COLUMNS] for row in rows]
    found = np.array(counted, dtype=np.int64).reshape(-1, len(votes.COLUMNS))
    return Crops(tuple(row["Image name"] for row in rows), crops, found)


def _fault(row: dict[str, str]) -> str:
    """Return what is wrong with the votes of a row; "" when nothing is."""
    for column in votes.COLUMNS:
        told = row.get(column)
        if told is None:
            return f"has no votes in a column {column}"
        try:
            counted = int(told or 0)
        except ValueError:
            counted = -1
        if not 0 <= counted <= votes.RATERS:
            shown = told if len(told) <= _LONGEST_SHOWN else f"{told[:_LONGEST_SHOWN]}…"
            return f"has {shown!r} votes for {column}, no whole number from 0 to {votes.RATERS}"
    return ""


def _called(row: dict[str, str], number: int) -> str:
    return row["Image name"] or f"row {number}"


def _fer2013(folder: Path) -> tuple[Bytes, _Rows]:
    """Read the part for training of the two files as they are published, row by row alike."""
    rows = folders.table(folder / VOTES, ["Usage", "Image name", *votes.COLUMNS])
    kept, crops = [], []
    try:
        # Spreadsheets begin what they save with a byte-order mark.
        with (folder / PIXELS).open(encoding="utf-8-sig", newline="") as file:
            for row, pixels in zip(rows, csv.DictReader(file), strict=True):
                # FERPlus names no picture where it took a row out; the rest is for measuring.
                if row["Usage"] != "Training" or not row["Image name"]:
                    continue
                kept.append(row)
                crops.append(_crop(pixels.get("pixels") or ""))
    except (OSError, UnicodeDecodeError, csv.Error, ValueError, OverflowError) as error:
        raise FolderUnreadable(
            f"{folder / PIXELS} and {VOTES} must have the same rows, each of {_SIDE_PX}×{_SIDE_PX}"
            f" levels in the column pixels: {error}"
        ) from error
    if not crops:
        raise FolderUnreadable(f"{folder / VOTES} has no rows of the usage Training")
    return np.stack(crops), kept


def _crop(pixels: str) -> Bytes:
    levels = np.array(pixels.split(), dtype=np.int64)
    if levels.size != _SIDE_PX**2:
        raise ValueError(f"a row has {levels.size} levels")
    if levels.min() < 0 or levels.max() > 255:  # noqa: PLR2004 - the levels of a byte
        raise ValueError("levels lie between 0 and 255")
    return levels.reshape(_SIDE_PX, _SIDE_PX).astype(np.uint8)
