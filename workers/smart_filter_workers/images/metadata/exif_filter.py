"""Filter a photo's EXIF for the finished picture: keep known tags and rewrite them.

Nothing is copied as it is: maker notes and thumbnails hold invisible data, and a broken block can
crash the next program that reads the picture. The place where the photo was taken is never kept.
Source: CIPA DC-008 (EXIF 2.32), 4.6; TIFF 6.0, section 2.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from smart_filter_workers.images.metadata.tiff import INLINE_BYTES, Tiff, TiffEntry

# Size of one JPEG segment. Other formats allow more, which no camera needs.
MAX_BYTES: Final = 65_535

_UPRIGHT: Final = 1
_MAX_TEXT_BYTES: Final = 256
_ENTRY: Final = struct.Struct("<HHI4s")
_SPACE: Final = 0x20


class _TiffType(IntEnum):
    """The type of a value (TIFF 6.0, section 2)."""

    ASCII = 2
    SHORT = 3
    LONG = 4
    RATIONAL = 5
    UNDEFINED = 7
    SIGNED_RATIONAL = 10


_ORIENTATION, _CAMERA_TAGS_AT = 0x0112, 0x8769
# Pixels per unit, and the unit (TIFF 6.0, section 8).
_ACROSS, _DOWN, _DENSITY_UNIT = 0x011A, 0x011B, 0x0128
_PER_INCH: Final = 2
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
_BYTES: Final[Mapping[_TiffType, int]] = {
    _TiffType.SHORT: 2,
    _TiffType.LONG: 4,
    _TiffType.RATIONAL: 8,
    _TiffType.SIGNED_RATIONAL: 8,
}


@dataclass(frozen=True, slots=True)
class _Value:
    """A value to write: its type, the number of elements, and their bytes, little-endian."""

    kind: _TiffType
    count: int
    content: bytes


def filter_tags(exif: bytes, *, width: int, height: int, dots_per_inch: int | None = None) -> bytes:
    """Return the EXIF for a picture of this size, from its TIFF header on; empty without tags.

    exif: the photo's original EXIF.  dots_per_inch: print resolution to write.
    """
    tiff = Tiff(exif)
    photo = _values(tiff, tiff.photo(), _PHOTO_TAGS)
    camera = _values(tiff, tiff.camera(), _CAMERA_TAGS)
    if not photo and not camera and dots_per_inch is None:
        return b""
    if dots_per_inch is not None:
        density = _Value(_TiffType.RATIONAL, 1, struct.pack("<II", dots_per_inch, 1))
        photo |= {_ACROSS: density, _DOWN: density, _DENSITY_UNIT: _short(_PER_INCH)}
    photo[_ORIENTATION] = _short(_UPRIGHT)
    camera[0x9000] = _Value(_TiffType.UNDEFINED, 4, b"0232")  # the version of EXIF
    camera[0xA001] = _short(1)  # sRGB
    camera[0xA002] = _Value(_TiffType.LONG, 1, struct.pack("<I", width))
    camera[0xA003] = _Value(_TiffType.LONG, 1, struct.pack("<I", height))
    photo[_CAMERA_TAGS_AT] = _Value(_TiffType.LONG, 1, bytes(4))  # placeholder for the position
    header = b"II*\0" + struct.pack("<I", 8)
    behind = len(header) + len(_directory(photo, at=len(header)))
    photo[_CAMERA_TAGS_AT] = _Value(_TiffType.LONG, 1, struct.pack("<I", behind))
    return header + _directory(photo, at=len(header)) + _directory(camera, at=behind)


def _values(
    tiff: Tiff, entries: Iterable[TiffEntry], wanted: Mapping[int, _TiffType]
) -> dict[int, _Value]:
    """Return the wanted values that have the expected type."""
    values = {}
    for entry in entries:
        if wanted.get(entry.tag) == entry.kind and entry.count:
            value = _value(tiff, entry)
            if value is not None:
                values[entry.tag] = value
    return values


def _value(tiff: Tiff, entry: TiffEntry) -> _Value | None:
    kind, place = _TiffType(entry.kind), entry.at
    if kind == _TiffType.ASCII:
        return _text(tiff.text(entry, most_bytes=_MAX_TEXT_BYTES).strip())
    size = _BYTES[kind]
    if size > INLINE_BYTES:
        place = tiff.number("I", place)
    if place + size > len(tiff.content):
        return None
    letters = {
        _TiffType.SHORT: "H",
        _TiffType.LONG: "I",
        _TiffType.RATIONAL: "II",
        _TiffType.SIGNED_RATIONAL: "ii",
    }[kind]
    numbers = struct.unpack_from(tiff.order + letters, tiff.content, place)
    return _Value(kind, 1, struct.pack("<" + letters, *numbers))


def _text(text: bytes) -> _Value | None:
    try:
        text.decode()
    except UnicodeDecodeError:
        return None
    if not text or min(text) < _SPACE:
        return None
    return _Value(_TiffType.ASCII, len(text) + 1, text + b"\0")


def _short(number: int) -> _Value:
    return _Value(_TiffType.SHORT, 1, struct.pack("<H", number))


def _directory(values: Mapping[int, _Value], *, at: int) -> bytes:
    """Return a directory for a position in the file, followed by its longer values."""
    head = struct.pack("<H", len(values))
    behind = at + len(head) + len(values) * _ENTRY.size + 4
    entries, longer = b"", b""
    for tag in sorted(values):
        value = values[tag]
        content = value.content.ljust(INLINE_BYTES, b"\0")
        if len(content) > INLINE_BYTES:
            content += bytes(len(content) % 2)
            place = struct.pack("<I", behind + len(longer))
            longer += content
            content = place
        entries += _ENTRY.pack(tag, value.kind, value.count, content)
    return head + entries + bytes(4) + longer
