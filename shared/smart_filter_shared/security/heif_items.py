"""Bound what a decoder does for an AVIF or HEIC, by the references among its items.

An item can be made of others (a grid, an overlay), and these of others again. A decoder decodes an
item once for each path that leads to it: six levels of ten references each are a million decoded
pictures in a file of 12 kB. The walk below visits each reference once.

Source: ISO/IEC 14496-12, 8.11.3 (iloc), 8.11.12 (iref) and 8.11.14 (iprp); ISO/IEC 23008-12, 6.4 to
6.6 (item references, ispe, derived pictures).

The boxes are found without reading their content. A box that does not fit into its parent ends the
walk; a caller that misses a box then reports the file as broken. More boxes than a photo has raise
struct.error, as a truncated box does.  Source: ISO/IEC 14496-12, 4.2 (boxes) and 8.11.1 (meta).
"""

import io
import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import IO, Final

# Levels of pictures that are made of others. Cameras have one, a grid; with `iden` or `tmap` two.
MAX_DEPTH: Final = 2
# Pictures that are decoded for one: tiles, auxiliary pictures, and those that are made of them. 50
# megapixels in tiles of 256 × 256 pixels are 763.
MAX_PICTURES: Final = 1000
# Their pixels: six times as many as a photo may have. A grid with alpha counts its canvas, its
# tiles, and both again.
MAX_TOTAL_PIXELS: Final = 300_000_000
# Their coded bytes: lengths of the file, and what a thousand equal tiles that share bytes have.
_MAX_READS: Final = 4
_MAX_SHARED_BYTES: Final = 10_000_000

# Boxes that name items, at most this long together: room for 1,000 items. libavif and libheif look
# through all items for each one: 20,000 of them take a second, 80,000 half a minute.
_MAX_INDEX_BYTES: Final = 48 * 1024
METAS: Final = ((b"meta",), (b"moov", b"trak", b"meta"))
_INDEX: Final = (
    *((kind,) for kind in (b"iinf", b"iloc", b"iref", b"grpl")),
    (b"iprp", b"ipma"),
)
_PARTS, _AUXILIARY = b"dimg", b"auxl"
# References from one picture to the next on any path: more are a chain, or a circle.
_MAX_PATH: Final = 8
_LONG_IDS: Final = 1  # the version of iref and ipma with 32 bits for each item
_LONG_INDICES: Final = 1  # the flag of ipma with 15 bits for each property, instead of 7
_LONG_ILOC: Final = 2  # the version of iloc with 32 bits for each item

# Limit of box headers that one search reads. Grids of a hundred tiles have a few hundred boxes; a
# file with more than this limit is malicious.
MAX_BOXES = 2000

# Bytes that `detect_format` reads: room for more brands than a photo has.
SIGNATURE_BYTES = 64

_HEADER = struct.Struct(">I4s")
_LARGE = struct.Struct(">Q")
# Special sizes: the size follows the kind as 64 bits, or the box extends to the end.
_LARGE_SIZE, _TO_THE_END = 1, 0
_VERSION_AND_FLAGS = 4
# Source: ISO/IEC 14496-12, table 1, kinds at the top of a file; `mpvd` is a motion photo's video.
_TOP_KINDS = frozenset(
    {
        b"ftyp",
        b"meta",
        b"mdat",
        b"idat",
        b"moov",
        b"moof",
        b"free",
        b"skip",
        b"wide",
        b"uuid",
        b"mpvd",
    }
)


class ItemsRefused(Exception):
    """A decoder would take too long for the file; the message continues "it" or "the photo"."""


@dataclass(frozen=True, slots=True)
class Expansion:
    """What decoding one item takes at most.

    depth: levels of pictures that are made of others.  pictures, pixels, coded_bytes: of the item
    and of everything that is decoded for it, each as often as it is decoded.
    """

    depth: int = 0
    pictures: int = 1
    pixels: int = 0
    coded_bytes: int = 0


def measure_expansion(file: IO[bytes]) -> Expansion:
    """Return the largest counts among the items of a file, without decoding any.

    Raises ItemsRefused when they exceed a limit above, and struct.error for a broken box.
    """
    length = file.seek(0, 2)
    largest = Expansion()
    for path in METAS:
        boxes = [(index[-1], box) for index in _INDEX for box in find(file, *path, *index)]
        if sum(box.end - box.start for _, box in boxes) > _MAX_INDEX_BYTES:
            raise ItemsRefused("has more items than a photo")
        sizes = [
            _read_size(box.read(file)) if box.kind == b"ispe" else 0
            for box in find_children(file, *path, b"iprp", b"ipco")
        ]
        items = _Items()
        for kind, box in boxes:
            if kind == b"iref":
                items.add_references(box.read(file))
            elif kind == b"ipma":
                items.add_pixels(box.read(file), sizes)
            elif kind == b"iloc":
                items.add_lengths(box.read(file))
        for item in items.list_derived():
            expansion = items.expand(item, length, path=())
            largest = max(largest, expansion, key=lambda each: each.pixels)
    return largest


