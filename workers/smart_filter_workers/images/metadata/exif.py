"""EXIF: read a photo's tags, its orientation and the time when it was taken.

Source: CIPA DC-008 (EXIF), TIFF 6.0 section 2.

Filter a photo's EXIF for the finished picture: keep known tags and rewrite them.

Nothing is copied as it is: maker notes and thumbnails hold invisible data, and a broken block can
crash the next program that reads the picture. The place where the photo was taken is never kept.
Source: CIPA DC-008 (EXIF 2.32), 4.6; TIFF 6.0, section 2.
"""

import datetime as dt
import re
import struct
import warnings
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Final

from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

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

# Size of one JPEG segment. Other formats allow more, which no camera needs.
MAX_BYTES: Final = 65_535

_UPRIGHT: Final = 1
_MAX_TEXT_BYTES: Final = 256
_HEADER: Final = b"II*\0\x08\0\0\0"  # little-endian; the first directory follows
_SHORTS: Final = range(0x10000)

_ORIENTATION, _CAMERA_TAGS_AT = 0x0112, 0x8769
# Pixels per unit, and the unit (TIFF 6.0, section 8).
_ACROSS, _DOWN, _DENSITY_UNIT = 0x011A, 0x011B, 0x0128
_PER_INCH: Final = 2


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


class _TiffType(IntEnum):
    """The type of a value (TIFF 6.0, section 2)."""

    ASCII = 2
    SHORT = 3
    LONG = 4
    RATIONAL = 5
    UNDEFINED = 7
    SIGNED_RATIONAL = 10


# Tags that are kept: texts about the photo, its author, and the camera's settings. Left out: the
# camera's owner, serial numbers, places, maker notes, thumbnails.
_PHOTO_TAGS: Final[Mapping[int, _TiffType]] = {
    0x010E: _TiffType.ASCII,  # description
    0x010F: _TiffType.ASCII,  # maker
    0x0110: _TiffType.ASCII,  # model
    0x0132: _TiffType.ASCII,  # date and time
    0x013B: _TiffType.ASCII,  # artist
    0x8298: _TiffType.ASCII,  # copyright
}
_CAMERA_TAGS: Final[Mapping[int, _TiffType]] = {
    0x829A: _TiffType.RATIONAL,  # exposure time
    0x829D: _TiffType.RATIONAL,  # F number
    0x8822: _TiffType.SHORT,  # exposure program
    0x8827: _TiffType.SHORT,  # sensitivity
    0x9003: _TiffType.ASCII,  # taken at
    0x9004: _TiffType.ASCII,  # digitized at
    0x9010: _TiffType.ASCII,  # time zones of these
    0x9011: _TiffType.ASCII,
    0x9012: _TiffType.ASCII,
    0x9201: _TiffType.SIGNED_RATIONAL,  # shutter speed
    0x9202: _TiffType.RATIONAL,  # aperture
    0x9204: _TiffType.SIGNED_RATIONAL,  # exposure bias
    0x9205: _TiffType.RATIONAL,  # largest aperture
    0x9207: _TiffType.SHORT,  # metering
    0x9208: _TiffType.SHORT,  # light source
    0x9209: _TiffType.SHORT,  # flash
    0x920A: _TiffType.RATIONAL,  # focal length
    0x9290: _TiffType.ASCII,  # fractions of seconds
    0x9291: _TiffType.ASCII,
    0x9292: _TiffType.ASCII,
    0xA402: _TiffType.SHORT,  # exposure mode
    0xA403: _TiffType.SHORT,  # white balance
    0xA404: _TiffType.RATIONAL,  # digital zoom
    0xA405: _TiffType.SHORT,  # focal length as on 35 mm film
    0xA406: _TiffType.SHORT,  # kind of scene
    0xA433: _TiffType.ASCII,  # lens maker
    0xA434: _TiffType.ASCII,  # lens model
}

# Numerators and denominators that a file can hold.
_RATIONALS: Final = {
    _TiffType.RATIONAL: range(1 << 32),
    _TiffType.SIGNED_RATIONAL: range(-(1 << 31), 1 << 31),
}


def filter_tags(exif: bytes, *, width: int, height: int, dots_per_inch: int | None = None) -> bytes:
    """Return the EXIF for a picture of this size, from its TIFF header on; empty without tags.

    exif: the photo's original EXIF.  dots_per_inch: print resolution to write.
    """
    block = ExifBlock(exif)
    photo, camera = ImageFileDirectory_v2(), ImageFileDirectory_v2()
    _copy(block.photo, _PHOTO_TAGS, photo)
    _copy(block.camera, _CAMERA_TAGS, camera)
    if not photo and not camera and dots_per_inch is None:
        return b""
    if dots_per_inch is not None:
        photo[_ACROSS] = photo[_DOWN] = dots_per_inch  # Pillow knows their types
        photo[_DENSITY_UNIT] = _PER_INCH
    photo[_ORIENTATION] = _UPRIGHT
    _set(camera, 0x9000, _TiffType.UNDEFINED, b"0232")  # the version of EXIF
    _set(camera, 0xA001, _TiffType.SHORT, 1)  # sRGB
    _set(camera, 0xA002, _TiffType.LONG, width)
    _set(camera, 0xA003, _TiffType.LONG, height)
    _set(photo, _CAMERA_TAGS_AT, _TiffType.LONG, 0)  # placeholder for the position
    behind = len(_HEADER) + len(photo.tobytes(len(_HEADER)))
    _set(photo, _CAMERA_TAGS_AT, _TiffType.LONG, behind)
    return _HEADER + photo.tobytes(len(_HEADER)) + camera.tobytes(behind)


def _copy(
    read: Callable[[int], object],
    wanted: Mapping[int, _TiffType],
    directory: ImageFileDirectory_v2,
) -> None:
    """Copy the wanted values that have the expected type into a directory."""
    for tag, kind in wanted.items():
        value = _check_value(read(tag), kind)
        if value is not None:
            _set(directory, tag, kind, value)


def _set(
    directory: ImageFileDirectory_v2, tag: int, kind: _TiffType, value: bytes | float | IFDRational
) -> None:
    directory.tagtype[tag] = kind  # Pillow guesses the types of most of the camera's tags
    directory[tag] = value


def _check_value(value: object, kind: _TiffType) -> bytes | int | IFDRational | None:
    """Return a value as it is written; None if it has another type, or no meaning."""
    match value:
        case str() if kind == _TiffType.ASCII:
            return _check_text(value.split("\0")[0].encode("latin-1"))  # as Pillow decodes
        case int() if kind == _TiffType.SHORT and value in _SHORTS:
            return value
        case IFDRational() if (numbers := _RATIONALS.get(kind)) is not None:
            fits = value.numerator in numbers and value.denominator in numbers
            return value if fits and value.denominator else None
    return None


def _check_text(text: bytes) -> bytes | None:
    """Return UTF-8 cut between letters; None if it is not such text."""
    try:
        letters = text.decode().strip()
    except UnicodeDecodeError:
        return None
    if not letters or min(letters) < " ":
        return None
    return letters.encode()[:_MAX_TEXT_BYTES].decode(errors="ignore").encode()
