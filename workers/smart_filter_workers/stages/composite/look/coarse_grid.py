"""Coarse maps of a picture: computed on few cells, applied at full size block by block.

Light, shadow and distances to an outline are smooth; only the pictures that they are applied to
have detail.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

import numpy as np

from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Bools, Bytes, Floats, Matte8, Srgb8, Srgba8

Block: TypeAlias = tuple[slice, slice]  # rows and columns of a picture
Values = TypeVar("Values", Floats, Bytes)

LONGEST_PX: Final = 512
# Light is measured on at most this many pixels a side: only means and blurred values are used.
GLANCE_PX: Final = 64
BLOCK_PX: Final = 64
# Blur radius above which a map is shrunk first: the least at which linear enlarging is invisible.
_BLUR_PX: Final = 4.0


@dataclass(frozen=True, slots=True)
class Grid:
    """A coarse grid over a picture of `height` and `width`; each cell is `step` pixels a side.

    step: a power of two, at most BLOCK_PX, so that blocks start on cell borders. A part is then
    enlarged by whole steps, in a fifth of the time of a warp.
    """

    height: int
    width: int
    step: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of cells; the last ones may extend beyond the picture."""
        return -(-self.height // self.step), -(-self.width // self.step)

    def shrink_matte(self, matte: Matte8) -> Floats:
        """Return a matte, (H, W) uint8, as a map of this grid: (h, w) float32, 0..1."""
        if self.step == 1:
            return matte.astype(np.float32) / np.float32(255)
        # Take every `skip`-th pixel, then one bilinear sample in the middle of each cell: exact
        # means take ten times as long.
        skip = self.step // 2
        some = matte[skip // 2 :: skip, skip // 2 :: skip]
        if not some.size:
            some, skip = matte, 1
        start = (0.5 * self.step - 0.5 - (skip // 2 if skip > 1 else 0)) / skip
        matrix = np.array([[self.step / skip, 0, start], [0, self.step / skip, start]])
        small = cv2.warpAffine(
            some,
            matrix,
            self.shape[::-1],
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return small.astype(np.float32) / np.float32(255)

    def fit_map(self, any_map: Floats) -> Floats:
        """Return a map of the whole picture, of any size, resized to this grid with a margin.

        any_map: (h', w') or (h', w', 3) float32.  The result has one more cell on each side, as
        `enlarge_block` expects.
        """
        if any_map.shape[:2] != self.shape:
            any_map = cv2.resize(any_map, self.shape[::-1], interpolation=cv2.INTER_LINEAR).astype(
                np.float32, copy=False
            )
        framed = cv2.copyMakeBorder(any_map, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
        return framed.astype(np.float32, copy=False)

    def enlarge_block(self, fitted: Values, block: Block) -> Values:
        """Return one block of a fitted map, enlarged linearly to the picture."""
        rows, columns = block
        step = self.step
        top, left = rows.start // step, columns.start // step
        bottom, right = -(-rows.stop // step) + 2, -(-columns.stop // step) + 2
        cells = fitted[top:bottom, left:right]
        if step > 1:
            size = cells.shape[1] * step, cells.shape[0] * step
            enlarged = cv2.resize(cells, size, interpolation=cv2.INTER_LINEAR)
            cells = enlarged.astype(fitted.dtype, copy=False)
        return cells[
            step : step + rows.stop - rows.start, step : step + columns.stop - columns.start
        ]

    def blocks(self, active: Bools) -> Iterator[Block]:
        """Yield the blocks of the picture, joined along rows, in which a map is active.

        active: (h, w) of this grid.
        """
        # A neighbor's cell extends into this one by half a cell when enlarged.
        near = cv2.dilate(active.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        cells = BLOCK_PX // self.step
        touched = np.logical_or.reduceat(near, np.arange(0, near.shape[0], cells), axis=0)
        touched = np.logical_or.reduceat(touched, np.arange(0, near.shape[1], cells), axis=1)
        for number, row in enumerate(touched):
            top = number * BLOCK_PX
            edges = np.flatnonzero(np.diff(np.concatenate(([False], row, [False]))))
            for first, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
                yield (
                    slice(top, min(self.height, top + BLOCK_PX)),
                    slice(first * BLOCK_PX, min(self.width, end * BLOCK_PX)),
                )


def make_grid(height: int, width: int, *, longest_px: int = LONGEST_PX) -> Grid:
    """Return the finest grid with at most `longest_px` cells a side, if its steps allow."""
    step = 1
    while step < BLOCK_PX and max(height, width) > step * longest_px:
        step *= 2
    return Grid(height, width, step)


def sample_picture(pixels: Bytes) -> Srgb8 | Srgba8:
    """Return (h, w, C) uint8: evenly sampled pixels of a picture, at most GLANCE_PX a side."""
    height, width = pixels.shape[:2]
    down, across = -(-height // GLANCE_PX), -(-width // GLANCE_PX)
    return np.ascontiguousarray(pixels[(down - 1) // 2 :: down, (across - 1) // 2 :: across])


def blur_map(small: Floats, *, sigma_px: float) -> Floats:
    """Return a blurred map, with its border extended; for a wide blur it is smaller.

    small: (h, w) or (h, w, C) float32; sigma_px: in its pixels.
    """
    if sigma_px > _BLUR_PX:
        height, width = small.shape[:2]
        share = _BLUR_PX / sigma_px
        size = max(1, round(width * share)), max(1, round(height * share))
        small = cv2.resize(small, size, interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)
        sigma_px = _BLUR_PX
    soft = cv2.GaussianBlur(small, (0, 0), max(sigma_px, 0.1), borderType=cv2.BORDER_REPLICATE)
    return soft.astype(np.float32, copy=False)
