"""Resolution: how fine a photo's detail is, by the sharpest edges in its own pixels.

A photo that was enlarged or is out of focus has more pixels than detail. Print sizes follow the
detail.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.results import Frame
from smart_filter_workers.measurements.face_measurements import (
    measure_blur,
    measure_noise,
)
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import HALF_LEVEL, Floats, Matte8, Srgb8

TILE_PX: Final = 128
# Smaller tiles have too few edges.
MIN_TILE_PX: Final = 24
# Number of tiles with the strongest edges, and the rank used: noise makes one or two look sharper
# than they are.
TILES, RANK = 6, 2
# A small picture is enough to find those tiles.
OVERVIEW_PX: Final = 512
# Blur of edges in sharp web photos, and the blur added per enlargement: photos enlarged by 3, 4 and
# 6 have blurs of 1.5, 2.0 and 2.9, which this line reproduces.
SHARPEST_PX, PER_ENLARGEMENT_PX = 0.55, 0.4
# Edges half again as wide as necessary are invisible at arm's length, and lenses are no better.
TOLERATED_BLUR_RATIO: Final = 1.5


@dataclass(frozen=True, slots=True)
class Region:
    """The region of a photo to measure: within a frame, and on people if there is a matte."""

    frame: Frame
    matte: Matte8 | None


def measure_detail(photo_srgb: Srgb8, proxy_gray: NDArray[np.uint8], region: Region) -> float:
    """Return the share of the pixels along a side that the edges resolve, above 0 to 1.

    photo_srgb: (H, W, 3) uint8; proxy_gray: (h, w) uint8, its luma, no larger.
    """
    blurs = sorted(
        measure_blur(tile, noise=measure_noise(tile))
        for tile in _tiles(photo_srgb, proxy_gray, region)
    )
    if not blurs:
        return 1.0
    # Shrinking a photo makes it sharper.
    blur = blurs[min(RANK, len(blurs) - 1)] * min(1.0, region.frame.scale)
    enlargement = (blur - SHARPEST_PX) / PER_ENLARGEMENT_PX
    return min(1.0, TOLERATED_BLUR_RATIO / max(enlargement, TOLERATED_BLUR_RATIO))


def _tiles(
    photo_srgb: Srgb8, proxy_gray: NDArray[np.uint8], region: Region
) -> list[NDArray[np.uint8]]:
    """Return the luma of the tiles with the strongest edges, (t, t) uint8 each."""
    step = -(-max(proxy_gray.shape) // OVERVIEW_PX)
    overview = np.ascontiguousarray(proxy_gray[::step, ::step])
    scale = overview.shape[1] / photo_srgb.shape[1]
    side = max(4, round(TILE_PX * scale))
    down, across = overview.shape[0] // side, overview.shape[1] // side
    if not down or not across:
        cells = [(0, 0)]
    else:
        strength = _strength(overview[: down * side, : across * side], across, down)
        strength[~_select_cells(region, overview.shape, side, scale)] = -1
        order = np.argsort(strength, axis=None)[::-1][:TILES]
        cells = [divmod(int(at), across) for at in order if strength.ravel()[at] >= 0]
    tiles = []
    for row, column in cells:
        top, left = round(row * side / scale), round(column * side / scale)
        tile = photo_srgb[top : top + TILE_PX, left : left + TILE_PX]
        if min(tile.shape[:2]) >= MIN_TILE_PX:
            tiles.append(np.asarray(cv2.cvtColor(tile, cv2.COLOR_RGB2GRAY), np.uint8))
    return tiles


def _strength(gray: NDArray[np.uint8], across: int, down: int) -> Floats:
    """Return the strength of each cell's edges in the direction with weaker ones."""
    slopes = (cv2.Sobel(gray, cv2.CV_32F, 1 - axis, axis, ksize=1) for axis in (0, 1))
    means = [
        cv2.resize(cv2.multiply(slope, slope), (across, down), interpolation=cv2.INTER_AREA)
        for slope in slopes
    ]
    return np.minimum(*means).reshape(down, across).astype(np.float32)


def _select_cells(
    region: Region, shape: tuple[int, ...], side: int, scale: float
) -> NDArray[np.bool_]:
    """Return the cells, (down, across), on people in the frame; all in the frame if too few."""
    down, across = shape[0] // side, shape[1] // side
    frame = region.frame
    rows, columns = ((np.arange(count) + 0.5) * side / scale for count in (down, across))
    xs, ys = frame.left + frame.scale * columns, frame.top + frame.scale * rows
    inside = ((ys >= 0) & (ys < frame.height))[:, None] & ((xs >= 0) & (xs < frame.width))
    if region.matte is not None:
        height, width = region.matte.shape
        covered = region.matte[
            : max(1, round(height * down * side / shape[0])),
            : max(1, round(width * across * side / shape[1])),
        ]
        means = cv2.resize(covered, (across, down), interpolation=cv2.INTER_AREA)
        on_people = inside & (means.reshape(down, across) > HALF_LEVEL)
        if np.count_nonzero(on_people) > RANK:
            return on_people
    return inside
