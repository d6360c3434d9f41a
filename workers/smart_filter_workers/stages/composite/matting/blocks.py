"""Blocks: the parts of a large picture to process, and small maps enlarged there.

Only the band where a matte is neither 0 nor 1 is processed, block by block. For a portrait that is
a tenth of the pixels, and no second array of the photo's size is needed.
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


def edge_blocks(matte: Matte8) -> Iterator[Block]:
    """Yield the blocks, joined along rows, in which the matte is somewhere neither 0 nor 255."""
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


def enlarge_block(small: Floats, block: Block, size: tuple[int, int]) -> Floats:
    """Return one block of `small` enlarged linearly to `size` (height, width)."""
    rows, columns = block
    scale_x, scale_y = small.shape[1] / size[1], small.shape[0] / size[0]
    # Pixel centers: (x + 0.5) · scale − 0.5, from the block's own corner.
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
