"""Check an AVIF file before any of it is decoded.

Decoders decode the coded picture and then scale it to the size in the file's header: a few
kilobytes with a header of 64×64 may hold hundreds of megapixels.
"""

import itertools
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Final

from smart_filter_shared.errors import ImageTooLarge, ImageUnreadable
from smart_filter_shared.security import isobmff
from smart_filter_workers.images.heif.heif_items import (
    BitReader,
    BoundedFile,
    extract_tiff,
    read_contents,
    read_entries,
    slice_part,
)
from smart_filter_workers.images.heif.heif_properties import (
    Transform,
    primary_boxes,
    read_color,
    read_transforms,
)
from smart_filter_workers.images.metadata.code_points import ColorDescription

# Most units in a coded picture. A photo has a delimiter, sequence header, metadata and a frame.
_MAX_UNITS: Final = 100
# Boxes that name items, at most this long together: room for 1,000 items. libavif looks through
# all items for each one that it names: 20,000 of them take seconds, 80,000 minutes.
_MAX_INDEX_BYTES: Final = 48 * 1024
_INDEX: Final = frozenset({b"iinf", b"iloc", b"iref", b"ipma", b"grpl"})
_METAS: Final = ((b"meta",), (b"moov", b"trak", b"meta"))
# Bits of the third byte of a picture's configuration.
_HIGH_BIT_DEPTH, _TWELVE_BITS = 0x40, 0x20
# Kinds of units (AV1, 6.2.2).
_SEQUENCE_HEADER: Final = 1
_HAS_TIER_ABOVE_LEVEL: Final = 7
_TRACK: Final = (b"moov", b"trak", b"mdia", b"minf", b"stbl")


def sanitize(content: bytes, *, most_pixels: int) -> bytes:
    """Return the file as it may be decoded: its pictures within the limit, without EXIF.

    The picture's orientation is set by its properties, never by EXIF (ISO/IEC 23000-22, 7.3.9), and
    a broken EXIF makes Pillow fail.
    Raises ImageTooLarge when a picture or a first frame is coded with more than `most_pixels`,
    ImageUnreadable when its size is unknown, or it has far more items than a photo.
    """
    file = BoundedFile(content)
    try:
        _refuse_many_items(file)
        pieces = itertools.chain(_items(file, b"av01"), _first_samples(file))
        sizes = [size for coded in pieces for size in _coded_sizes(coded)]
        exif = list(_find_exif_kinds(file))
    except (struct.error, IndexError) as error:
        raise ImageUnreadable(f"not a whole AVIF: {error}") from error
    if not sizes:
        raise ImageUnreadable("not a whole AVIF: its pictures have no coded size")
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    if width * height > most_pixels:
        raise ImageTooLarge(f"coded as {width}×{height} pixels; at most {most_pixels} are accepted")
    if not exif:
        return content
    changed = bytearray(content)
    for at in exif:
        changed[at : at + 4] = b"none"
    return bytes(changed)


@dataclass(frozen=True, slots=True)
class AvifProperties:
    """The properties of the picture that a decoder returns, which it does not apply.

    bits: of a sample.  crops: to be done before the picture is turned.
    """

    bits: int
    color: ColorDescription | None
    crops: Sequence[Transform]


def read_properties(content: bytes) -> AvifProperties:
    """Return the properties of the main picture, or of the animation that precedes it.

    Raises ImageUnreadable when they are broken: a crop may hide what is private.
    """
    file = BoundedFile(content)
    try:
        boxes = [box for meta in isobmff.find(file, b"meta") for box in primary_boxes(file, meta)]
        every = list(isobmff.find(file, b"meta", b"iprp", b"ipco", b"av1C"))
        if content[8:12] == b"avis":
            boxes = every = list(_sample_properties(file)) or boxes
        coding = next((box.read(file) for box in every if box.kind == b"av1C"), b"")
        # Source: AV1 in ISO base media files, 2.3.3: high_bitdepth and twelve_bit.
        deep = coding[2] & _HIGH_BIT_DEPTH if len(coding) > 2 else 0  # noqa: PLR2004 - the byte
        bits = (12 if coding[2] & _TWELVE_BITS else 10) if deep else 8
        crops = [
            transform for transform in read_transforms(file, boxes) if transform.kind == b"clap"
        ]
        return AvifProperties(bits, read_color(file, boxes), crops)
    except (struct.error, IndexError) as error:
        raise ImageUnreadable(f"not a whole AVIF: {error}") from error


def read_exif(content: bytes) -> bytes:
    """Return the EXIF of a file, from its TIFF header on; empty if missing or broken."""
    try:
        return extract_tiff(next(_items(BoundedFile(content), b"Exif"), b""))
    except (struct.error, IndexError):
        return b""


