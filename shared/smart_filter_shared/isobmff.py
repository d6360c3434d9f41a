"""Boxes of an ISO base media file, as AVIF and HEIC are: found without reading what they hold.

A box that does not fit into the one around it ends the walk; so does a number of boxes that
no photo has. Whoever misses a box then calls the file broken.
Source: ISO/IEC 14496-12, 4.2 (boxes) and 8.11.1 (meta).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import IO

# Headers that one search reads. Grids of a hundred tiles have a few hundred boxes; beyond this
# somebody plays tricks.
MAX_BOXES = 2000

# What `still` looks at: more brands than a photo has.
SIGNATURE_BYTES = 64

_HEADER = struct.Struct(">I4s")
_LARGE = struct.Struct(">Q")
# Instead of a size: it stands behind the kind, or the box goes on to the end.
_LARGE_SIZE, _TO_THE_END = 1, 0
_VERSION_AND_FLAGS = 4


class Still(StrEnum):
    """Kinds of still pictures that come in such files."""

    AVIF = "avif"
    HEIC = "heic"


# ISO/IEC 23000-22, 7 (AVIF) and ISO/IEC 23008-12, 10 and annex B. A file that says only that it
# is some HEIF is taken for a HEIC: whoever decodes it looks at what it holds.
_BRANDS = {
    Still.AVIF: frozenset({b"avif", b"avis"}),
    Still.HEIC: frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1"}),
}


@dataclass(frozen=True, slots=True)
class Box:
    """Where a box's content lies in the file, in bytes: from `start` to before `end`."""

    kind: bytes
    start: int
    end: int

    def read(self, file: IO[bytes]) -> bytes:
        """Return the content, or as much of it as there is."""
        file.seek(self.start)
        return file.read(self.end - self.start)


def still(start: bytes) -> Still | None:
    """Return which kind of picture a file says that it is; None when of none.

    start: its first SIGNATURE_BYTES or more.  Source: ISO/IEC 14496-12, 4.3 (ftyp).
    """
    if start[4:8] != b"ftyp":
        return None
    listed = start[: min(int.from_bytes(start[:4]), SIGNATURE_BYTES)]
    brands = {listed[8:12], *(listed[at : at + 4] for at in range(16, len(listed), 4))}
    return next((kind for kind, known in _BRANDS.items() if known & brands), None)


def find(file: IO[bytes], *path: bytes) -> Iterator[Box]:
    """Yield every box at a path of kinds, such as `meta`, `iprp`, `ipco`, `ispe`.

    The file may be left at any position.
    """
    yield from _below(file, Box(b"", 0, file.seek(0, 2)), path, iter(range(MAX_BOXES)))


def children(file: IO[bytes], parent: Box) -> Iterator[Box]:
    """Yield the boxes in a box that holds nothing else."""
    return _children(file, parent, iter(range(MAX_BOXES)))


def _below(
    file: IO[bytes], parent: Box, path: tuple[bytes, ...], turns: Iterator[int]
) -> Iterator[Box]:
    if not path:
        yield parent
        return
    for child in _children(file, parent, turns):
        if child.kind == path[0]:
            yield from _below(file, child, path[1:], turns)


def _children(file: IO[bytes], parent: Box, turns: Iterator[int]) -> Iterator[Box]:
    """Yield boxes, taking a turn for each; turns are shared by everything that one search walks."""
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
