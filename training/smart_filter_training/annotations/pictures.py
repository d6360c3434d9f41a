"""Find and decode annotated pictures as the product does, and check them."""

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final
from urllib.parse import unquote, urlsplit

import numpy as np

from smart_filter_shared.errors import FolderUnreadable, ImageTooLarge, ImageUnreadable
from smart_filter_training.annotations.marks import AnnotatedPicture
from smart_filter_training.preflight import Finding, check_leakage, hash_picture
from smart_filter_workers import images
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Srgb8

# Folders of pictures next to an annotation file, in COCO's archives and most tools.
USUAL_FOLDERS: Final = ("images", "JPEGImages")
# COCO's annotation files are named by the folder of the pictures: `instances_train2017.json`.
_COCO_PREFIX: Final = "instances_"


class PictureMissing(Exception):
    """A picture is not in the folder; the message says why, and follows its name."""


def find(name: str, file: Path, folder: Path) -> Path:
    """Return the picture that an annotation file names by a path or an address.

    file: the annotation file; folder: the folder that must hold the pictures.  Only the last part
    of an address counts; it is never fetched.
    Raises PictureMissing when it is outside of the folder, or missing.
    """
    if "://" in name:
        name = _last_part(name)
    path = PurePosixPath(name)
    leaves = path.is_absolute() or ".." in path.parts or bool(PureWindowsPath(name).drive)
    if leaves or "\\" in name or "\0" in name or not path.parts:
        raise PictureMissing("is not a path below the folder")
    try:
        for place in _places(file, folder):
            if (place / path).is_file():
                return place / path
    except OSError as error:
        raise PictureMissing(f"is not a name of a file: {error.strerror}") from error
    raise PictureMissing("is not in the folder")


def load(picture: AnnotatedPicture) -> Srgb8:
    """Return a picture, (H, W, 3) uint8 sRGB, upright.

    Raises FolderUnreadable when it cannot be decoded or has not the size in its annotations.
    """
    loaded = _load(picture)
    if isinstance(loaded, Finding):
        raise FolderUnreadable(f"{loaded.where} {loaded.what}: {loaded.remedy}")
    return loaded


def select_marked(pictures: Sequence[AnnotatedPicture]) -> list[AnnotatedPicture]:
    """Return the pictures with a mark that is not a crowd; COCO has as many others."""
    return [picture for picture in pictures if any(not mark.is_crowd for mark in picture.marks)]


def draw_picture(
    pictures: Sequence[AnnotatedPicture], place: int, *, seed: int
) -> tuple[AnnotatedPicture, np.random.Generator]:
    """Return the picture at a place of an endless sequence, and a generator to augment it.

    Each epoch of the sequence is shuffled.  Both results depend on the seed and the place alone.
    """
    epoch, index = divmod(place, len(pictures))
    order = np.random.default_rng((seed, epoch)).permutation(len(pictures))
    # From 1 on: NumPy ignores zeros at the end of a seed.
    return pictures[order[index]], np.random.default_rng((seed, epoch, 1 + index))


def check_pictures(
    train: Sequence[AnnotatedPicture], validation: Sequence[AnnotatedPicture]
) -> Iterator[Finding]:
    """Decode pictures; yield their problems, and pictures on both sides."""
    hashes, names, is_held_out = [], [], []
    for picture, is_held in (
        *((picture, False) for picture in train),
        *((picture, True) for picture in validation),
    ):
        loaded = _load(picture)
        if isinstance(loaded, Finding):
            yield loaded
            continue
        hashes.append(hash_picture(np.asarray(cv2.cvtColor(loaded, cv2.COLOR_RGB2GRAY), np.uint8)))
        names.append(picture.path.name)
        is_held_out.append(is_held)
    yield from check_leakage(hashes, names, np.array(is_held_out, np.bool_))


def _load(picture: AnnotatedPicture) -> Srgb8 | Finding:
    name = picture.path.name
    try:
        srgb = images.decode(picture.path.read_bytes()).srgb
    except (OSError, ImageUnreadable, ImageTooLarge) as error:
        return Finding(name, f"cannot be decoded ({error})", "replace it or take it out")
    height, width = srgb.shape[:2]
    if (width, height) != (picture.width, picture.height):
        return Finding(
            name,
            f"is {width}×{height} pixels upright, and annotated as"
            f" {picture.width}×{picture.height}",
            "use the picture that was annotated",
        )
    return srgb


def _last_part(address: str) -> str:
    try:
        return PurePosixPath(unquote(urlsplit(address).path)).name
    except ValueError as error:
        raise PictureMissing(f"is not an address: {error}") from error


def _places(file: Path, folder: Path) -> Iterator[Path]:
    yield folder
    yield from (folder / name for name in USUAL_FOLDERS)
    yield folder / file.stem.removeprefix(_COCO_PREFIX)
    if file.parent != folder:
        yield file.parent
