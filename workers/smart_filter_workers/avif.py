"""What an AVIF file holds, looked through before any of it is decoded.

Readers decode what is coded and then scale it to what the file's header says: a few
kilobytes that say 64×64 may hold hundreds of megapixels.
"""

import io
import itertools
import struct
from collections.abc import Iterator
from typing import IO, Final

from smart_filter_shared import isobmff
from smart_filter_shared.errors import ImageTooLarge, ImageUnreadable
from smart_filter_shared.isobmff import Box

# Of a coded picture: delimiter, sequence header, metadata and a frame; more is no photo's.
_MAX_UNITS: Final = 100
_MAX_ITEMS: Final = 1000
# Honest pictures do not overlap; a track may hold again what is a picture, and headers of
# boxes are read with a few bytes of what follows.
_MAX_READ_OVER: Final = 3
_FREE_BYTES: Final = 1_000_000
# Kinds of units (AV1, 6.2.2).
_SEQUENCE_HEADER: Final = 1
_HAS_TIER_ABOVE_LEVEL: Final = 7
_FROM_FILE, _FROM_IDAT = 0, 1
_TRACK: Final = (b"moov", b"trak", b"mdia", b"minf", b"stbl")


def checked(content: bytes, *, most_pixels: int) -> bytes:
    """Return the file as a decoder may have it: its pictures bounded, without EXIF.

    How the photo lies is told by properties of the picture, never by EXIF (ISO/IEC 23000-22,
    7.3.9), and Pillow trips over a broken one.
    Raises ImageTooLarge when a picture or a first frame is coded with more than `most_pixels`,
    ImageUnreadable when that cannot be told.
    """
    file = _Bounded(content)
    try:
        pieces = itertools.chain(_items(file), _first_samples(file))
        sizes = [size for coded in pieces for size in _coded_sizes(coded)]
        exif = list(_kinds_of_exif(file))
    except (struct.error, IndexError) as error:
        raise ImageUnreadable(f"not a whole AVIF: {error}") from error
    if not sizes:
        raise ImageUnreadable("not a whole AVIF: nothing tells how large its pictures are coded")
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    if width * height > most_pixels:
        raise ImageTooLarge(f"coded as {width}×{height} pixels; at most {most_pixels} are accepted")
    if not exif:
        return content
    changed = bytearray(content)
    for at in exif:
        changed[at : at + 4] = b"none"
    return bytes(changed)


class _Bounded(io.BytesIO):
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


# --- where coded pictures lie -----------------------------------------------------------


