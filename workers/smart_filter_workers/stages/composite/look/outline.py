"""A line around the people, as wide as asked for, smooth like the cut of a sticker."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from smart_filter_shared.recipe import Outline
from smart_filter_workers.results import Matte8, Srgb8
from smart_filter_workers.stages.composite.edges import Floats
from smart_filter_workers.stages.composite.look import maps
from smart_filter_workers.stages.composite.models.base import Srgba8

# Distances are found on a coarser grid, but never so coarse that the line is thin there.
LONGEST_PX: Final = 1024
LEAST_WIDTH_PX: Final = 4.0
# Of the line's width: finer turns than this are cut straight, as scissors would.
SMOOTH: Final = 0.35
SMOOTH_PX: Final = 3.0
HALF: Final = np.float32(0.5)
_RGB: Final = 3


@dataclass(frozen=True, slots=True)
class Line:
    """Where a line around people runs.

    past: (h, w) float32, a map of `grid`: how far outside of it a place is, in pixels of the
    picture; negative within the line and within the people.
    """

    past: Floats
    grid: maps.Grid


def around(matte: Matte8, outline: Outline) -> Line:
    """Return the line around people; matte: (H, W) uint8."""
    width = max(1.0, outline.width.of(max(matte.shape)))
    grid = _grid(matte, width)
    outside = (grid.coverage(matte) < HALF).astype(np.uint8)
    # Where nobody is at all, everything is far.
    far = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_5)
    sigma = min(SMOOTH_PX, SMOOTH * width / grid.step)
    soft = cv2.GaussianBlur(far, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    # From the middle of a cell outside to the edge between it and the people is half a cell.
    return Line(np.asarray((soft - HALF) * grid.step - width, np.float32), grid)


def filled(line: Line, people: Floats) -> Floats:
    """Return people and line together as a map like `people`, 0..1: what casts the shadow."""
    past = cv2.resize(line.past, people.shape[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(HALF - past, 0, 1), np.float32)


def draw(ground: Srgb8 | Srgba8, line: Line, rgba: tuple[int, int, int, int]) -> None:
    """Lay the line over a ground, in place, under the people too, so that no seam is left.

    ground: (H, W, 3), or (H, W, 4) with straight alpha.  rgba: 0..255.
    Source: Porter & Duff 1984, over.
    """
    grid = line.grid
    colour, opacity = np.array(rgba[:3], np.float32), np.float32(rgba[3] / 255)
    fitted = grid.fitted(line.past)
    for block in grid.blocks(line.past < grid.step):
        alpha = np.clip(HALF - grid.part(fitted, block), 0, 1)[..., None] * opacity
        part = ground[block]
        below = 1 - alpha
        if part.shape[2] > _RGB:
            below = below * (part[..., _RGB:] / np.float32(255))
            covered = alpha + below
            mixed = colour * alpha + part[..., :_RGB] * below
            part[..., :_RGB] = mixed / np.maximum(covered, 1e-6) + HALF
            part[..., _RGB:] = covered * 255 + HALF
        else:
            part[:] = colour * alpha + part * below + HALF


def _grid(matte: Matte8, width_px: float) -> maps.Grid:
    height, width = matte.shape
    step = 1
    while max(height, width) > step * LONGEST_PX and 2 * step * LEAST_WIDTH_PX <= width_px:
        step *= 2
    return maps.Grid(height, width, min(step, maps.BLOCK_PX))
