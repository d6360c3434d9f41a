"""Blocks: the places of a large picture that are worked on, and what small maps say there.

Only the band where a matte is neither none nor whole is worked on, block by block: for a
portrait that is a tenth of the pixels, and nothing of the photo's size is ever needed twice.
"""

from collections.abc import Iterator
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.results import Matte8

Floats: TypeAlias = NDArray[np.float32]
Block: TypeAlias = tuple[slice, slice]

BLOCK_PX: Final = 32


def band(matte: Matte8) -> Iterator[Block]:
    """Yield the blocks, joined along rows, in which the matte is neither 0 nor 255 somewhere."""
    height, width = matte.shape
    for top in range(0, height, BLOCK_PX):
        rows = slice(top, min(height, top + BLOCK_PX))
        strip = matte[rows]
        between = (cv2.inRange(strip, 1, 254) > 0).any(axis=0)
        starts = np.arange(0, width, BLOCK_PX)
        touched = np.logical_or.reduceat(between, starts)
        edges = np.flatnonzero(np.diff(np.concatenate(([False], touched, [False]))))
        for first, end in zip(edges[::2], edges[1::2], strict=True):
            yield rows, slice(int(first) * BLOCK_PX, min(width, int(end) * BLOCK_PX))


def enlarged_part(small: Floats, block: Block, size: tuple[int, int]) -> Floats:
    """Return a block of what `small` would be, enlarged linearly to `size` (height, width)."""
    rows, columns = block
    scale_x, scale_y = small.shape[1] / size[1], small.shape[0] / size[0]
    # Pixel centres: (x + 0.5) · scale − 0.5, from the block's own corner.
    matrix = np.array(
        [
            [scale_x, 0, (columns.start + 0.5) * scale_x - 0.5],
            [0, scale_y, (rows.start + 0.5) * scale_y - 0.5],
        ]
    )
    shape = (columns.stop - columns.start, rows.stop - rows.start)
    part = cv2.warpAffine(
        small,
        matrix,
        shape,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return part.astype(np.float32, copy=False)