@dataclass(slots=True)
class _Items:
    """The items of one `meta` box, by their numbers.

    parts: those that an item is made of, and those that accompany it, such as its alpha.
    """

    parts: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    companions: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    pixels: dict[int, int] = field(default_factory=dict)
    lengths: dict[int, int] = field(default_factory=dict)
    expansions: dict[int, Expansion] = field(default_factory=dict)

    def add_references(self, content: bytes) -> None:
        """Add the references of an iref box."""
        layout = "I" if content[:1] == bytes((_LONG_IDS,)) else "H"
        width = struct.calcsize(layout)
        for kind, body in _list_boxes(content[4:]):
            source, count = struct.unpack_from(f">{layout}H", body)
            targets = struct.unpack_from(f">{count}{layout}", body, width + 2)
            if kind == _PARTS:
                self.parts[source] += targets
            elif kind == _AUXILIARY:
                for target in targets:
                    self.companions[target].append(source)

    def add_pixels(self, content: bytes, sizes: list[int]) -> None:
        """Add the sizes that an ipma box gives to items.  sizes: of each property, in pixels."""
        file = io.BytesIO(content)
        version, flags, count = struct.unpack(">B2xBI", file.read(8))
        index_bytes = 2 if flags & _LONG_INDICES else 1
        for _ in range(count):
            (item,) = _read_numbers(file, ">I" if version >= _LONG_IDS else ">H")
            (associated,) = _read_numbers(file, ">B")
            for _ in range(associated):
                (index,) = _read_numbers(file, ">H" if index_bytes == 2 else ">B")  # noqa: PLR2004
                number = index & (0x7FFF if index_bytes == 2 else 0x7F)  # noqa: PLR2004
                if 1 <= number <= len(sizes):
                    self.pixels[item] = max(self.pixels.get(item, 0), sizes[number - 1])

    def add_lengths(self, content: bytes) -> None:
        """Add the lengths of items in an iloc box."""
        file = io.BytesIO(content)
        version, widths, more_widths = struct.unpack(">B3xBB", file.read(6))
        offset_bytes, length_bytes = widths >> 4, widths & 15
        base_bytes, index_bytes = more_widths >> 4, more_widths & 15 if version else 0
        (count,) = _read_numbers(file, ">I" if version >= _LONG_ILOC else ">H")
        for _ in range(count):
            (item,) = _read_numbers(file, ">I" if version >= _LONG_ILOC else ">H")
            file.seek((2 if version else 0) + 2 + base_bytes, 1)
            (extents,) = _read_numbers(file, ">H")
            width = index_bytes + offset_bytes + length_bytes
            listed = file.read(extents * width)
            if len(listed) < extents * width:
                raise struct.error("a cut iloc box")
            length_at = width - length_bytes
            self.lengths[item] = self.lengths.get(item, 0) + sum(
                int.from_bytes(listed[at + length_at : at + width])
                for at in range(0, len(listed), width or 1)
            )

    def list_derived(self) -> list[int]:
        """Return the items that others are decoded for."""
        return [*self.parts, *self.companions]

    def expand(self, item: int, file_bytes: int, *, path: tuple[int, ...]) -> Expansion:
        """Return what decoding an item takes.  path: the items that it is decoded for.

        Raises ItemsRefused.
        """
        if item in self.expansions:
            return self.expansions[item]
        if item in path:
            raise ItemsRefused("has a picture that is made of itself")
        if len(path) >= _MAX_PATH:
            raise ItemsRefused("has pictures that refer to others in a long chain")
        depth, pictures = 0, 1
        pixels, coded_bytes = self.pixels.get(item, 0), self.lengths.get(item, 0)
        parts = self.parts.get(item, ())
        for place, other in enumerate((*parts, *self.companions.get(item, ()))):
            inner = self.expand(other, file_bytes, path=(*path, item))
            depth = max(depth, inner.depth + (place < len(parts)))
            pictures += inner.pictures
            pixels += inner.pixels
            coded_bytes += inner.coded_bytes
            if depth > MAX_DEPTH:
                raise ItemsRefused(f"has pictures within pictures, over {MAX_DEPTH} levels deep")
            if pictures > MAX_PICTURES:
                raise ItemsRefused(f"is made of more than {MAX_PICTURES} pictures")
            if pixels > MAX_TOTAL_PIXELS:
                millions = MAX_TOTAL_PIXELS // 1_000_000
                raise ItemsRefused(f"is made of pictures with over {millions} megapixels in all")
            if coded_bytes > _MAX_READS * file_bytes + _MAX_SHARED_BYTES:
                raise ItemsRefused("is made of the same pictures too often")
        expansion = Expansion(depth, pictures, pixels, coded_bytes)
        self.expansions[item] = expansion
        return expansion


