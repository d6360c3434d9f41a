"""Items of a still picture's file, AVIF or HEIC: what they are and where they lie.

Source: ISO/IEC 14496-12, 8.11 (meta boxes), and ISO/IEC 23008-12 (HEIF).
"""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final

from smart_filter_shared import isobmff
from smart_filter_shared.isobmff import Box

MAX_ITEMS: Final = 1000
# Honest pictures do not overlap; a track may hold again what is a picture, and headers of
# boxes are read with a few bytes of what follows.
_MAX_READ_OVER: Final = 3
_FREE_BYTES: Final = 1_000_000
_FROM_FILE, _FROM_IDAT = 0, 1
_MOST_ZEROS: Final = 32


@dataclass(frozen=True, slots=True)
class Entry:
    """What an item is called: its number, its kind, and where in the file that stands."""

    number: int
    kind: bytes
    kind_at: int


class Bounded(io.BytesIO):
    """A file that is read a few times over at most: its parts may claim to overlap.

    A thousand pictures of a thousand parts, each of them the whole file, would fill any memory.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._left = _MAX_READ_OVER * len(content) + _FREE_BYTES

    def read(self, size: int | None = -1, /) -> bytes:
        """Read on; IndexError when too much has been read."""
        piece = super().read(size)
        self._left -= len(piece)
        if self._left < 0:
            raise IndexError("its parts overlap")
        return piece


class Bits:
    """Reads numbers of any width, highest bit first; IndexError beyond the end."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def take(self, count: int) -> int:
        """Return the next so many bits as a number."""
        first, self._at = self._at, self._at + count
        if self._at > 8 * len(self._content):
            raise IndexError("the header ends early")
        piece = self._content[first // 8 : (self._at + 7) // 8]
        return int.from_bytes(piece) >> (-self._at % 8) & ((1 << count) - 1)

    def take_exp_golomb(self) -> int:
        """Return a number that is as long as its leading zeros say, of which there are few.

        Source: AV1, 4.10.3 (uvlc); ITU-T H.265, 9.2 (ue(v)).
        """
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > _MOST_ZEROS:
                raise IndexError("a number without end")
        return (1 << zeros) - 1 + self.take(zeros)


def entries(file: IO[bytes], iinf: Box) -> Iterator[Entry]:
    """Yield what the items are. Source: ISO/IEC 14496-12, 8.11.6 (iinf, infe)."""
    count_bytes = 4 if iinf.read(file)[0] else 2
    listed = Box(iinf.kind, iinf.start + 4 + count_bytes, iinf.end)
    for infe in isobmff.children(file, listed):
        entry = infe.read(file)
        layout = ">4xH2x4s" if entry[0] <= 2 else ">4xI2x4s"  # noqa: PLR2004 - the box's version
        number, kind = struct.unpack_from(layout, entry)
        yield Entry(int(number), kind, infe.start + struct.calcsize(layout) - 4)


def located(
    file: IO[bytes], iloc: bytes, wanted: set[int], idat: int
) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of the wanted items. Source: ISO/IEC 14496-12, 8.11.3 (iloc).

    idat: where in the file the content of the box of that name begins.
    """
    version = iloc[0]
    reader = Bits(iloc[4:])
    offset_bits, length_bits, base_bits, index_bits = (8 * reader.take(4) for _ in range(4))
    wide = 32 if version >= 2 else 16  # noqa: PLR2004 - the box's version
    for _ in range(min(reader.take(wide), MAX_ITEMS)):
        number = reader.take(wide)
        method = reader.take(16) & 15 if version else _FROM_FILE
        reader.take(16)  # which file it lies in: this one
        base = reader.take(base_bits) + (idat if method == _FROM_IDAT else 0)
        parts = []
        for _ in range(min(reader.take(16), MAX_ITEMS)):
            reader.take(index_bits if version else 0)
            start = base + reader.take(offset_bits)
            length = reader.take(length_bits)
            parts.append((start, length))
        if number in wanted and method in {_FROM_FILE, _FROM_IDAT}:
            yield number, b"".join(piece(file, start, length) for start, length in parts)


def tiff_of(exif: bytes) -> bytes:
    """Return an item of EXIF from its TIFF header on. Source: ISO/IEC 23008-12, annex A.2.1."""
    return exif[4 + int.from_bytes(exif[:4]) :]


def piece(file: IO[bytes], start: int, length: int) -> bytes:
    """Return a part of the file; no length, or more than there is: as far as the file goes."""
    end = file.seek(0, 2)
    return Box(b"", min(start, end), min(start + length, end) if length else end).read(file)
