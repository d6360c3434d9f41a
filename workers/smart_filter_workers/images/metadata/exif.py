"""EXIF: read a photo's orientation and the time when it was taken.

Source: CIPA DC-008 (EXIF), TIFF 6.0 section 2.
"""

import datetime as dt
import re
from typing import Final

from smart_filter_workers.images.metadata.tiff import Tiff

_ORIENTATION_TAG: Final = 0x0112  # CIPA DC-008 4.6.4; values 1..8
# By the type of the value: EXIF demands SHORT, and some programs write another one.
_ORIENTATION_LAYOUTS: Final = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}
_TAKEN_TAG: Final = 0x9003  # 4.6.5: DateTimeOriginal
_ZONE_TAG: Final = 0x9011  # 4.6.5: OffsetTimeOriginal
_TEXT: Final = 2
UPRIGHT: Final = 1
_ORIENTATIONS: Final = range(1, 9)
# As an attribute or an element. Source: XMP specification part 2, 2.9 (the TIFF schema).
_XMP_ORIENTATION: Final = re.compile(rb"tiff:Orientation(?:\s*=\s*[\"']|\s*>\s*)([1-8])\s*[\"'<]")
_MAX_XMP_BYTES: Final = 65_536  # of a JPEG's segment
_TIMESTAMP_PATTERN: Final = re.compile(rb"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d")
_ZONE_PATTERN: Final = re.compile(rb"[+-]\d\d:\d\d")
_MAX_TEXT_BYTES: Final = 32


def read_orientation(exif: bytes, xmp: bytes = b"") -> int:
    """Return the orientation, 1..8; 1, upright, if missing or invalid.

    That of XMP counts only where EXIF has none: programs that turn a photo correct EXIF, and forget
    XMP more often than the reverse.
    """
    tiff = Tiff(exif)
    for entry in tiff.photo():
        if entry.tag == _ORIENTATION_TAG and entry.kind in _ORIENTATION_LAYOUTS:
            orientation = tiff.number(_ORIENTATION_LAYOUTS[entry.kind], entry.at)
            if orientation in _ORIENTATIONS:
                return orientation
    match = _XMP_ORIENTATION.search(xmp[:_MAX_XMP_BYTES])
    return UPRIGHT if match is None else int(match[1])


def read_taken_at(exif: bytes) -> dt.datetime | None:
    """Return when a photo was taken, in UTC; None if missing or invalid.

    A time without a zone counts as UTC: times from one camera keep their order.
    """
    tiff = Tiff(exif)
    texts = {
        entry.tag: tiff.text(entry, most_bytes=_MAX_TEXT_BYTES)
        for entry in tiff.camera()
        if entry.tag in (_TAKEN_TAG, _ZONE_TAG) and entry.kind == _TEXT
    }
    taken, zone = (
        _TIMESTAMP_PATTERN.match(texts.get(_TAKEN_TAG, b"")),
        _ZONE_PATTERN.match(texts.get(_ZONE_TAG, b"")),
    )
    if taken is None:
        return None
    shift = "+00:00" if zone is None else zone.group().decode()
    try:
        moment = dt.datetime.strptime(taken.group().decode() + shift, "%Y:%m:%d %H:%M:%S%z")
        return moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None  # such as month 13, or "0000:00:00 00:00:00" from a camera without a clock
