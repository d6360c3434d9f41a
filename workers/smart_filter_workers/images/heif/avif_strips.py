"""Encode a large AVIF as a grid of strips, one after another.

The encoder takes forty bytes for each pixel of its input: two gigabytes for a photo of fifty
megapixels. A file may store a picture as parts of one size, which readers place side by side.
Source: ISO/IEC 23008-12, 6.6.2.3 (grid); ISO/IEC 14496-12, 8.11 (meta boxes); ISO/IEC
23000-22, 7.3.11.4 (rules for the parts).
"""

import io
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from smart_filter_shared.security import isobmff
from smart_filter_workers.results import Srgb8

# Pixels of a strip: encoding one takes a quarter of a gigabyte.
STRIP_PX: Final = 6_000_000
_MIN_ROWS: Final = 64
_COLOR, _ALPHA = 1, 2
_GRID, _CODED, _EXIF = b"grid", b"av01", b"Exif"
# Properties of a part that the whole picture does not share: its size and its coding.
_PART_PROPERTIES: Final = frozenset({b"ispe", b"av1C"})


@dataclass(frozen=True, slots=True)
class _Part:
    """An encoded strip.

    properties: complete boxes; holding: by item, indices of its properties, counted from 1, with
    the highest bit set for essential ones; contents: by item, the coded bytes.
    """

    properties: Sequence[bytes]
    holding: dict[int, bytes]
    contents: dict[int, bytes]


def encode_strips(
    pixels: Srgb8, encode: Callable[[Srgb8], bytes], *, tags: bytes, strip_px: int = STRIP_PX
) -> bytes | None:
    """Return an AVIF of (H, W, 3) or (H, W, 4) uint8; None if strips cannot be combined.

    encode: returns the AVIF of a strip; with halved chroma, the sides must be even. tags: EXIF,
    from its TIFF header on; may be empty.  strip_px: approximate pixels of a strip.
    """
    height, width = pixels.shape[:2]
    parts: list[_Part] = []
    for strip in _strips(pixels, strip_px):
        part = _part(encode(strip))
        # For example, a fully opaque strip is encoded without alpha.
        if parts and (part.properties, part.holding) != (parts[0].properties, parts[0].holding):
            return None
        parts.append(part)
    return _file(parts, width=width, height=height, tags=tags)


