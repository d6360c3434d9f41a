"""What a picture carries of its photo's EXIF: known tags, written anew.

Nothing is handed on as it came: maker's notes and thumbnails hold what nobody sees, and a
broken block can trip whoever reads the picture next. Where the photo was taken is never kept.
Source: CIPA DC-008 (EXIF 2.32), 4.6; TIFF 6.0, section 2.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from smart_filter_workers.images.tiff import INLINE_BYTES, Entry, Tiff

# What one segment of a JPEG holds; others may have more, and nobody needs it.
MAX_BYTES: Final = 65_535

_UPRIGHT: Final = 1
_MAX_TEXT_BYTES: Final = 256
_ENTRY: Final = struct.Struct("<HHI4s")
_SPACE: Final = 0x20


class _Kind(IntEnum):
    """How a value is written (TIFF 6.0, section 2)."""

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
# What is kept: words about the photo, whose it is, and how the camera was set. Not: the
# camera's owner, serial numbers, places, notes of makers, thumbnails.
_ABOUT_PHOTO: Final[Mapping[int, _Kind]] = {
    0x010E: _Kind.ASCII,  # description
    0x010F: _Kind.ASCII,  # maker
    0x0110: _Kind.ASCII,  # model
    0x0132: _Kind.ASCII,  # date and time
    0x013B: _Kind.ASCII,  # artist
    0x8298: _Kind.ASCII,  # copyright
}
_ABOUT_CAMERA: Final[Mapping[int, _Kind]] = {
    0x829A: _Kind.RATIONAL,  # exposure time
    0x829D: _Kind.RATIONAL,  # F number
    0x8822: _Kind.SHORT,  # exposure programme
    0x8827: _Kind.SHORT,  # sensitivity
    0x9003: _Kind.ASCII,  # taken at
    0x9004: _Kind.ASCII,  # digitised at
    0x9010: _Kind.ASCII,  # and their time zones
    0x9011: _Kind.ASCII,
    0x9012: _Kind.ASCII,
    0x9201: _Kind.SIGNED_RATIONAL,  # shutter speed
    0x9202: _Kind.RATIONAL,  # aperture
    0x9204: _Kind.SIGNED_RATIONAL,  # exposure bias
    0x9205: _Kind.RATIONAL,  # largest aperture
    0x9207: _Kind.SHORT,  # metering
    0x9208: _Kind.SHORT,  # light source
    0x9209: _Kind.SHORT,  # flash
    0x920A: _Kind.RATIONAL,  # focal length
    0x9290: _Kind.ASCII,  # fractions of seconds
    0x9291: _Kind.ASCII,
    0x9292: _Kind.ASCII,
    0xA402: _Kind.SHORT,  # exposure mode
    0xA403: _Kind.SHORT,  # white balance
    0xA404: _Kind.RATIONAL,  # digital zoom
    0xA405: _Kind.SHORT,  # focal length as on 35 mm film
    0xA406: _Kind.SHORT,  # kind of scene
    0xA433: _Kind.ASCII,  # lens maker
    0xA434: _Kind.ASCII,  # lens model
}
_BYTES: Final[Mapping[_Kind, int]] = {
    _Kind.SHORT: 2,
    _Kind.LONG: 4,
    _Kind.RATIONAL: 8,
    _Kind.SIGNED_RATIONAL: 8,
}


@dataclass(frozen=True, slots=True)
class _Value:
    """A value as it is written: how many of its kind, and their bytes, lowest first."""

    kind: _Kind
    count: int
    content: bytes


def kept(exif: bytes, *, width: int, height: int, dots_per_inch: int | None = None) -> bytes:
    """Return the EXIF that a picture of this size may carry, from its TIFF header on.

    exif: as the photo came with it.  dots_per_inch: as which it is to be printed.
    Returns nothing where there is nothing to say.
    """
    tiff = Tiff(exif)
    photo = _values(tiff, tiff.photo(), _ABOUT_PHOTO)
    camera = _values(tiff, tiff.camera(), _ABOUT_CAMERA)
    if not photo and not camera and dots_per_inch is None:
        return b""
    if dots_per_inch is not None:
        density = _Value(_Kind.RATIONAL, 1, struct.pack("<II", dots_per_inch, 1))
        photo |= {_ACROSS: density, _DOWN: density, _DENSITY_UNIT: _short(_PER_INCH)}
    photo[_ORIENTATION] = _short(_UPRIGHT)
    camera[0x9000] = _Value(_Kind.UNDEFINED, 4, b"0232")  # the version of EXIF
    camera[0xA001] = _short(1)  # sRGB
    camera[0xA002] = _Value(_Kind.LONG, 1, struct.pack("<I", width))
    camera[0xA003] = _Value(_Kind.LONG, 1, struct.pack("<I", height))
    photo[_CAMERA_TAGS_AT] = _Value(_Kind.LONG, 1, bytes(4))  # its place is not known yet
    header = b"II*\0" + struct.pack("<I", 8)
    behind = len(header) + len(_directory(photo, at=len(header)))
    photo[_CAMERA_TAGS_AT] = _Value(_Kind.LONG, 1, struct.pack("<I", behind))
    return header + _directory(photo, at=len(header)) + _directory(camera, at=behind)


def _values(tiff: Tiff, entries: Iterable[Entry], wanted: Mapping[int, _Kind]) -> dict[int, _Value]:
    """Return the values that are wanted, and are what they should be."""
    found = {}
    for entry in entries:
        if wanted.get(entry.tag) == entry.kind and entry.count:
            value = _value(tiff, entry)
            if value is not None:
                found[entry.tag] = value
    return found


def _value(tiff: Tiff, entry: Entry) -> _Value | None:
    kind, place = _Kind(entry.kind), entry.at
    if kind == _Kind.ASCII:
        return _text(tiff.text(entry, most_bytes=_MAX_TEXT_BYTES).strip())
    size = _BYTES[kind]
    if size > INLINE_BYTES:
        place = tiff.number("I", place)
    if place + size > len(tiff.content):
        return None
    letters = {
        _Kind.SHORT: "H",
        _Kind.LONG: "I",
        _Kind.RATIONAL: "II",
        _Kind.SIGNED_RATIONAL: "ii",
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
    return _Value(_Kind.ASCII, len(text) + 1, text + b"\0")


def _short(number: int) -> _Value:
    return _Value(_Kind.SHORT, 1, struct.pack("<H", number))


def _directory(values: Mapping[int, _Value], *, at: int) -> bytes:
    """Return a directory as it stands at a place, its longer values behind it."""
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