# --- places of coded pictures -----------------------------------------------------------


def _items(file: IO[bytes], kind: bytes) -> Iterator[bytes]:
    """Yield the contents of the items of one kind."""
    for meta in isobmff.find(file, b"meta"):
        inside = list(isobmff.children(file, meta))
        wanted = {
            entry.number
            for box in inside
            if box.kind == b"iinf"
            for entry in read_entries(file, box)
            if entry.kind == kind
        }
        idat = next((box.start for box in inside if box.kind == b"idat"), 0)
        for box in inside:
            if box.kind == b"iloc":
                yield from (
                    content for _, content in read_contents(file, box.read(file), wanted, idat)
                )


def _refuse_many_items(file: IO[bytes]) -> None:
    """Raise IndexError when the boxes that name items are longer than in any photo."""
    for path in _METAS:
        for meta in isobmff.find(file, *path):
            inside = list(isobmff.children(file, meta))
            for box in inside.copy():
                if box.kind == b"iprp":
                    inside += isobmff.children(file, box)
            if sum(box.end - box.start for box in inside if box.kind in _INDEX) > _MAX_INDEX_BYTES:
                raise IndexError("it has more items than a photo")


def _find_exif_kinds(file: IO[bytes]) -> Iterator[int]:
    """Yield the positions in the file of the kind fields of EXIF items."""
    for path in _METAS:
        for iinf in isobmff.find(file, *path, b"iinf"):
            yield from (
                entry.kind_at for entry in read_entries(file, iinf) if entry.kind == b"Exif"
            )


def _first_samples(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the first frame of each track. Source: ISO/IEC 14496-12, 8.7 (stsz, stco, co64)."""
    for table in isobmff.find(file, *_TRACK):
        boxes = {box.kind: box.read(file) for box in isobmff.children(file, table)}
        if b"stsz" not in boxes:
            continue
        (length,) = struct.unpack_from(">4xI", boxes[b"stsz"])
        if not length:  # samples differ in length
            (length,) = struct.unpack_from(">12xI", boxes[b"stsz"])
        if b"co64" in boxes:
            (start,) = struct.unpack_from(">8xQ", boxes[b"co64"])
        else:
            (start,) = struct.unpack_from(">8xI", boxes.get(b"stco", b""))
        yield slice_part(file, start, length)


def _sample_properties(file: IO[bytes]) -> Iterator[isobmff.Box]:
    """Yield the boxes about the frames of the first track.

    Source: ISO/IEC 14496-12, 8.5.2 (stsd) and 12.1.3 (the fields before a visual entry's boxes).
    """
    for description in itertools.islice(isobmff.find(file, *_TRACK, b"stsd"), 1):
        entries = isobmff.Box(b"", description.start + 8, description.end)
        for entry in itertools.islice(isobmff.children(file, entries), 1):
            yield from isobmff.children(file, isobmff.Box(b"", entry.start + 78, entry.end))


# --- coded pictures ---------------------------------------------------------------------


def _coded_sizes(coded: bytes) -> Iterator[tuple[int, int]]:
    """Yield width and height of every sequence header. Source: AV1, 5.3 (units)."""
    at = 0
    for _ in range(_MAX_UNITS):
        if at >= len(coded):
            return
        head = coded[at]
        at += 2 if head & 4 else 1  # an extension
        length = len(coded) - at
        if head & 2:  # a length field follows
            length, at = _leb128(coded, at)
        if head >> 3 & 15 == _SEQUENCE_HEADER:
            yield _sequence_size(coded[at : at + length])
        at += length


def _leb128(coded: bytes, at: int) -> tuple[int, int]:
    """Return a number and the position after it. Source: AV1, 4.10.5."""
    value = 0
    for index in range(8):
        byte = coded[at + index]
        value |= (byte & 127) << 7 * index
        if byte < 128:  # noqa: PLR2004 - the highest bit says that more follows
            return value, at + index + 1
    raise IndexError("a length has no end")


def _sequence_size(header: bytes) -> tuple[int, int]:
    """Return the largest width and height of a sequence's frames. Source: AV1, 5.5.1."""
    bits = BitReader(header)
    bits.take(4)  # profile, still picture
    if bits.take(1):  # reduced header of a still picture
        bits.take(5)
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    return bits.take(width_bits) + 1, bits.take(height_bits) + 1


def _skip_operating_points(bits: BitReader) -> None:
    """Skip timing and operating points. Source: AV1, 5.5.1, 5.5.3, 5.5.4 and 5.5.5."""
    delay_bits = 0
    if bits.take(1):  # timing
        bits.take(64)
        if bits.take(1):
            bits.take_exp_golomb()
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
