"""Reads crops of single eyes in open/ and closed/, and says which nobody learns from."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.errors import FolderUnreadable
from smart_filter_training import checks
from smart_filter_training.checks import Finding
from smart_filter_training.models.eyes.configuration import Configuration
from smart_filter_training.splits import held_out
from smart_filter_workers.evaluation import folders
from smart_filter_workers.networks.squares import Square

Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]

# Name of the folder, and whether its eyes are open.
CLASSES: Final = (("closed", False), ("open", True))
# Crops are kept so large: one and a half patches, to be moved about in.
SIDE_PX: Final = 48
# Fewer pixels show no lids; larger sides than these, as a ratio, show no single eye.
LEAST_PX: Final = 12
_LONGEST_OF_SIDES: Final = 2.5
# Crops that are only numbered: neighbours show the two eyes of one photo.
_NEIGHBOURS: Final = 10
# Of a class, to be on both sides of the split at all.
_LEAST: Final = 2
_TOO_FEW: Final = "has too few open or closed eyes to train and to validate on"


@dataclass(frozen=True, slots=True)
class Crops:
    """Crops of single eyes.

    crops: (N, SIDE_PX, SIDE_PX) uint8 grey, the whole of each; is_open: (N,) bool.
    """

    names: tuple[str, ...]
    crops: Bytes
    is_open: Mask

    def where(self, chosen: Mask) -> "Crops":
        """Return some of them, chosen by (N,) bool."""
        names = tuple(name for name, is_in in zip(self.names, chosen, strict=True) if is_in)
        return Crops(names, self.crops[chosen], self.is_open[chosen])


@dataclass(frozen=True, slots=True)
class Data:
    """Crops to train on, and others to choose by.  digest: SHA-256 of all that was read."""

    train: Crops
    validation: Crops
    digest: str


def read(folder: Path, configuration: Configuration) -> Data:
    """Read a folder; both eyes of a photo are on one side of the split.

    Raises FolderUnreadable.
    """
    every = read_all(folder, only=configuration.only)
    train, validation = _split(every, configuration)
    if not _has_both(train) or not _has_both(validation):
        raise FolderUnreadable(f"{folder} {_TOO_FEW}")
    digest = checks.digest([every.crops.tobytes(), every.is_open.tobytes()])
    return Data(train, validation, digest)


def read_all(folder: Path, *, only: str = "") -> Crops:
    """Read all crops, of one source alone when `only` names it.  Raises FolderUnreadable."""
    names, crops, is_open = [], [], []
    for name, opened in CLASSES:
        for path in folders.pictures(folder / name):
            if only and folders.prefix(path.name) != only:
                continue
            names.append(f"{name}/{path.name}")
            crops.append(_crop(folders.photo(path).srgb))
            is_open.append(opened)
    if not names:
        raise FolderUnreadable(f"{folder} has no files {only}_*")
    return Crops(tuple(names), np.stack(crops), np.array(is_open))


def findings(folder: Path, configuration: Configuration) -> Iterator[Finding]:
    """Find what is wrong with a folder."""
    found: list[tuple[str, bool, Bytes]] = []
    for name, opened in CLASSES:
        try:
            paths = folders.pictures(folder / name)
        except FolderUnreadable as error:
            remedy = "put crops of eyes into open and closed"
            yield checks.unreadable(str(folder / name), folder / name, error, remedy)
            continue
        chosen = [
            path
            for path in paths
            if not configuration.only or folders.prefix(path.name) == configuration.only
        ]
        yield from checks.empty_classes(
            {f"{name} eyes": len(chosen)}, where=str(folder / name), least=_LEAST
        )
        for path in chosen:
            try:
                srgb = folders.photo(path).srgb
            except FolderUnreadable as error:
                remedy = "replace or remove the file"
                yield checks.unreadable(f"{name}/{path.name}", path, error, remedy)
                continue
            yield from _size(f"{name}/{path.name}", srgb.shape[0], srgb.shape[1])
            found.append((f"{name}/{path.name}", opened, _crop(srgb)))
    yield from _twins(found, configuration)
    yield from _too_few(found, folder, configuration)


def group_of(name: str) -> str:
    """Return whose eye a file shows, as far as its name tells: alike for all photos of a person.

    CEW says NAME_0001_L, and closed_eye_0001.jpg_face_1_L; crops that are only numbered are
    neighbours of others of the same photo.
    """
    stem = name.rpartition("/")[2].rpartition(".")[0]
    start, _, end = stem.rpartition("_")
    if end.isdigit():
        return f"{start}{int(end) // _NEIGHBOURS}"
    if "_face_" in start:
        return start.partition(".")[0]
    person, _, photo = start.rpartition("_")
    return (person if photo.isdigit() else start) or stem


def _groups(every: Crops) -> list[str]:
    """Return by which name each crop is drawn: its photo's, or that of one that looks the same."""
    first: dict[int, str] = {}
    return [
        first.setdefault(checks.picture_hash(crop), group_of(name))
        for name, crop in zip(every.names, every.crops, strict=True)
    ]