def _read_size(content: bytes) -> int:
    """Return the pixels of an ispe box."""
    width, height = struct.unpack_from(">4xII", content)
    return int(width * height)


def _list_boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and content of boxes in memory."""
    at = 0
    while at + 8 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, at)
        start = at + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", content, start)
            start += 8
        end = len(content) if size == 0 else at + size
        if not start <= end <= len(content):
            raise struct.error("a box is longer than its parent")
        yield kind, content[start:end]
        at = end


def _read_numbers(file: io.BytesIO, layout: str) -> tuple[int, ...]:
    return struct.unpack(layout, file.read(struct.calcsize(layout)))


# Boxes without content, ISO/IEC 14496-12, 8.1.2: nothing is lost where one ends early.
_PADDING = frozenset({b"free", b"skip", b"wide"})


class StillFormat(StrEnum):
    """Formats of still pictures in ISO base media files."""

    AVIF = "avif"
    HEIC = "heic"


# Source: ISO/IEC 23000-22, 7 (AVIF) and ISO/IEC 23008-12, 10 and annex B. A file with only a
# generic HEIF brand counts as HEIC: the decoder checks its content.
_BRANDS = {
    StillFormat.AVIF: frozenset({b"avif", b"avis"}),
    StillFormat.HEIC: frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1"}),
}


@dataclass(frozen=True, slots=True)
class Box:
    """A box's kind and the byte range of its content: from `start` to before `end`."""

    kind: bytes
    start: int
    end: int

    def read(self, file: IO[bytes]) -> bytes:
        """Return the content, shorter when the file is truncated."""
        file.seek(self.start)
        return file.read(self.end - self.start)


def detect_format(start: bytes) -> StillFormat | None:
    """Return the format that a file declares; None for any other file.

    start: the file's first SIGNATURE_BYTES or more.  Source: ISO/IEC 14496-12, 4.3 (ftyp).
    """
    if start[4:8] != b"ftyp":
        return None
    listed = start[: min(int.from_bytes(start[:4]), SIGNATURE_BYTES)]
    brands = {listed[8:12], *(listed[at : at + 4] for at in range(16, len(listed), 4))}
    return next((kind for kind, kind_brands in _BRANDS.items() if kind_brands & brands), None)


def find(file: IO[bytes], *path: bytes) -> Iterator[Box]:
    """Yield every box at a path of kinds, such as `meta`, `iprp`, `ipco`, `ispe`.

    Moves the file's position.
    """
    yield from _walk_path(file, Box(b"", 0, file.seek(0, 2)), path, iter(range(MAX_BOXES)))


def find_children(file: IO[bytes], *path: bytes) -> Iterator[Box]:
    """Yield the children of every box at a path, of any kind; moves the file's position."""
    turns = iter(range(MAX_BOXES))
    for parent in list(find(file, *path)):
        yield from _children(file, parent, turns)


def is_cut(file: IO[bytes]) -> bool:
    """Return whether the last box of a file ends behind the file, whose end is then missing.

    Bytes that no writer of photos begins a box with were appended to the file.
    """
    whole = file.seek(0, 2)
    at = 0
    for _ in range(MAX_BOXES):
        file.seek(at)
        header = file.read(_HEADER.size + _LARGE.size)
        if len(header) < _HEADER.size:
            return False
        size, kind = _HEADER.unpack_from(header)
        if size == _LARGE_SIZE and len(header) == _HEADER.size + _LARGE.size:
            (size,) = _LARGE.unpack_from(header, _HEADER.size)
        if size < _HEADER.size or kind not in _TOP_KINDS:
            return False
        at += size
        if at > whole:
            return kind not in _PADDING
    return False


def _walk_path(
    file: IO[bytes], parent: Box, path: tuple[bytes, ...], turns: Iterator[int]
) -> Iterator[Box]:
    if not path:
        yield parent
        return
    for child in _children(file, parent, turns):
        if child.kind == path[0]:
            yield from _walk_path(file, child, path[1:], turns)


def _children(file: IO[bytes], parent: Box, turns: Iterator[int]) -> Iterator[Box]:
    """Yield child boxes, using up one turn for each; one search shares its turns."""
    at = parent.start + (_VERSION_AND_FLAGS if parent.kind == b"meta" else 0)
    for _ in turns:
        file.seek(at)
        header = file.read(_HEADER.size + _LARGE.size)
        if at + _HEADER.size > parent.end or len(header) < _HEADER.size:
            return
        size, kind = _HEADER.unpack_from(header)
        start = at + _HEADER.size
        if size == _LARGE_SIZE and len(header) == _HEADER.size + _LARGE.size:
            (size,) = _LARGE.unpack_from(header, _HEADER.size)
            start += _LARGE.size
        end = parent.end if size == _TO_THE_END else at + size
        if not start <= end <= parent.end:
            return
        yield Box(kind, start, end)
        at = end
    raise struct.error(f"more than {MAX_BOXES} boxes")
