"""What a photo's EXIF says, read without trusting any of it.

Source: CIPA DC-008 (EXIF), TIFF 6.0 section 2.
"""

import datetime as dt
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

PREFIX: Final = b"Exif\x00\x00"

_ORIENTATION_TAG: Final = 0x0112  # CIPA DC-008 4.6.4; its values are 1..8, of kind SHORT
_EXIF_TAG: Final = 0x8769  # 4.6.3: where the tags of the exposure are
_TAKEN_TAG: Final = 0x9003  # 4.6.5: DateTimeOriginal
_ZONE_TAG: Final = 0x9011  # 4.6.5: OffsetTimeOriginal
_TEXT, _SHORT, _LONG = 2, 3, 4
UPRIGHT: Final = 1
_TAKEN: Final = re.compile(rb"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d")
_ZONE: Final = re.compile(rb"[+-]\d\d:\d\d")


@dataclass(frozen=True, slots=True)
class _Tiff:
    content: bytes
    order: str


@dataclass(frozen=True, slots=True)
class _Tag:
    number: int
    kind: int
    count: int
    at: int


def orientation(exif: bytes) -> int:
    """Return the EXIF orientation, 1..8; 1, upright, when absent or not to be made out."""
    tiff = _tiff(exif)
    if tiff is None:
        return UPRIGHT
    try:
        for tag in _tags(tiff, _first(tiff)):
            if tag.number == _ORIENTATION_TAG and tag.kind == _SHORT:
                return _number(tiff, "H", tag.at)
    except struct.error:
        pass  # broken EXIF is no reason to refuse a photo
    return UPRIGHT


def taken_at(exif: bytes) -> dt.datetime | None:
    """Return when a photo was taken, in UTC; None when absent or not to be made out.

    A clock that names no zone counts as UTC: times of one camera still follow each other.
    """
    tiff = _tiff(exif)
    if tiff is None:
        return None
    try:
        texts = {
            tag.number: _text(tiff, tag)
            for pointer in _tags(tiff, _first(tiff))
            if pointer.number == _EXIF_TAG and pointer.kind == _LONG
            for tag in _tags(tiff, _number(tiff, "I", pointer.at))
            if tag.number in (_TAKEN_TAG, _ZONE_TAG) and tag.kind == _TEXT
        }
    except struct.error:
        return None
    taken, zone = _TAKEN.match(texts.get(_TAKEN_TAG, b"")), _ZONE.match(texts.get(_ZONE_TAG, b""))
    if taken is None:
        return None
    shift = "+00:00" if zone is None else zone.group().decode()
    try:
        moment = dt.datetime.strptime(taken.group().decode() + shift, "%Y:%m:%d %H:%M:%S%z")
        return moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None  # such as the month 13, or "0000:00:00 00:00:00" of a camera without a clock


def _tiff(exif: bytes) -> _Tiff | None:
    content = exif.removeprefix(PREFIX)
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(content[:4])
    return None if order is None else _Tiff(content, order)


def _first(tiff: _Tiff) -> int:
    return _number(tiff, "I", 4)


def _tags(tiff: _Tiff, directory: int) -> Iterator[_Tag]:
    """Yield the tags of a directory.  Raises struct.error past the end."""
    for index in range(_number(tiff, "H", directory)):
        at = directory + 2 + 12 * index
        number, kind, count = struct.unpack_from(tiff.order + "HHI", tiff.content, at)
        yield _Tag(number, kind, count, at + 8)


def _text(tiff: _Tiff, tag: _Tag) -> bytes:
    """Return a text, which lies in its tag when that holds it."""
    at = tag.at if tag.count <= 4 else _number(tiff, "I", tag.at)  # noqa: PLR2004 - bytes
    return tiff.content[at : at + min(tag.count, 32)]


def _number(tiff: _Tiff, kind: str, at: int) -> int:
    (value,) = struct.unpack_from(tiff.order + kind, tiff.content, at)
    return int(value)
