"""A line around the people, as wide as asked for, smooth like the cut of a sticker."""

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.recipe import Outline
from smart_filter_workers.results import Matte8, Srgb8
from smart_filter_workers.stages.composite.look import maps
from smart_filter_workers.stages.composite.matting.blocks import Block, Floats
from smart_filter_workers.stages.composite.models.base import Srgba8

# Distances are found on a grid of so many cells; for a line of fewer cells than this, block by
# block on the picture itself.
LONGEST_PX: Final = 1024
LEAST_WIDTH_CELLS: Final = 4.0
# Of the line's width: finer turns than this are cut straight, as scissors would.
SMOOTH: Final = 0.35
SMOOTH_CELLS: Final = 3.0
# Of coverage: where people begin. Lower than half, so that soft hair is within the line.
BEGINS: Final = 0.25
HALF: Final = np.float32(0.5)
_RGB: Final = 3


@dataclass(frozen=True, slots=True)
class Line:
    """Where a line around people runs.

    matte: (H, W) uint8 of the people.  width_px: of the picture.
    past: (h, w) float32, a map of `grid`: how far outside of the line a place is, in pixels of
    the picture; negative within the line and within the people.
    hidden: (h, w) bool: wholly behind people.
    """

    matte: Matte8
    width_px: float
    grid: maps.Grid
    past: Floats
    hidden: NDArray[np.bool_]


def around(matte: Matte8, outline: Outline) -> Line:
    """Return the line around people; matte: (H, W) uint8."""
    width_px = max(1.0, outline.width.of(max(matte.shape)))
    grid = maps.grid(*matte.shape, longest_px=LONGEST_PX)
    people = grid.coverage(matte)
    past = _past(people < BEGINS, width_px / grid.step) * np.float32(grid.step)
    return Line(matte, width_px, grid, past, people >= 1)


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
    is_thin = grid.step > 1 and line.width_px < LEAST_WIDTH_CELLS * grid.step
    for block in grid.blocks((line.past < grid.step) & ~line.hidden):
        past = _exactly_past(line, block) if is_thin else grid.part(fitted, block)
        alpha = np.clip(HALF - past, 0, 1)[..., np.newaxis] * opacity
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


def _exactly_past(line: Line, block: Block) -> Floats:
    """Return `past` of one block by every pixel around it."""
    margin = math.ceil(line.width_px + 3 * SMOOTH_CELLS) + 1
    rows, columns = block
    top, left = max(0, rows.start - margin), max(0, columns.start - margin)
    near = line.matte[top : rows.stop + margin, left : columns.stop + margin]
    past = _past(near < BEGINS * 255, line.width_px)
    return past[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]


def _past(outside: NDArray[np.bool_], width: float) -> Floats:
    """Return how far each place is from where it is not outside, less a width; in pixels."""
    # Where nobody is at all, everything is far.
    far = cv2.distanceTransform(outside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    sigma = min(SMOOTH_CELLS, SMOOTH * width)
    soft = cv2.GaussianBlur(far, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    # From the middle of a pixel outside to the edge between it and the people is half a pixel.
    return np.asarray(soft - HALF - np.float32(width), np.float32)
