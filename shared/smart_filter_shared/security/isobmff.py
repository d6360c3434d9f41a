"""Find the boxes of an ISO base media file (AVIF, HEIC) without reading their content.

A box that does not fit into its parent ends the walk; a caller that misses a box then reports the
file as broken. More boxes than a photo has raise struct.error, as a truncated box does.
Source: ISO/IEC 14496-12, 4.2 (boxes) and 8.11.1 (meta).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import IO

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
