"""Items of an AVIF or HEIC file: their kinds and their positions.

Source: ISO/IEC 14496-12, 8.11 (meta boxes), and ISO/IEC 23008-12 (HEIF).
"""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final

from smart_filter_shared.security import isobmff
from smart_filter_shared.security.isobmff import Box

MAX_ITEMS: Final = 1000
# Valid pictures do not overlap. A track may repeat a picture, and box headers are read with a few
# following bytes.
_MAX_REREADS: Final = 3
_FREE_BYTES: Final = 1_000_000
_FROM_FILE, _FROM_IDAT = 0, 1
_MAX_LEADING_ZEROS: Final = 32


@dataclass(frozen=True, slots=True)
class ItemEntry:
    """An item: its number, its kind, and the kind's position in the file."""

    number: int
    kind: bytes
    kind_at: int


class BoundedFile(io.BytesIO):
    """A file with a limit on repeated reads, because its parts may overlap.

    A thousand pictures of a thousand parts, each the whole file, would exhaust memory.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._left = _MAX_REREADS * len(content) + _FREE_BYTES

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes.  Raises IndexError when too much has been read."""
        piece = super().read(size)
        self._left -= len(piece)
        if self._left < 0:
            raise IndexError("its parts overlap")
        return piece


class BitReader:
    """Reads numbers of any width, highest bit first; raises IndexError beyond the end."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def take(self, count: int) -> int:
        """Return the next `count` bits as a number."""
        first, self._at = self._at, self._at + count
        if self._at > 8 * len(self._content):
            raise IndexError("the header ends early")
        piece = self._content[first // 8 : (self._at + 7) // 8]
        return int.from_bytes(piece) >> (-self._at % 8) & ((1 << count) - 1)

    def take_exp_golomb(self) -> int:
        """Return an Exp-Golomb number; the number of its leading zeros is limited.

        Source: AV1, 4.10.3 (uvlc); ITU-T H.265, 9.2 (ue(v)).
        """
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > _MAX_LEADING_ZEROS:
                raise IndexError("a number has no end")
        return (1 << zeros) - 1 + self.take(zeros)


def read_entries(file: IO[bytes], iinf: Box) -> Iterator[ItemEntry]:
    """Yield the entries of the items. Source: ISO/IEC 14496-12, 8.11.6 (iinf, infe)."""
    count_bytes = 4 if iinf.read(file)[0] else 2
    listed = Box(iinf.kind, iinf.start + 4 + count_bytes, iinf.end)
    for infe in isobmff.children(file, listed):
        entry = infe.read(file)
        layout = ">4xH2x4s" if entry[0] <= 2 else ">4xI2x4s"  # noqa: PLR2004 - the box's version
        number, kind = struct.unpack_from(layout, entry)
        yield ItemEntry(int(number), kind, infe.start + struct.calcsize(layout) - 4)


def read_contents(
    file: IO[bytes], iloc: bytes, wanted: set[int], idat: int
) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of the wanted items. Source: ISO/IEC 14496-12, 8.11.3 (iloc).

    idat: position in the file of the content of the box idat.
    """
    version = iloc[0]
    reader = BitReader(iloc[4:])
    offset_bits, length_bits, base_bits, index_bits = (8 * reader.take(4) for _ in range(4))
    wide = 32 if version >= 2 else 16  # noqa: PLR2004 - the box's version
    for _ in range(min(reader.take(wide), MAX_ITEMS)):
        number = reader.take(wide)
        method = reader.take(16) & 15 if version else _FROM_FILE
        reader.take(16)  # data reference index: always this file
        base = reader.take(base_bits) + (idat if method == _FROM_IDAT else 0)
        parts = []
        for _ in range(min(reader.take(16), MAX_ITEMS)):
            reader.take(index_bits if version else 0)
            start = base + reader.take(offset_bits)
            length = reader.take(length_bits)
            parts.append((start, length))
        if number in wanted and method in {_FROM_FILE, _FROM_IDAT}:
            yield number, b"".join(slice_part(file, start, length) for start, length in parts)


def extract_tiff(exif: bytes) -> bytes:
    """Return an EXIF item from its TIFF header on. Source: ISO/IEC 23008-12, annex A.2.1."""
    return exif[4 + int.from_bytes(exif[:4]) :]


def slice_part(file: IO[bytes], start: int, length: int) -> bytes:
    """Return a part of the file; up to its end if the length is 0 or exceeds it."""
    end = file.seek(0, 2)
    return Box(b"", min(start, end), min(start + length, end) if length else end).read(file)
