"""Outline: a line of the requested width around the people, smooth like the cut of a sticker."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from smart_filter_shared.recipe import Outline
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Bools, Floats, Matte8, Srgb8, Srgba8
from smart_filter_workers.stages.composite.look import coarse_grid
from smart_filter_workers.stages.composite.look.coarse_grid import Block

# Distances are computed on a grid of this many cells; for a line of fewer cells than
# MIN_WIDTH_CELLS, block by block on the picture itself.
LONGEST_PX: Final = 1024
MIN_WIDTH_CELLS: Final = 4.0
# Share of the line's width: finer curves are smoothed away, as scissors would.
SMOOTHING_SHARE: Final = 0.35
SMOOTHING_CELLS: Final = 3.0
# Coverage at which people begin: below half, so that soft hair is inside the line.
PEOPLE_FROM: Final = 0.25
HALF: Final = np.float32(0.5)
_RGB: Final = 3


@dataclass(frozen=True, slots=True)
class OutlineLine:
    """The course of a line around people.

    matte: (H, W) uint8 of the people.  width_px: in pixels of the picture.
    past: (h, w) float32, a map of `grid`: distance outside of the line, in pixels of the picture;
    negative within the line and within the people.
    hidden: (h, w) bool: fully behind people.
    """

    matte: Matte8
    width_px: float
    grid: coarse_grid.Grid
    past: Floats
    hidden: Bools


def find_line(matte: Matte8, outline: Outline) -> OutlineLine:
    """Return the line around people; matte: (H, W) uint8."""
    width_px = max(1.0, outline.width.to_px(max(matte.shape)))
    grid = coarse_grid.make_grid(*matte.shape, longest_px=LONGEST_PX)
    people = grid.shrink_matte(matte)
    past = _distance_outside(people < PEOPLE_FROM, width_px / grid.step) * np.float32(grid.step)
    return OutlineLine(matte, width_px, grid, past, people >= 1)


def add_to_people(line: OutlineLine, people: Floats) -> Floats:
    """Return people and line together as a map like `people`, 0..1, to cast the shadow."""
    past = cv2.resize(line.past, people.shape[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(HALF - past, 0, 1), np.float32)


def draw(ground: Srgb8 | Srgba8, line: OutlineLine, rgba: tuple[int, int, int, int]) -> None:
    """Draw the line over a ground, in place; under the people too, so that no seam is left.

    ground: (H, W, 3), or (H, W, 4) with straight alpha.  rgba: 0..255.
    Source: Porter & Duff 1984, over.
    """
    grid = line.grid
    color, opacity = np.array(rgba[:3], np.float32), np.float32(rgba[3] / 255)
    fitted = grid.fit_map(line.past)
    is_thin = grid.step > 1 and line.width_px < MIN_WIDTH_CELLS * grid.step
    for block in grid.blocks((line.past < grid.step) & ~line.hidden):
        past = _exact_distance(line, block) if is_thin else grid.enlarge_block(fitted, block)
        alpha = np.clip(HALF - past, 0, 1)[..., np.newaxis] * opacity
        part = ground[block]
        below = 1 - alpha
        if part.shape[2] > _RGB:
            below = below * (part[..., _RGB:] / np.float32(255))
            covered = alpha + below
            mixed = color * alpha + part[..., :_RGB] * below
            part[..., :_RGB] = mixed / np.maximum(covered, 1e-6) + HALF
            part[..., _RGB:] = covered * 255 + HALF
        else:
            part[:] = color * alpha + part * below + HALF


def _exact_distance(line: OutlineLine, block: Block) -> Floats:
    """Return `past` of one block, computed on every pixel around it."""
    margin = math.ceil(line.width_px + 3 * SMOOTHING_CELLS) + 1
    rows, columns = block
    top, left = max(0, rows.start - margin), max(0, columns.start - margin)
    near = line.matte[top : rows.stop + margin, left : columns.stop + margin]
    past = _distance_outside(near < PEOPLE_FROM * 255, line.width_px)
    return past[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]


def _distance_outside(outside: Bools, width: float) -> Floats:
    """Return the distance of each pixel from the people, minus a width, in pixels."""
    # Without any people every pixel is far.
    far = cv2.distanceTransform(outside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    sigma = min(SMOOTHING_CELLS, SMOOTHING_SHARE * width)
    soft = cv2.GaussianBlur(far, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    # The middle of a pixel outside is half a pixel from its edge to the people.
    return np.asarray(soft - HALF - np.float32(width), np.float32)
