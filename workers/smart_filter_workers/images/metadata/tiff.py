"""Read the directories of a photo's EXIF without trusting them.

A few kilobytes can list thousands of entries that all refer back to themselves. So two directories
are read, each once and with a limit of entries, and missing data reads as empty.
Source: TIFF 6.0, section 2; CIPA DC-008 (EXIF 2.32), 4.6.2 and 4.6.3.
"""

import struct
from dataclasses import dataclass
from typing import Final

EXIF_PREFIX: Final = b"Exif\x00\x00"
# Cameras write at most a hundred.
MAX_ENTRIES: Final = 500
# Longer values are stored elsewhere, and the entry holds their position.
INLINE_BYTES: Final = 4

_CAMERA_TAGS_AT: Final = 0x8769
_LONG: Final = 4
_ENTRY_BYTES: Final = 12
_FIRST_AT: Final = 4
_BYTE_ORDERS: Final = {b"II*\x00": "<", b"MM\x00*": ">"}


@dataclass(frozen=True, slots=True)
class TiffEntry:
    """A tag: type and number of its values, and the position of the first, or of its position."""

    tag: int
    kind: int
    count: int
    at: int


class Tiff:
    """A block of EXIF, with or without its prefix; missing data reads as 0 or empty."""

    def __init__(self, exif: bytes) -> None:
        self.content = exif.removeprefix(EXIF_PREFIX)
        order = _BYTE_ORDERS.get(self.content[:4])
        self.order = order or "<"
        self._first = self.number("I", _FIRST_AT) if order else 0

    def photo(self) -> list[TiffEntry]:
        """Return the entries about the photo: the first directory."""
        return self._entries(self._first)

    def camera(self) -> list[TiffEntry]:
        """Return the camera's settings: the directory that the first one refers to."""
        for entry in self.photo():
            if entry.tag == _CAMERA_TAGS_AT and entry.kind == _LONG:
                place = self.number("I", entry.at)
                return [] if place == self._first else self._entries(place)
        return []

    def number(self, layout: str, at: int) -> int:
        """Return the number at a position, 0 beyond the end."""
        try:
            return int(struct.unpack_from(self.order + layout, self.content, at)[0])
        except struct.error:
            return 0

    def text(self, entry: TiffEntry, *, most_bytes: int) -> bytes:
        """Return a text up to its first zero, at most `most_bytes` of it, without a split letter.

        Letters are UTF-8; other bytes are returned unchanged.
        """
        at = entry.at if entry.count <= INLINE_BYTES else self.number("I", entry.at)
        longer = self.content[at : at + min(entry.count, most_bytes + 1)].split(b"\0")[0]
        end = min(len(longer), most_bytes)
        while 0 < end < len(longer) and longer[end] & 0xC0 == 0x80:  # noqa: PLR2004 - 10xxxxxx
            end -= 1
        return longer[:end]

    def _entries(self, directory: int) -> list[TiffEntry]:
        """Return the first MAX_ENTRIES complete entries of a directory."""
        if not directory:
            return []
        first = directory + 2
        there = max(0, len(self.content) - first) // _ENTRY_BYTES
        count = min(self.number("H", directory), there, MAX_ENTRIES)
        entries = []
        for at in range(first, first + _ENTRY_BYTES * count, _ENTRY_BYTES):
            tag, kind, values = struct.unpack_from(self.order + "HHI", self.content, at)
            entries.append(TiffEntry(tag, kind, values, at + 8))
        return entries
