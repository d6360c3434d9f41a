"""Reads folders of photos whose answers are known; what is wrong with one is told in a line."""

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smart_filter_shared.errors import FolderUnreadable, ImageTooLarge, ImageUnreadable
from smart_filter_workers import images
from smart_filter_workers.results import Matte8, Photo, Srgb8

PICTURES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp"})
# The levels of a mask that says person, background and "does not count", and nothing between.
PERSON, BACKGROUND, NOT_COUNTED = 255, 0, 128
# A sheet of crops holds so many in a row, left to right.
CROPS_A_ROW: Final = 164
CROP_PX: Final = 48


def pictures(folder: Path) -> list[Path]:
    """Return the pictures of a folder by name.  Raises FolderUnreadable when it has none."""
    if not folder.is_dir():
        raise FolderUnreadable(f"{folder} is no folder")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
    if not found:
        raise FolderUnreadable(f"{folder} holds no pictures")
    return found


def photo(path: Path) -> Photo:
    """Decode a photo.  Raises FolderUnreadable naming it."""
    try:
        return images.decode(path.read_bytes())
    except (OSError, ImageUnreadable, ImageTooLarge) as error:
        raise FolderUnreadable(f"{path}: {error}") from error


def mask(path: Path, like: Srgb8) -> Matte8:
    """Read a mask of a photo: (H, W) uint8, 255 person.

    Raises FolderUnreadable when it is of another size than `like`.
    """
    level = photo(path).srgb[..., 0]
    if level.shape != like.shape[:2]:
        height, width = level.shape
        raise FolderUnreadable(
            f"{path} is {width}×{height} pixels, its photo {like.shape[1]}×{like.shape[0]}"
        )
    return np.ascontiguousarray(level)


def counted(known: Matte8) -> NDArray[np.bool_]:
    """Return which pixels of a mask count: (H, W) bool.

    In a mask of three levels 128 means "does not count"; in one with others, a soft matte,
    it is one level like any.
    """
    levels = np.flatnonzero(np.bincount(known.ravel(), minlength=256))
    if set(levels.tolist()) <= {BACKGROUND, NOT_COUNTED, PERSON}:
        return np.asarray(known != NOT_COUNTED)
    return np.ones(known.shape, np.bool_)


def table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read a CSV file that has these columns.  Raises FolderUnreadable."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FolderUnreadable(f"{path}: {error}") from error
    missing = [name for name in columns if not rows or rows[0].get(name) is None]
    if missing:
        raise FolderUnreadable(f"{path} lacks the column {missing[0]}, or has no rows")
    return rows


def document(path: Path) -> object:
    """Read a JSON file.  Raises FolderUnreadable."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FolderUnreadable(f"{path}: {error}") from error


def crops(folder: Path) -> tuple[NDArray[np.uint8], list[dict[str, str]]]:
    """Read crops of faces, (N, 48, 48) uint8 grey, and the row of labels of each.

    A folder holds X_labels.csv, and X.npz with `images` or X.png with rows of crops.
    Raises FolderUnreadable.
    """
    labels = sorted(folder.glob("*_labels.csv"))
    if len(labels) != 1:
        raise FolderUnreadable(f"{folder} needs one file *_labels.csv, has {len(labels)}")
    rows = table(labels[0], ["Image name", "level"])
    stem = labels[0].name.removesuffix("_labels.csv")
    packed, sheet = folder / f"{stem}.npz", folder / f"{stem}.png"
    found = _packed(packed) if packed.is_file() else _sheet(sheet, len(rows))
    if len(found) != len(rows):
        raise FolderUnreadable(f"{folder} has {len(found)} crops and {len(rows)} rows of labels")
    return found, rows


def prefix(name: str) -> str:
    """Return the part of a folder that a file's name tells: what stands before the first _."""
    start, mark, _ = name.partition("_")
    return start if mark else ""


def _packed(path: Path) -> NDArray[np.uint8]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            found = np.asarray(archive["images"])
    except (OSError, ValueError, KeyError) as error:
        raise FolderUnreadable(f"{path}: {error}") from error
    if found.dtype != np.uint8 or found.shape[1:] != (CROP_PX, CROP_PX):
        raise FolderUnreadable(f"{path}: images are {found.dtype} of shape {found.shape}")
    return found


def _sheet(path: Path, count: int) -> NDArray[np.uint8]:
    """Read a sheet of crops; it may be larger than any photo, but not than its labels say."""
    size = (CROPS_A_ROW * CROP_PX, math.ceil(count / CROPS_A_ROW) * CROP_PX)
    try:
        # Its size is known and told by the header before a pixel is read.
        with Image.open(path, formats=("PNG",)) as image:
            if image.size[0] != size[0] or image.size[1] != size[1]:
                raise FolderUnreadable(f"{path} is no sheet of {count} crops, {CROPS_A_ROW} a row")
        grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    except (OSError, Image.DecompressionBombError) as error:
        raise FolderUnreadable(f"{path}: {error}") from error
    if grey is None:
        raise FolderUnreadable(f"{path} is damaged: get it anew")
    tiles = grey.reshape(-1, CROP_PX, CROPS_A_ROW, CROP_PX).swapaxes(1, 2)
    return np.ascontiguousarray(tiles.reshape(-1, CROP_PX, CROP_PX)[:count], dtype=np.uint8)
