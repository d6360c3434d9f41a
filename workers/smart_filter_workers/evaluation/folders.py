"""Reads folders of photos whose answers are known; what is wrong with one is told in a line."""

import csv
import io
import json
import lzma
import math
import os
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from tokenize import TokenError
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from smart_filter_shared.errors import FolderUnreadable, ImageTooLarge, ImageUnreadable
from smart_filter_workers import images
from smart_filter_workers.results import Matte8, Photo, Srgb8

PICTURES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp"})
# The levels of a mask that says person, background and "does not count", and nothing between.
PERSON, BACKGROUND, NOT_COUNTED = 255, 0, 128
# A sheet of crops holds so many in a row, left to right.
CROPS_A_ROW: Final = 164
CROP_PX: Final = 48

# What `zipfile` and NumPy raise on an archive that is damaged, or is none; EOFError must not
# get further, because a command line takes it for somebody who hangs up.
_DAMAGED: Final = (
    EOFError,
    KeyError,
    OSError,
    RuntimeError,
    SyntaxError,
    TokenError,
    TypeError,
    ValueError,
    lzma.LZMAError,
    zipfile.BadZipFile,
    zlib.error,
)


def pictures(folder: Path) -> list[Path]:
    """Return the pictures of a folder by name.  Raises FolderUnreadable when it has none."""
    if not folder.is_dir():
        raise FolderUnreadable(f"{folder} is no folder")
    try:
        found = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
    except OSError as error:
        raise FolderUnreadable(f"{folder} cannot be read: {error.strerror}") from error
    if not found:
        raise FolderUnreadable(f"{folder} holds no pictures")
    refuse_unprintable(found)
    return found


def refuse_unprintable(paths: Sequence[Path]) -> None:
    """Raise FolderUnreadable for the first file whose name nobody can print, draw by or store."""
    for path in paths:
        try:
            str(path).encode()
        except UnicodeEncodeError as error:
            place, name = (
                os.fsencode(part).decode(errors="backslashreplace")
                for part in (path.parent, path.name)
            )
            raise FolderUnreadable(
                f"{place} holds {name}, a name that is no UTF-8: rename it"
            ) from error


def content(path: Path) -> bytes:
    """Read a file.  Raises FolderUnreadable naming it, also for a pipe, which might never end."""
    try:
        if path.exists() and not path.is_file():
            raise FolderUnreadable(f"{path} is no file")
        return path.read_bytes()
    except OSError as error:
        raise FolderUnreadable(f"{path}: {error.strerror or error}") from error


def photo(path: Path) -> Photo:
    """Decode a photo.  Raises FolderUnreadable naming it."""
    try:
        return images.decode(content(path))
    except (ImageUnreadable, ImageTooLarge) as error:
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
    """Read a CSV file that has these columns in every row.  Raises FolderUnreadable."""
    try:
        # Spreadsheets begin what they save with a byte-order mark.
        text = content(path).decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise FolderUnreadable(f"{path}: {error}") from error
    missing = [name for name in columns if not rows or rows[0].get(name) is None]
    if missing:
        raise FolderUnreadable(f"{path} lacks the column {missing[0]}, or has no rows")
    for number, row in enumerate(rows, start=1):
        short = [name for name in columns if row[name] is None]
        if short:
            raise FolderUnreadable(f"{path} ends before the column {short[0]} in row {number}")
    return rows


def document(path: Path) -> object:
    """Read a JSON file.  Raises FolderUnreadable."""
    try:
        return json.loads(content(path))
    except (ValueError, RecursionError) as error:
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
    found = _packed(packed, len(rows)) if packed.is_file() else _sheet(sheet, len(rows))
    return found, rows


def prefix(name: str) -> str:
    """Return the part of a folder that a file's name tells: what stands before the first _."""
    start, mark, _ = name.partition("_")
    return start if mark else ""


def _packed(path: Path, count: int) -> NDArray[np.uint8]:
    """Read an archive of crops; its header must say that many before any is read."""
    shape = (count, CROP_PX, CROP_PX)
    try:
        with zipfile.ZipFile(path) as archive, archive.open("images.npy") as file:
            is_later = np.lib.format.read_magic(file) != (1, 0)
            told, by_columns, kind = (
                np.lib.format.read_array_header_2_0(file)
                if is_later
                else np.lib.format.read_array_header_1_0(file)
            )
            if kind != np.uint8 or told != shape:
                raise FolderUnreadable(
                    f"{path}: images are {kind} of shape {told}, its labels need uint8 of {shape}"
                )
            # One more byte than there may be: its checksum is compared at the end.
            levels = file.read(math.prod(shape) + 1)
    except _DAMAGED as error:
        raise FolderUnreadable(f"{path} is damaged or no NPZ with `images`: {error}") from error
    if len(levels) != math.prod(shape):
        raise FolderUnreadable(f"{path} is damaged: it holds other than {count} crops")
    found = np.frombuffer(levels, np.uint8).reshape(shape, order="F" if by_columns else "C")
    return np.array(found, order="C")


def _sheet(path: Path, count: int) -> NDArray[np.uint8]:
    """Read a sheet of crops; it may be larger than any photo, but not than its labels say."""
    size = (CROPS_A_ROW * CROP_PX, math.ceil(count / CROPS_A_ROW) * CROP_PX)
    packed = content(path)
    try:
        # Its size is known and told by the header before a pixel is read.
        with Image.open(io.BytesIO(packed), formats=("PNG",)) as image:
            if image.size[0] != size[0] or image.size[1] != size[1]:
                raise FolderUnreadable(f"{path} is no sheet of {count} crops, {CROPS_A_ROW} a row")
        grey = cv2.imdecode(np.frombuffer(packed, np.uint8), cv2.IMREAD_GRAYSCALE)
    except UnidentifiedImageError as error:
        # Its words name the buffer that it was given, by its address.
        raise FolderUnreadable(f"{path} is no PNG: get it anew") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, cv2.error) as error:
        raise FolderUnreadable(f"{path}: {error}") from error
    if grey is None:
        raise FolderUnreadable(f"{path} is damaged: get it anew")
    tiles = grey.reshape(-1, CROP_PX, CROPS_A_ROW, CROP_PX).swapaxes(1, 2)
    return np.ascontiguousarray(tiles.reshape(-1, CROP_PX, CROP_PX)[:count], dtype=np.uint8)