def _twins(found: list[tuple[str, bool, Bytes]], configuration: Configuration) -> Iterator[Finding]:
    """Find crops that are there twice: as open and as closed, or on both sides of the split."""
    if not found:
        return
    names = [name for name, _, _ in found]
    hashes = [checks.picture_hash(crop) for _, _, crop in found]
    first: dict[int, tuple[str, bool]] = {}
    for (name, opened, _), code in zip(found, hashes, strict=True):
        other, other_opened = first.setdefault(code, (name, opened))
        if opened != other_opened:
            yield Finding(name, f"looks like {other}", "remove the one that is in the wrong class")
    groups = [group_of(name) for name in names]
    validates = held_out(groups, share=configuration.held_out_share)
    for finding in checks.across_splits(hashes, names, validates):
        yield Finding(
            finding.where, finding.what, "nothing: they are kept on one side", fatal=False
        )


def _too_few(
    found: list[tuple[str, bool, Bytes]], folder: Path, configuration: Configuration
) -> Iterator[Finding]:
    """Find that a side of the split lacks a class; a class that is missing was told before."""
    names, is_open, crops = zip(*found, strict=True) if found else ((), (), ())
    if not _LEAST <= sum(is_open) <= len(found) - _LEAST:
        return
    every = Crops(names, np.stack(crops), np.array(is_open))
    if not all(_has_both(part) for part in _split(every, configuration)):
        yield Finding(str(folder), _TOO_FEW, "add eyes of other people")


def _split(every: Crops, configuration: Configuration) -> tuple[Crops, Crops]:
    """Return the crops to train on and those to validate on."""
    validates = held_out(_groups(every), share=configuration.held_out_share)
    return every.where(~validates), every.where(validates)


def _size(name: str, height: int, width: int) -> Iterator[Finding]:
    if min(height, width) < LEAST_PX:
        yield Finding(
            name,
            f"is {width}×{height} pixels, less than {LEAST_PX} show no lids",
            "remove the file",
        )
    elif max(height, width) > _LONGEST_OF_SIDES * min(height, width):
        yield Finding(
            name,
            f"is {width}×{height} pixels, no crop of one eye",
            "cut squares around single eyes",
        )


def _crop(srgb: Bytes) -> Bytes:
    """Return the whole of a crop as (SIDE_PX, SIDE_PX) uint8 grey, its shorter edges going on."""
    height, width = srgb.shape[:2]
    square = Square(centre=(width / 2, height / 2), side=float(max(height, width)), angle=0.0)
    grey = cv2.cvtColor(square.cut(srgb, SIDE_PX), cv2.COLOR_RGB2GRAY)
    return np.asarray(np.rint(grey * 255), dtype=np.uint8)


def _has_both(crops: Crops) -> bool:
    return bool(crops.is_open.any() and not crops.is_open.all())
