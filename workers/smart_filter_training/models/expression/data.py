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
        raise FolderUnreadable(f"{folder} has too few faces to train and to validate on")
    return data


def read_all(folder: Path) -> Crops:
    """Read all crops of a folder of either layout.  Raises FolderUnreadable."""
    if (folder / PIXELS).is_file():
        return _fer2013(folder)
    crops, rows = folders.crops(folder)
    names = [row["Image name"] for row in rows]
    return Crops(tuple(names), crops, _votes(rows, folder))


def findings(folder: Path, configuration: Configuration) -> Iterator[Finding]:
    """Find what is wrong with a folder."""
    del configuration  # crops that look the same are never on both sides
    try:
        every = read_all(folder)
    except FolderUnreadable as error:
        yield Finding(str(folder), str(error), "docs/training.md shows both layouts")
        return
    spreads = every.crops.reshape(len(every.crops), -1).std(axis=1)
    for name, spread in zip(every.names, spreads, strict=True):
        if spread < _LEAST_SPREAD:
            yield Finding(name, "is of one colour", "nothing: it is left out", fatal=False)
    seen = every.where(_is_seen(every))
    levels = votes.levels(votes.smiling(seen.votes, "happiness"))
    counts = {f"level {level}": int((levels == level).sum()) for level in range(4)}
    yield from checks.empty_classes(counts, where=str(folder), least=2)


def _alike(seen: Crops) -> list[str]:
    """Return the name that each crop is drawn by: its own, or the first one's that looks alike."""
    first: dict[int, str] = {}
    codes = [checks.picture_hash(crop) for crop in seen.crops]
    return [first.setdefault(code, name) for code, name in zip(codes, seen.names, strict=True)]


def _is_seen(every: Crops) -> Mask:
    faces = every.votes[:, votes.COLUMNS.index("NF")] < _NO_FACE_FROM
    told = every.votes[:, : len(EMOTIONS)].sum(axis=1) > 0
    shows = every.crops.reshape(len(every.crops), -1).std(axis=1) >= _LEAST_SPREAD
    return np.asarray(faces & told & shows)


def _votes(rows: list[dict[str, str]], place: Path) -> Counts:
    try:
        counted = [[int(row[column] or 0) for column in votes.COLUMNS] for row in rows]
    except (KeyError, ValueError, TypeError) as error:
        raise FolderUnreadable(
            f"{place}: votes need a whole number in each of {', '.join(votes.COLUMNS)}: {error}"
        ) from error
    found = np.array(counted, dtype=np.int64).reshape(-1, len(votes.COLUMNS))
    if found.size and (found.min() < 0 or found.max() > votes.RATERS):
        raise FolderUnreadable(f"{place}: votes lie between 0 and {votes.RATERS}")
    return found


def _fer2013(folder: Path) -> Crops:
    """Read the part for training of the two files as they are published, row by row alike."""
    rows = folders.table(folder / VOTES, ["Usage", "Image name", *votes.COLUMNS])
    kept, names, crops = [], [], []
    try:
        with (folder / PIXELS).open(encoding="utf-8", newline="") as file:
            for row, pixels in zip(rows, csv.DictReader(file), strict=True):
                # FERPlus names no picture where it took a row out; the rest is for measuring.
                if row["Usage"] != "Training" or not row["Image name"]:
                    continue
                kept.append(row)
                names.append(row["Image name"])
                crops.append(_crop(pixels["pixels"]))
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, ValueError) as error:
        raise FolderUnreadable(
            f"{folder / PIXELS} and {VOTES} must have the same rows, each of {_SIDE_PX}×{_SIDE_PX}"
            f" levels in the column pixels: {error}"
        ) from error
    if not crops:
        raise FolderUnreadable(f"{folder / VOTES} has no rows of the usage Training")
    return Crops(tuple(names), np.stack(crops), _votes(kept, folder / VOTES))


def _crop(pixels: str) -> Bytes:
    levels = np.array(pixels.split(), dtype=np.int64)
    if levels.min() < 0 or levels.max() > 255:  # noqa: PLR2004 - the levels of a byte
        raise ValueError("levels lie between 0 and 255")
    return levels.reshape(_SIDE_PX, _SIDE_PX).astype(np.uint8)
