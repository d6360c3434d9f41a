"""Properties of the items of an AVIF or HEIC file: crop, turn and color.

Source: ISO/IEC 23008-12, 6.5 (properties) and 9.3 (ipco, ipma).
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.errors import ImageUnreadable
from smart_filter_shared.security import isobmff
from smart_filter_shared.security.isobmff import Box
from smart_filter_workers.images.metadata.code_points import ColorDescription, from_code_points

_CROP, _ROTATION, _MIRROR = b"clap", b"irot", b"imir"
_LENGTHS: Final = {_CROP: 32, _ROTATION: 1, _MIRROR: 1}
TRANSFORMS: Final = frozenset(_LENGTHS)


@dataclass(frozen=True, slots=True)
class Property:
    """A property of an item, and the place in the file that associates the two."""

    box: Box
    association_at: int
    association_bytes: int


def read_properties(file: IO[bytes], iprp: Box) -> dict[int, list[Property]]:
    """Return the properties of each item, in their order."""
    boxes: list[Box] = []
    properties: dict[int, list[Property]] = {}
    for box in isobmff.children(file, iprp):
        if box.kind == b"ipco":
            boxes += isobmff.children(file, box)
    for box in isobmff.children(file, iprp):
        if box.kind == b"ipma":
            for number, index, at, width in _associations(box.read(file)):
                if 0 < index <= len(boxes):
                    held = Property(boxes[index - 1], box.start + at, width)
                    properties.setdefault(number, []).append(held)
    return properties


def _associations(ipma: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield an item, the index of a property, counted from 1, and the index's place and length."""
    version, wide = ipma[0], ipma[3] & 1
    (count,) = struct.unpack_from(">4xI", ipma)
    at = 8
    for _ in range(count):
        (number,) = struct.unpack_from(">I" if version else ">H", ipma, at)
        at += 4 if version else 2
        properties = ipma[at]
        at += 1
        for _ in range(properties):
            index = struct.unpack_from(">H" if wide else ">B", ipma, at)[0]
            yield int(number), index & (0x7FFF if wide else 0x7F), at, 2 if wide else 1
            at += 2 if wide else 1


def read_color(file: IO[bytes], boxes: Sequence[Box]) -> ColorDescription | None:
    """Return the color of a box colr that names code points. Source: ISO/IEC 14496-12, 12.1.5."""
    for box in boxes:
        content = box.read(file) if box.kind == b"colr" else b""
        if content.startswith(b"nclx"):
            return from_code_points(*struct.unpack_from(">4xHH", content))
    return None


@dataclass(frozen=True, slots=True)
class Transform:
    """A crop, rotation or mirroring: its kind and its content."""

    kind: bytes
    content: bytes

    def apply(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return (h, w) or (h, w, 3) cropped, turned or mirrored, as a new array.

        Source: ISO/IEC 14496-12, 12.1.4 (clap); ISO/IEC 23008-12, 6.5.10 and 6.5.12.
        Raises ImageUnreadable for a crop without pixels.
        """
        if self.kind == _ROTATION:
            return np.rot90(pixels, self.content[0] & 3).copy()
        if self.kind == _MIRROR:
            return (pixels[:, ::-1] if self.content[0] & 1 else pixels[::-1]).copy()
        rows = _crop(self.content[8:], self.content[24:], pixels.shape[0])
        columns = _crop(self.content, self.content[16:], pixels.shape[1])
        return pixels[rows, columns].copy()


def read_transforms(file: IO[bytes], boxes: Sequence[Box]) -> list[Transform]:
    """Return what is to be done to a decoded item, in order.  Raises struct.error if one is cut."""
    transforms = [Transform(box.kind, box.read(file)) for box in boxes if box.kind in TRANSFORMS]
    if any(len(transform.content) < _LENGTHS[transform.kind] for transform in transforms):
        raise struct.error("a crop or turn is cut")
    return transforms


def _crop(size: bytes, offset: bytes, whole: int) -> slice:
    """Return the part of a side, from the fractions of its size and of its center's offset."""
    try:
        length = Fraction(*struct.unpack_from(">II", size))
        center = Fraction(*struct.unpack_from(">iI", offset)) + Fraction(whole, 2)
    except ZeroDivisionError as error:
        raise ImageUnreadable("its crop is divided by zero") from error
    first, last = round(center - length / 2), round(center + length / 2)
    part = slice(max(first, 0), min(last, whole))
    if part.start >= part.stop:
        raise ImageUnreadable("its crop has no pixels")
    return part


def primary_boxes(file: IO[bytes], meta: Box) -> list[Box]:
    """Return the properties of a file's main picture."""
    boxes: Mapping[bytes, Box] = {box.kind: box for box in isobmff.children(file, meta)}
    if b"pitm" not in boxes or b"iprp" not in boxes:
        return []
    properties = read_properties(file, boxes[b"iprp"])
    return [held.box for held in properties.get(read_primary(file, boxes[b"pitm"]), [])]


def read_primary(file: IO[bytes], pitm: Box) -> int:
    """Return the number of the main picture. Source: ISO/IEC 14496-12, 8.11.4 (pitm)."""
    content = pitm.read(file)
    (number,) = struct.unpack_from(">4xI" if content[0] else ">4xH", content)
    return int(number)