def _items(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the coded pictures that the file names one by one."""
    for meta in isobmff.find(file, b"meta"):
        inside = list(isobmff.children(file, meta))
        coded = {one for box in inside if box.kind == b"iinf" for one in _coded_ids(file, box)}
        idat = next((box.start for box in inside if box.kind == b"idat"), 0)
        for box in inside:
            if box.kind == b"iloc":
                yield from _located(file, box.read(file), coded, idat)


def _coded_ids(file: IO[bytes], iinf: Box) -> Iterator[int]:
    return (number for number, kind, _ in _entries(file, iinf) if kind == b"av01")


def _kinds_of_exif(file: IO[bytes]) -> Iterator[int]:
    """Yield where in the file items are called EXIF."""
    for path in ((b"meta", b"iinf"), (b"moov", b"trak", b"meta", b"iinf")):
        for iinf in isobmff.find(file, *path):
            yield from (at for _, kind, at in _entries(file, iinf) if kind == b"Exif")


def _entries(file: IO[bytes], iinf: Box) -> Iterator[tuple[int, bytes, int]]:
    """Yield each item's number, its kind, and where that stands in the file.

    Source: ISO/IEC 14496-12, 8.11.6 (iinf, infe).
    """
    count_bytes = 4 if iinf.read(file)[0] else 2
    entries = Box(iinf.kind, iinf.start + 4 + count_bytes, iinf.end)
    for infe in isobmff.children(file, entries):
        entry = infe.read(file)
        layout = ">4xH2x4s" if entry[0] <= 2 else ">4xI2x4s"  # noqa: PLR2004 - the box's version
        number, kind = struct.unpack_from(layout, entry)
        yield int(number), kind, infe.start + struct.calcsize(layout) - 4


def _located(file: IO[bytes], iloc: bytes, coded: set[int], idat: int) -> Iterator[bytes]:
    """Yield the content of coded items. Source: ISO/IEC 14496-12, 8.11.3 (iloc)."""
    version = iloc[0]
    reader = _Bits(iloc[4:])
    offset_bits, length_bits, base_bits, index_bits = (8 * reader.take(4) for _ in range(4))
    wide = 32 if version >= 2 else 16  # noqa: PLR2004 - the box's version
    for _ in range(min(reader.take(wide), _MAX_ITEMS)):
        number = reader.take(wide)
        method = reader.take(16) & 15 if version else _FROM_FILE
        reader.take(16)  # which file it lies in: this one
        base = reader.take(base_bits) + (idat if method == _FROM_IDAT else 0)
        parts = []
        for _ in range(min(reader.take(16), _MAX_ITEMS)):
            reader.take(index_bits if version else 0)
            start = base + reader.take(offset_bits)
            length = reader.take(length_bits)
            parts.append((start, length))
        if number in coded and method in {_FROM_FILE, _FROM_IDAT}:
            yield b"".join(_piece(file, start, length) for start, length in parts)


def _first_samples(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the first frame of each track. Source: ISO/IEC 14496-12, 8.7 (stsz, stco, co64)."""
    for table in isobmff.find(file, *_TRACK):
        boxes = {box.kind: box.read(file) for box in isobmff.children(file, table)}
        if b"stsz" not in boxes:
            continue
        (length,) = struct.unpack_from(">4xI", boxes[b"stsz"])
        if not length:  # not all alike
            (length,) = struct.unpack_from(">12xI", boxes[b"stsz"])
        if b"co64" in boxes:
            (start,) = struct.unpack_from(">8xQ", boxes[b"co64"])
        else:
            (start,) = struct.unpack_from(">8xI", boxes.get(b"stco", b""))
        yield _piece(file, start, length)


def _piece(file: IO[bytes], start: int, length: int) -> bytes:
    end = file.seek(0, 2)
    # No length, or more than there is: as far as the file goes.
    return Box(b"", min(start, end), min(start + length, end) if length else end).read(file)


# --- what is coded ----------------------------------------------------------------------


def _coded_sizes(coded: bytes) -> Iterator[tuple[int, int]]:
    """Yield width and height of every sequence header. Source: AV1, 5.3 (units)."""
    at = 0
    for _ in range(_MAX_UNITS):
        if at >= len(coded):
            return
        head = coded[at]
        at += 2 if head & 4 else 1  # an extension
        length = len(coded) - at
        if head & 2:  # its length comes first
            length, at = _leb128(coded, at)
        if head >> 3 & 15 == _SEQUENCE_HEADER:
            yield _sequence_size(coded[at : at + length])
        at += length


def _leb128(coded: bytes, at: int) -> tuple[int, int]:
    """Return a number and where it ends. Source: AV1, 4.10.5."""
    value = 0
    for index in range(8):
        byte = coded[at + index]
        value |= (byte & 127) << 7 * index
        if byte < 128:  # noqa: PLR2004 - the highest bit says that more follows
            return value, at + index + 1
    raise IndexError("a length without end")


def _sequence_size(header: bytes) -> tuple[int, int]:
    """Return the largest width and height of a sequence's frames. Source: AV1, 5.5.1."""
    bits = _Bits(header)
    bits.take(4)  # profile, still picture
    if bits.take(1):  # reduced header of a still picture
        bits.take(5)
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    return bits.take(width_bits) + 1, bits.take(height_bits) + 1


def _skip_operating_points(bits: "_Bits") -> None:
    """Skip timing and operating points. Source: AV1, 5.5.1, 5.5.3, 5.5.4 and 5.5.5."""
    delay_bits = 0
    if bits.take(1):  # timing
        bits.take(64)
        if bits.take(1):
            bits.skip_uvlc()
        if bits.take(1):  # decoder model
            delay_bits = bits.take(5) + 1
            bits.take(42)
    with_display_delay = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > _HAS_TIER_ABOVE_LEVEL:
            bits.take(1)
        if delay_bits and bits.take(1):
            bits.take(2 * delay_bits + 1)
        if with_display_delay and bits.take(1):
            bits.take(4)


class _Bits:
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

    def skip_uvlc(self) -> None:
        """Skip a number that is as long as its leading zeros say. Source: AV1, 4.10.3."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        self.take(zeros if zeros < 32 else 0)  # noqa: PLR2004 - after more, none follow
