"""Write TIFFs by their tags, so that any kind of them can be made."""

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

WHITE_IS_0, BLACK_IS_0, COLOR, PALETTE, INK, YCBCR, LAB = 0, 1, 2, 3, 5, 6, 8
COMPRESSION, BIT_ORDER, PLANES, COLOR_MAP, EXTRA, FORMAT = 259, 266, 284, 320, 338, 339
DEFLATE: Final = 8


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its tags with their values, and the bytes of its strips."""

    tags: Mapping[int, Sequence[int]]
    strips: Sequence[bytes]


def page(
    samples: NDArray[np.generic], photometric: int, tags: Mapping[int, int | list[int]]
) -> Page:
    """Return a page of (H, W, samples) numbers; further tags describe how they are stored."""
    height, width, count = samples.shape
    about = {
        256: [width],
        257: [height],
        258: [samples.dtype.itemsize * 8] * count,
        262: [photometric],
        277: [count],
        278: [height],
        **{tag: [value] if isinstance(value, int) else value for tag, value in tags.items()},
    }
    planes = np.moveaxis(samples, -1, 0) if tags.get(PLANES) == 2 else [samples]
    strips = [plane.tobytes() for plane in planes]
    if tags.get(COMPRESSION) == DEFLATE:
        strips = [zlib.compress(strip) for strip in strips]
    return Page(about, strips)


def write_tiff(*pages: Page, order: str = "<") -> bytes:
    """Return a TIFF of these pages, all values as numbers of 32 bits."""
    content = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    for number, page in enumerate(pages):
        tags = {
            **page.tags,
            273: [0] * len(page.strips),
            279: [len(strip) for strip in page.strips],
        }
        lengths = [4 * len(values) if len(values) > 1 else 0 for values in tags.values()]
        strips_at = len(content) + 2 + 12 * len(tags) + 4 + sum(lengths)
        ends = np.cumsum(tags[279]).tolist()
        tags[273] = [strips_at, *(strips_at + end for end in ends[:-1])]
        entries, longer, longer_at = b"", b"", strips_at - sum(lengths)
        for tag, values in sorted(tags.items()):
            packed = struct.pack(f"{order}{len(values)}I", *values)
            if len(values) > 1:
                place = struct.pack(order + "I", longer_at + len(longer))
                longer += packed
                packed = place
            entries += struct.pack(order + "HHI", tag, 4, len(values)) + packed
        following = strips_at + ends[-1] if number + 1 < len(pages) else 0
        content += struct.pack(order + "H", len(tags)) + entries
        content += struct.pack(order + "I", following) + longer + b"".join(page.strips)
    return content
