"""Read folders of photos with known answers; every error is one line that names the file."""

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

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from smart_filter_shared.errors import FolderUnreadable, ImageTooLarge, ImageUnreadable
from smart_filter_workers import images
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Matte8, Photo, Srgb8

PICTURE_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp"})
# The levels of a mask with three levels: person, background and "does not count".
PERSON, BACKGROUND, NOT_COUNTED = 255, 0, 128
# Crops per row of a sheet, from left to right.
CROPS_PER_ROW: Final = 164
CROP_PX: Final = 48

# Errors that `zipfile` and NumPy raise on an archive that is damaged or not an archive. EOFError
# must be caught here, because a command line would read it as the end of its input.
_ARCHIVE_ERRORS: Final = (
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


def list_pictures(folder: Path) -> list[Path]:
    """Return the pictures of a folder by name.  Raises FolderUnreadable when it has none."""
    if not folder.is_dir():
        raise FolderUnreadable(f"{folder} is not a folder")
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)
    except OSError as error:
        raise FolderUnreadable(f"{folder} cannot be read: {error.strerror}") from error
    if not paths:
        raise FolderUnreadable(f"{folder} holds no pictures")
    refuse_unprintable(paths)
    return paths


def refuse_unprintable(paths: Sequence[Path]) -> None:
    """Raise FolderUnreadable for the first file whose name is not valid UTF-8."""
    for path in paths:
        try:
            str(path).encode()
        except UnicodeEncodeError as error:
            place, name = (
                os.fsencode(part).decode(errors="backslashreplace")
                for part in (path.parent, path.name)
            )
            raise FolderUnreadable(
                f"{place} holds {name}, a name that is not UTF-8: rename it"
            ) from error


def read_content(path: Path) -> bytes:
    """Read a file.  Raises FolderUnreadable with its name, also for a pipe, which may never end."""
    try:
        if path.exists() and not path.is_file():
            raise FolderUnreadable(f"{path} is not a file")
        return path.read_bytes()
    except OSError as error:
        raise FolderUnreadable(f"{path}: {error.strerror or error}") from error


def read_photo(path: Path) -> Photo:
    """Decode a photo.  Raises FolderUnreadable with its name."""
    try:
        return images.decode(read_content(path))
    except (ImageUnreadable, ImageTooLarge) as error:
        raise FolderUnreadable(f"{path}: {error}") from error


def read_mask(path: Path, like: Srgb8) -> Matte8:
    """Read a mask of a photo: (H, W) uint8, 255 person.

    Raises FolderUnreadable when its size differs from that of `like`.
    """
    level = read_photo(path).srgb[..., 0]
    if level.shape != like.shape[:2]:
        height, width = level.shape
        raise FolderUnreadable(
            f"{path} is {width}×{height} pixels, its photo {like.shape[1]}×{like.shape[0]}"
        )
    return np.ascontiguousarray(level)


def counted_pixels(truth: Matte8) -> NDArray[np.bool_]:
    """Return which pixels of a mask count: (H, W) bool.

    In a mask with no levels other than 0, 128 and 255, 128 means "does not count"; in a soft
    matte it is an ordinary level.
    """
    levels = np.flatnonzero(np.bincount(truth.ravel(), minlength=256))
    if set(levels.tolist()) <= {BACKGROUND, NOT_COUNTED, PERSON}:
        return np.asarray(truth != NOT_COUNTED)
    return np.ones(truth.shape, np.bool_)


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read a CSV file that has these columns in every row.  Raises FolderUnreadable."""
    try:
        # Spreadsheets write a byte-order mark at the beginning of a file.
        text = read_content(path).decode("utf-8-sig")
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


def read_json(path: Path) -> object:
    """Read a JSON file.  Raises FolderUnreadable."""
    try:
        return json.loads(read_content(path))
    except (ValueError, RecursionError) as error:
        raise FolderUnreadable(f"{path}: {error}") from error


def read_crops(folder: Path) -> tuple[NDArray[np.uint8], list[dict[str, str]]]:
    """Read crops of faces, (N, 48, 48) uint8 gray, and the row of labels of each.

    A folder holds X_labels.csv, and X.npz with `images` or X.png with rows of crops.
    Raises FolderUnreadable.
    """
    labels = sorted(folder.glob("*_labels.csv"))
    if len(labels) != 1:
        raise FolderUnreadable(f"{folder} needs one file *_labels.csv, has {len(labels)}")
    rows = read_table(labels[0], ["Image name", "level"])
    stem = labels[0].name.removesuffix("_labels.csv")
    packed, sheet = folder / f"{stem}.npz", folder / f"{stem}.png"
    crops = _read_archive(packed, len(rows)) if packed.is_file() else _read_sheet(sheet, len(rows))
    return crops, rows


def group_prefix(name: str) -> str:
    """Return the part of a folder that a file's name gives: the text before the first _."""
    start, mark, _ = name.partition("_")
    return start if mark else ""


def _read_archive(path: Path, count: int) -> NDArray[np.uint8]:
    """Read an archive of crops; check the number of crops in its header before reading them."""
    shape = (count, CROP_PX, CROP_PX)
    try:
        with zipfile.ZipFile(path) as archive, archive.open("images.npy") as file:
            is_later = np.lib.format.read_magic(file) != (1, 0)
            shape_found, by_columns, kind = (
                np.lib.format.read_array_header_2_0(file)
                if is_later
                else np.lib.format.read_array_header_1_0(file)
            )
            if kind != np.uint8 or shape_found != shape:
                raise FolderUnreadable(
                    f"{path}: images are {kind} of shape {shape_found}, its labels need uint8 of"
                    f" {shape}"
                )
            # One byte more than expected: reading to the end makes zipfile compare the checksum.
            levels = file.read(math.prod(shape) + 1)
    except _ARCHIVE_ERRORS as error:
        raise FolderUnreadable(f"{path} is damaged or not an NPZ with `images`: {error}") from error
    if len(levels) != math.prod(shape):
        raise FolderUnreadable(f"{path} is damaged: it does not hold {count} crops")
    crops = np.frombuffer(levels, np.uint8).reshape(shape, order="F" if by_columns else "C")
    return np.array(crops, order="C")


def _read_sheet(path: Path, count: int) -> NDArray[np.uint8]:
    """Read a sheet of crops; it may be larger than any photo, but only as large as its labels."""
    size = (CROPS_PER_ROW * CROP_PX, math.ceil(count / CROPS_PER_ROW) * CROP_PX)
    packed = read_content(path)
    try:
        # Check the size in the header before any pixel is decoded.
        with Image.open(io.BytesIO(packed), formats=("PNG",)) as image:
            if image.size[0] != size[0] or image.size[1] != size[1]:
                raise FolderUnreadable(
                    f"{path} is not a sheet of {count} crops, {CROPS_PER_ROW} a row"
                )
        gray = cv2.imdecode(np.frombuffer(packed, np.uint8), cv2.IMREAD_GRAYSCALE)
    except UnidentifiedImageError as error:
        # Its message contains the memory address of the buffer.
        raise FolderUnreadable(f"{path} is not a PNG: get it again") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, cv2.error) as error:
        raise FolderUnreadable(f"{path}: {error}") from error
    if gray is None:
        raise FolderUnreadable(f"{path} is damaged: get it again")
    tiles = gray.reshape(-1, CROP_PX, CROPS_PER_ROW, CROP_PX).swapaxes(1, 2)
    return np.ascontiguousarray(tiles.reshape(-1, CROP_PX, CROP_PX)[:count], dtype=np.uint8)
