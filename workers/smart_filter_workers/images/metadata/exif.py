"""EXIF: read a photo's tags, its orientation and the time when it was taken.

Source: CIPA DC-008 (EXIF), TIFF 6.0 section 2.
"""

import datetime as dt
import re
import struct
import warnings
from collections.abc import Mapping
from typing import Final

from PIL import ExifTags, Image

EXIF_PREFIX: Final = b"Exif\x00\x00"
# Errors that Pillow raises on bad bytes, when it opens a block and when it reads a value.
_PILLOW_ERRORS: Final = (SyntaxError, OSError, ValueError, KeyError, TypeError, struct.error)
_ORIENTATION_TAG: Final = 0x0112  # CIPA DC-008 4.6.4; values 1..8
_TAKEN_TAG: Final = 0x9003  # 4.6.5: DateTimeOriginal
_ZONE_TAG: Final = 0x9011  # 4.6.5: OffsetTimeOriginal
UPRIGHT: Final = 1
_ORIENTATIONS: Final = range(1, 9)
# As an attribute or an element. Source: XMP specification part 2, 2.9 (the TIFF schema).
_XMP_ORIENTATION: Final = re.compile(rb"tiff:Orientation(?:\s*=\s*[\"']|\s*>\s*)([1-8])\s*[\"'<]")
_MAX_XMP_BYTES: Final = 65_536  # of a JPEG's segment
_TIMESTAMP_PATTERN: Final = re.compile(r"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d")
_ZONE_PATTERN: Final = re.compile(r"[+-]\d\d:\d\d")


class ExifBlock:
    """The tags of a photo; a broken block has none, and a broken value is missing."""

    def __init__(self, exif: bytes) -> None:
        # Pillow warns of each broken tag; a block may have thousands.
        warnings.filterwarnings("ignore", module="PIL.TiffImagePlugin")
        self._photo = Image.Exif()
        self._camera: Mapping[int, object] = {}
        try:
            self._photo.load(exif)
            self._camera = self._photo.get_ifd(ExifTags.IFD.Exif)
        except _PILLOW_ERRORS:
            pass

    def photo(self, tag: int) -> object:
        """Return the first value of a tag about the photo; None without it."""
        try:
            return _first(self._photo.get(tag))
        except _PILLOW_ERRORS:
            return None

    def camera(self, tag: int) -> object:
        """Return the first value of a tag about the camera's settings; None without it."""
        return _first(self._camera.get(tag))


def read_orientation(exif: bytes, xmp: bytes = b"") -> int:
    """Return the orientation, 1..8; 1, upright, if missing or invalid.

    That of XMP counts only where EXIF has none: programs that turn a photo correct EXIF, and forget
    XMP more often than the reverse.
    """
    orientation = ExifBlock(exif).photo(_ORIENTATION_TAG)
    if isinstance(orientation, int) and orientation in _ORIENTATIONS:
        return orientation
    match = _XMP_ORIENTATION.search(xmp[:_MAX_XMP_BYTES])
    return UPRIGHT if match is None else int(match[1])


def read_taken_at(exif: bytes) -> dt.datetime | None:
    """Return when a photo was taken, in UTC; None if missing or invalid.

    A time without a zone counts as UTC: times from one camera keep their order.
    """
    block = ExifBlock(exif)
    taken = _TIMESTAMP_PATTERN.match(str(block.camera(_TAKEN_TAG)))
    zone = _ZONE_PATTERN.match(str(block.camera(_ZONE_TAG)))
    if taken is None:
        return None
    shift = "+00:00" if zone is None else zone.group()
    try:
        moment = dt.datetime.strptime(taken.group() + shift, "%Y:%m:%d %H:%M:%S%z")
        return moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None  # such as month 13, or "0000:00:00 00:00:00" from a camera without a clock


def _first(value: object) -> object:
    """Return the first of several values; bytes are several."""
    return (*value, None)[0] if isinstance(value, tuple | bytes) else value