def _strips(pixels: Srgb8, strip_px: int) -> Iterator[Srgb8]:
    """Yield strips of one size; the last repeats its last row to fill it."""
    height, width = pixels.shape[:2]
    count = max(1, height * width // strip_px)
    rows = max(_MIN_ROWS, 2 * -(-height // (2 * count)))
    for top in range(0, height, rows):
        strip = pixels[top : top + rows]
        missing = rows - len(strip)
        if missing:
            strip = np.concatenate([strip, np.repeat(strip[-1:], missing, axis=0)])
        yield strip


# --- read the encoder's output ----------------------------------------------------------


def _part(content: bytes) -> _Part:
    file = io.BytesIO(content)
    (meta,) = isobmff.find(file, b"meta")
    inside = {box.kind: box for box in isobmff.children(file, meta)}
    about = {box.kind: box for box in isobmff.children(file, inside[b"iprp"])}
    properties = [_box(box.kind, box.read(file)) for box in isobmff.children(file, about[b"ipco"])]
    return _Part(
        properties,
        _item_properties(about[b"ipma"].read(file)),
        _contents(content, inside[b"iloc"].read(file)),
    )


def _item_properties(ipma: bytes) -> dict[int, bytes]:
    """Return the properties of items, from libavif's one byte for each."""
    (count,) = struct.unpack_from(">4xI", ipma)
    properties_by_item, at = {}, 8
    for _ in range(count):
        item, properties = struct.unpack_from(">HB", ipma, at)
        properties_by_item[item] = ipma[at + 3 : at + 3 + properties]
        at += 3 + properties
    return properties_by_item


def _contents(content: bytes, iloc: bytes) -> dict[int, bytes]:
    """Return the bytes of items, from libavif's table: one extent, 4 bytes for each number."""
    (count,) = struct.unpack_from(">6xH", iloc)
    contents = {}
    for index in range(count):
        item, _, _, start, length = struct.unpack_from(">HHHII", iloc, 8 + 14 * index)
        contents[item] = content[start : start + length]
    return contents


# --- write the combined file ------------------------------------------------------------


def _file(parts: Sequence[_Part], *, width: int, height: int, tags: bytes) -> bytes:
    items = list(_items(parts, width=width, height=height))
    primary = items[0].number
    references = b"".join(item.references for item in items)
    if tags:
        number = len(items) + 1
        # Annex A.2.1: the offset of the TIFF header comes first.
        items.append(_Item(number, _EXIF, bytes(4) + tags))
        references += _reference(b"cdsc", number, [primary])
    properties = [*parts[0].properties, _box(b"ispe", struct.pack(">4xII", width, height))]
    holders = [item for item in items if item.properties]
    ipma = struct.pack(">4xI", len(holders)) + b"".join(
        struct.pack(">HB", item.number, len(item.properties)) + item.properties for item in holders
    )
    infos = b"".join(
        _box(b"infe", struct.pack(">B3xHH4s", 2, item.number, 0, item.kind) + b"\0")
        for item in items
    )
    start = _box(b"ftyp", b"avif" + bytes(4) + b"avifmif1miaf")
    before = [
        _box(b"hdlr", bytes(8) + b"pict" + bytes(13)),
        _box(b"pitm", struct.pack(">4xH", primary)),
    ]
    behind = [
        _box(b"iinf", struct.pack(">4xH", len(items)) + infos),
        _box(b"iref", bytes(4) + references),
        _box(b"iprp", _box(b"ipco", b"".join(properties)) + _box(b"ipma", ipma)),
    ]
    length = sum(map(len, (start, *before, _iloc(items, 0), *behind))) + 12  # meta's own header
    meta = _box(b"meta", bytes(4) + b"".join((*before, _iloc(items, length + 8), *behind)))
    payload = sum(len(item.content) for item in items)
    head = struct.pack(">I4s", payload + 8, b"mdat")
    return b"".join((start, meta, head, *(item.content for item in items)))


@dataclass(frozen=True, slots=True)
class _Item:
    number: int
    kind: bytes
    content: bytes
    properties: bytes = b""
    references: bytes = b""


def _items(parts: Sequence[_Part], *, width: int, height: int) -> Iterator[_Item]:
    """Yield the picture and its parts, then its alpha and that one's parts."""
    first = parts[0]
    whole_size = len(first.properties) + 1
    layout = struct.pack(">BBBBII", 0, 1, len(parts) - 1, 0, width, height)
    number = primary = 1
    for which in (_COLOR, _ALPHA):
        if which not in first.holding:
            return
        kept = bytes(
            association
            for association in first.holding[which]
            if first.properties[(association & 127) - 1][4:8] not in _PART_PROPERTIES
        )
        numbers = range(number + 1, number + 1 + len(parts))
        references = _reference(b"dimg", number, numbers)
        if which == _ALPHA:
            references += _reference(b"auxl", number, [primary])
        yield _Item(number, _GRID, layout, bytes([whole_size]) + kept, references)
        for number, part in zip(numbers, parts, strict=True):
            yield _Item(number, _CODED, part.contents[which], part.holding[which])
        number = numbers[-1] + 1


def _iloc(items: Sequence[_Item], at: int) -> bytes:
    """Return the table of the items' positions, one after the other, from `at` on."""
    listed = [struct.pack(">4xBBH", 0x44, 0, len(items))]
    for item in items:
        listed.append(struct.pack(">HHHII", item.number, 0, 1, at, len(item.content)))
        at += len(item.content)
    return _box(b"iloc", b"".join(listed))


def _reference(kind: bytes, source: int, targets: Sequence[int]) -> bytes:
    return _box(kind, struct.pack(f">HH{len(targets)}H", source, len(targets), *targets))


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind) + content
