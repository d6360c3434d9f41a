"""What a photo's EXIF says of how it lies, and of when it was taken.

Source: CIPA DC-008 (EXIF), TIFF 6.0 section 2.
"""

import datetime as dt
import re
from typing import Final

from smart_filter_workers.images.tiff import Tiff

_ORIENTATION_TAG: Final = 0x0112  # CIPA DC-008 4.6.4; its values are 1..8, of kind SHORT
_TAKEN_TAG: Final = 0x9003  # 4.6.5: DateTimeOriginal
_ZONE_TAG: Final = 0x9011  # 4.6.5: OffsetTimeOriginal
_TEXT, _SHORT = 2, 3
UPRIGHT: Final = 1
_TAKEN: Final = re.compile(rb"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d")
_ZONE: Final = re.compile(rb"[+-]\d\d:\d\d")
_MOST_BYTES: Final = 32


def orientation(exif: bytes) -> int:
    """Return the EXIF orientation, 1..8; 1, upright, when absent or not to be made out."""
    tiff = Tiff(exif)
    for entry in tiff.photo():
        if entry.tag == _ORIENTATION_TAG and entry.kind == _SHORT:
            return tiff.number("H", entry.at)
    return UPRIGHT


def taken_at(exif: bytes) -> dt.datetime | None:
    """Return when a photo was taken, in UTC; None when absent or not to be made out.

    A clock that names no zone counts as UTC: times of one camera still follow each other.
    """
    tiff = Tiff(exif)
    texts = {
        entry.tag: tiff.text(entry, most_bytes=_MOST_BYTES)
        for entry in tiff.camera()
        if entry.tag in (_TAKEN_TAG, _ZONE_TAG) and entry.kind == _TEXT
    }
    taken, zone = _TAKEN.match(texts.get(_TAKEN_TAG, b"")), _ZONE.match(texts.get(_ZONE_TAG, b""))
    if taken is None:
        return None
    shift = "+00:00" if zone is None else zone.group().decode()
    try:
        moment = dt.datetime.strptime(taken.group().decode() + shift, "%Y:%m:%d %H:%M:%S%z")
        return moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None  # such as the month 13, or "0000:00:00 00:00:00" of a camera without a clock
