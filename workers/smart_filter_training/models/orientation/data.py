"""Reads upright photos, and cuts crops out of them in which there is no face."""

import zlib
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
from smart_filter_training.models.orientation.configuration import Configuration
from smart_filter_training.splits import held_out
from smart_filter_workers.evaluation import folders
from smart_filter_workers.networks.boxes import Box
from smart_filter_workers.networks.cascades import Cascade, Looks
from smart_filter_workers.results import Srgb8

Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]

# Crops are kept so large: a little more than the network sees, to be moved about in.
SIDE_PX: Final = 80
LEAST_PX: Final = 64
FEWEST: Final = 20
# Faces are looked for at this size, by OpenCV's cascade: it comes with the package.
_LOOK_PX: Final = 480
_LOOKS: Final = Looks(scale_factor=1.1, neighbours=3, least_px=24)
# How far hair, chin and neck reach beyond a face's box, in its widths and heights.
_ASIDE, _ABOVE, _BELOW = 0.4, 0.5, 0.35
# A crop's sides as shares of the photo's, how oblong it may be, and how often one is tried.
_SHARE: Final = (0.35, 1.0)
_MOST_OBLONG: Final = 2.0
_TRIES: Final = 12
# Pictures of an image folder that are no photos: masks of them.
_FOLDER: Final = "images"


@dataclass(frozen=True, slots=True)
class Scenes:
    """Upright crops without a face: scenes (N, SIDE_PX, SIDE_PX, 3) uint8 sRGB, stretched.

    names: of the photo that each is from, by its path in the folder.
    """

    names: tuple[str, ...]
    scenes: Bytes

    def where(self, chosen: Mask) -> "Scenes":
        """Return some of them, chosen by (N,) bool."""
        names = tuple(name for name, is_in in zip(self.names, chosen, strict=True) if is_in)
        return Scenes(names, self.scenes[chosen])


@dataclass(frozen=True, slots=True)
class Data:
    """Scenes to train on, and others to choose by.  digest: SHA-256 of all that was read."""

    train: Scenes
    validation: Scenes
    digest: str


def read(folder: Path, configuration: Configuration) -> Data:
    """Read a folder; all crops of a photo are on one side.  Raises FolderUnreadable."""
    looks = Cascade("haarcascade_frontalface_alt2")
    names: list[str] = []
    scenes: list[Bytes] = []
    for path in paths(folder):
        name = str(path.relative_to(folder))
        crops = _crops(name, folders.photo(path).srgb, looks, configuration)
        names += [name] * len(crops)
        scenes += crops
    if not scenes:
        raise FolderUnreadable(f"{folder} has no photo with room beside its faces")
    every = Scenes(tuple(names), np.stack(scenes))
    validates = held_out(every.names, share=configuration.held_out_share)
    data = Data(
        every.where(~validates), every.where(validates), checks.digest([every.scenes.tobytes()])
    )
    if not data.train.names or not data.validation.names:
        raise FolderUnreadable(f"{folder} has too few photos to train and to validate on")
    return data


def paths(folder: Path) -> list[Path]:
    """Return the photos of a folder, or of every folder `images` in it.

    Raises FolderUnreadable.
    """
    inner = sorted(path for path in folder.rglob(_FOLDER) if path.is_dir())
    return [path for one in (inner or [folder]) for path in folders.pictures(one)]


def findings(folder: Path, configuration: Configuration) -> Iterator[Finding]:
    """Find what is wrong with a folder; whether its photos stand upright no program can tell."""
    try:
        found = paths(folder)
    except FolderUnreadable as error:
        remedy = "put upright photos there, or into images/"
        yield checks.unreadable(str(folder), folder, error, remedy)
        return
    yield from checks.empty_classes({"photos": len(found)}, where=str(folder), least=FEWEST)
    looks = Cascade("haarcascade_frontalface_alt2")
    names, hashes = [], []
    # Whether a photo with room beside its faces trains, and whether one validates.
    sides: set[bool] = set()
    for path in found:
        name = str(path.relative_to(folder))
        try:
            srgb = folders.photo(path).srgb
        except FolderUnreadable as error:
            yield checks.unreadable(name, path, error, "replace or remove the file")
            continue
        if min(srgb.shape[:2]) < LEAST_PX:
            yield Finding(
                name,
                f"is {srgb.shape[1]}×{srgb.shape[0]} pixels, less than {LEAST_PX}",
                "nothing: no crop of it is used",
                fatal=False,
            )
        side = bool(held_out([name], share=configuration.held_out_share)[0])
        if side not in sides and _crops(name, srgb, looks, configuration):
            sides.add(side)
        names.append(name)
        hashes.append(checks.picture_hash(cv2.cvtColor(srgb, cv2.COLOR_RGB2GRAY).astype(np.uint8)))
    validates = held_out(names, share=configuration.held_out_share)
    yield from checks.across_splits(hashes, names, validates)
    if len(found) >= FEWEST and len(sides) < 2:  # noqa: PLR2004 - both sides
        what = "has too few photos with room beside their faces to train and to validate on"
        yield Finding(str(folder), what, "add photos")


def clear_of(crop: Box, faces: list[Box]) -> bool:
    """Return whether a crop shows nothing of any face; all left, top, right and bottom."""
    left, top, right, bottom = crop
    return all(
        right <= start or left >= end or bottom <= above or top >= below
        for start, above, end, below in (_head(face) for face in faces)
    )


def _crops(name: str, srgb: Srgb8, looks: Cascade, configuration: Configuration) -> list[Bytes]:
    """Cut up to as many upright crops without a face out of a photo as are wanted."""
    # What is cut depends on the photo and the seed alone, not on what else there is.
    rng = np.random.default_rng((configuration.seed, zlib.crc32(name.encode())))
    count = configuration.crops
    scale = min(1.0, _LOOK_PX / max(srgb.shape[:2]))
    size = (max(1, round(srgb.shape[1] * scale)), max(1, round(srgb.shape[0] * scale)))
    small = np.asarray(cv2.resize(srgb, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    if min(size) < LEAST_PX:
        return []
    grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    faces = list(looks(grey, _LOOKS))
    found: list[Bytes] = []
    for _ in range(_TRIES * count):
        if len(found) == count:
            break
        width, height = (side * rng.uniform(*_SHARE) for side in size)
        left, top = rng.uniform(0, size[0] - width), rng.uniform(0, size[1] - height)
        oblong = max(width, height) > _MOST_OBLONG * min(width, height)
        if oblong or not clear_of((left, top, left + width, top + height), faces):
            continue
        part = small[round(top) : round(top + height), round(left) : round(left + width)]
        resized = cv2.resize(part, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
        found.append(np.asarray(resized, dtype=np.uint8))
    return found


def _head(face: Box) -> Box:
    left, top, right, bottom = face
    width, height = right - left, bottom - top
    return (
        left - _ASIDE * width,
        top - _ABOVE * height,
        right + _ASIDE * width,
        bottom + _BELOW * height,
    )
