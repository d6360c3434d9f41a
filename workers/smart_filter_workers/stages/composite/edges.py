"""A matte at the size of the photo: the small one enlarged, its edge led by the photo's.

Only the band where the matte is neither none nor whole is worked on, block by block: for a
portrait that is a tenth of the pixels.
"""

from collections.abc import Iterator
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.results import Face, Matte8, Srgb8

Floats = NDArray[np.float32]
Block = tuple[slice, slice]

BLOCK_PX: Final = 64
# Of the small matte: an edge is looked for as far as the small matte can be wrong by.
GUIDE_RADIUS_PX: Final = 2
# Squared share of full brightness: weaker edges than this do not lead the matte.
GUIDE_EPSILON: Final = 4e-4
# Parts that are so much smaller than the largest one, and hold no face, are slips.
ISLAND_SHARE: Final = 0.02
# Parts are told apart on a coarser grid: a twentieth of the time, and a gap of a pixel or
# two is none.
ISLAND_STEP_PX: Final = 4
# Enlarging by less moves an edge by less than a pixel: not worth leading it.
LEAST_SCALE: Final = 1.5
HALF: Final = 127.5


def without_islands(matte: Matte8, faces: tuple[Face, ...], *, scale: float) -> Matte8:
    """Return the matte without small parts that float apart and show no face.

    matte: (h, w) uint8.  faces: in pixels of the photo, which is `scale` times as large.
    """
    height, width = matte.shape
    coarse = (max(1, width // ISLAND_STEP_PX), max(1, height // ISLAND_STEP_PX))
    inside = (cv2.resize(matte, coarse, interpolation=cv2.INTER_AREA) > 0).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(inside, connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0  # what is around them
    slips = (areas < ISLAND_SHARE * areas.max()) & (areas > 0)
    for face in faces:
        x, y, across, down = (side / scale / ISLAND_STEP_PX for side in face.box)
        rows = slice(max(0, int(y)), max(0, int(y + down)) + 1)
        columns = slice(max(0, int(x)), max(0, int(x + across)) + 1)
        slips[np.unique(labels[rows, columns])] = False
    if not slips.any():
        return matte
    gone = slips[labels].astype(np.uint8)
    gone = cv2.resize(gone, (width, height), interpolation=cv2.INTER_NEAREST).astype(np.uint8)
    return np.where(gone, np.uint8(0), matte)


def enlarge(matte: Matte8, *, proxy_srgb: Srgb8, photo_srgb: Srgb8) -> Matte8:
    """Return the matte at the photo's size.

    matte: (h, w) uint8; proxy_srgb: (h, w, 3) uint8; photo_srgb: (H, W, 3) uint8.
    Returns (H, W) uint8.
    Source: He & Sun 2015, "Fast guided filter": the linear model is found on the small
    picture and applied to the large one.
    """
    height, width = photo_srgb.shape[:2]
    if matte.shape == (height, width):
        return matte
    large: Matte8 = np.empty((height, width), np.uint8)
    cv2.resize(matte, (width, height), dst=large, interpolation=cv2.INTER_LINEAR)
    if width < LEAST_SCALE * matte.shape[1]:
        return large
    factor, offset = _linear_model(matte, proxy_srgb)
    for block in band(large):
        grey = cv2.cvtColor(photo_srgb[block], cv2.COLOR_RGB2GRAY).astype(np.float32)
        led = grey * enlarged_part(factor, block, (height, width))
        led += enlarged_part(offset, block, (height, width))
        large[block] = np.clip(led + 0.5, 0, 255).astype(np.uint8)
    return large


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


def _linear_model(matte: Matte8, srgb: Srgb8) -> tuple[Floats, Floats]:
    """Return factor and offset, (h, w) float32 each: matte ≈ factor · grey + offset, 0..255."""
    side = (2 * GUIDE_RADIUS_PX + 1,) * 2
    guide = cv2.cvtColor(srgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    target = matte.astype(np.float32)
    mean_guide, mean_target = cv2.blur(guide, side), cv2.blur(target, side)
    covariance = cv2.blur(guide * target, side) - mean_guide * mean_target
    variance = cv2.blur(guide * guide, side) - mean_guide * mean_guide
    factor = covariance / (variance + GUIDE_EPSILON * 255**2)
    offset = mean_target - factor * mean_guide
    return (
        np.asarray(cv2.blur(factor, side), np.float32),
        np.asarray(cv2.blur(offset, side), np.float32),
    )
