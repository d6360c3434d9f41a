"""A folder of annotated pictures: which file it has, which of two kinds that is, two splits."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from smart_filter_shared.errors import FolderUnreadable
from smart_filter_training.annotations import coco, dataturks
from smart_filter_training.annotations.marks import Marked, Sheet
from smart_filter_training.splits import held_out
from smart_filter_workers.evaluation import folders

SUFFIXES: Final = (".json", ".jsonl")
# Names of files and folders that say what they hold.
_TRAINING, _VALIDATION = "train", "val"
_FIRST_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class Sheets:
    """The files of annotations of a folder; validation is None where training is parted."""

    train: Sheet
    validation: Sheet | None

    @property
    def all(self) -> tuple[Sheet, ...]:
        """One or two."""
        return (self.train,) if self.validation is None else (self.train, self.validation)


def sheets(
    folder: Path, *, train: str = "", validation: str = "", labels: Collection[str] = ()
) -> Sheets:
    """Read a folder's annotations.

    train, validation: their files' paths in the folder; "" for the only one in it or in its
    folder `annotations`, or those that are called after `train` and `val`.
    labels: which marks are read, in lower case, () for all.
    Raises FolderUnreadable when there is none, or it cannot be told which it is.
    """
    if not folder.is_dir():
        raise FolderUnreadable(f"{folder} is no folder")
    if train:
        other = folder / validation if validation else None
        return _read(folder / train, other, folder, labels)
    if validation:
        raise FolderUnreadable("a file for validation needs one for training: set `annotations`")
    found = _candidates(folder)
    names = ", ".join(path.name for path in found)
    if not found:
        raise FolderUnreadable(
            f"{folder} holds no annotations: put COCO JSON or Dataturks JSON lines there"
        )
    if len(found) == 1:
        return _read(found[0], None, folder, labels)
    training = [path for path in found if _TRAINING in path.stem]
    judging = [path for path in found if _VALIDATION in path.stem]
    if len(found) != 2 or len(training) != 1 or len(judging) != 1:  # noqa: PLR2004 - two splits
        raise FolderUnreadable(f"{folder} holds {names}: say which with `--set annotations=FILE`")
    return _read(training[0], judging[0], folder, labels)


def read(path: Path, folder: Path, *, labels: Collection[str] = ()) -> Sheet:
    """Read one file of annotations of either kind.  Raises FolderUnreadable."""
    if _is_lines(path):
        return dataturks.read(path, folder, labels=labels)
    return coco.read(path, folder, labels=labels)


def parted(
    pictures: Sequence[Marked], folder: Path, *, validation_share: float
) -> tuple[tuple[Marked, ...], tuple[Marked, ...]]:
    """Part pictures in those for training and those for validation, by their names alone."""
    held = held_out((_place(one, folder) for one in pictures), share=validation_share)
    train = tuple(one for one, is_held in zip(pictures, held, strict=True) if not is_held)
    return train, tuple(one for one, is_held in zip(pictures, held, strict=True) if is_held)


def _read(train: Path, validation: Path | None, folder: Path, labels: Collection[str]) -> Sheets:
    return Sheets(
        read(train, folder, labels=labels),
        None if validation is None else read(validation, folder, labels=labels),
    )


def _candidates(folder: Path) -> list[Path]:
    found: list[Path] = []
    for place in (folder, folder / "annotations"):
        if place.is_dir():
            found += (path for path in place.iterdir() if path.suffix.lower() in SUFFIXES)
    folders.refuse_unprintable(found)
    return sorted(found)


def _is_lines(path: Path) -> bool:
    """Whether the first line is an object of its own with a picture's name."""
    if path.exists() and not path.is_file():
        raise FolderUnreadable(f"{path} is no file")
    try:
        with path.open("rb") as file:
            first = file.readline(_FIRST_BYTES)
    except OSError as error:
        raise FolderUnreadable(f"{path} cannot be read: {error.strerror}") from error
    try:
        told = json.loads(first)
    except (ValueError, RecursionError):
        # A line that was cut off, or the first of a JSON file with several.
        return path.suffix.lower() == ".jsonl" or first.lstrip().startswith(b'{"content"')
    return isinstance(told, dict) and "images" not in told and "content" in told


def _place(picture: Marked, folder: Path) -> str:
    path = picture.path
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path.name)
