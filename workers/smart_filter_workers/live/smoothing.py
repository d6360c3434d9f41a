"""Smooth a matte over time: it is still where the picture is still, and moves where it moves.

Networks and color lines that see only single frames give slightly different edges from frame to
frame, with the camera's noise, and the edge flickers. Therefore each pixel's coverage is a mean
over time that forgets fast where the picture changes and slowly where it does not. Change is
measured against a picture that is averaged in the same way, so that a slow movement adds up until
it shows, and the averages of coverage and picture belong to the same moment. The finished matte is
smoothed: smoothing the output of the network took away 2 % of the flicker, this takes away seven
eighths (docs/measurements.md).
"""

from typing import Final

import numpy as np

from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Floats, Matte8, Srgb8

# Time constant of the mean for a still pixel.
REMEMBERED_SECONDS: Final = 0.4
# Side of the cells in which change is measured: their mean removes camera noise.
CELL_PX: Final = 4
# Levels of 255, for the most changed of red, green and blue: noise below, movement above.
STILL_BELOW: Final = 5.0
MOVES_ABOVE: Final = 12.0
# Cells around a moving cell that also count as moving: movement uncovers and covers them.
REACH_CELLS: Final = 2


class MatteSmoother:
    """The matte of one connection over time; for one thread at a time."""

    def __init__(self) -> None:
        self._coverage: Floats | None = None
        self._picture: Floats | None = None

    def smooth(self, matte: Matte8, srgb: Srgb8, *, seconds: float) -> Matte8:
        """Return the smoothed matte of a frame, (H, W) uint8.

        matte: (H, W) uint8, of this frame alone; srgb: (H, W, 3) uint8, the frame.
        seconds: the time since the previous frame.
        """
        picture = _small(srgb)
        coverage, before = self._coverage, self._picture
        if coverage is None or before is None or coverage.shape != matte.shape:
            self._coverage, self._picture = matte.astype(np.float32), picture
            return matte
        share = _share(picture, before, seconds=seconds)
        before += share[..., np.newaxis] * (picture - before)
        size = (matte.shape[1], matte.shape[0])
        coverage += cv2.resize(share, size, interpolation=cv2.INTER_LINEAR) * (matte - coverage)
        return np.asarray(cv2.convertScaleAbs(coverage), np.uint8)


def _share(picture: Floats, before: Floats, *, seconds: float) -> Floats:
    """Return the weight of the new frame in each cell, (h, w) float32, 0..1."""
    change = cv2.absdiff(picture, before).max(axis=2)
    moves = np.clip((change - STILL_BELOW) / (MOVES_ABOVE - STILL_BELOW), 0, 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * REACH_CELLS + 1,) * 2)
    moves = cv2.dilate(moves, disc)
    least = -np.expm1(-seconds / REMEMBERED_SECONDS)
    return np.asarray(least + (1 - least) * moves, np.float32)


def _small(srgb: Srgb8) -> Floats:
    height, width = srgb.shape[:2]
    size = (max(1, width // CELL_PX), max(1, height // CELL_PX))
    return cv2.resize(srgb, size, interpolation=cv2.INTER_AREA).astype(np.float32)
