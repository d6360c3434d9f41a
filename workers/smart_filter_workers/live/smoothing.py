"""Smoothing: a matte that keeps still where the picture does, and moves at once where it moves.

Networks and colour lines that see each frame anew change their mind along the edge from frame to
frame, with the camera's noise, and the edge flickers. What they said lately is held against
that: each pixel's coverage is a mean over time that forgets fast where the picture changes and
slowly where it does not. Change is measured against a picture that is remembered in the same
way, so that a slow movement adds up until it shows, and what is remembered of coverage and of
picture is of one moment. It is the finished matte that is smoothed: smoothing what the network
said took away 2 % of the flicker, and this seven eighths (docs/measurements.md).
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.results import Matte8, Srgb8

Floats = NDArray[np.float32]

# How long a still pixel's coverage is remembered.
REMEMBERED_SECONDS: Final = 0.4
# Change is looked for where one pixel is the mean of so many a side: a camera's noise averages out.
CELL_PX: Final = 4
# Levels, of 255, of the most changed of red, green and blue: noise below, movement above.
STILL_BELOW: Final = 5.0
MOVES_ABOVE: Final = 12.0
# What moves is surrounded by what it lays bare and covers, so many cells around it.
REACH_CELLS: Final = 2


class Smoothing:
    """The matte of one connection over time; for one thread at a time."""

    def __init__(self) -> None:
        self._coverage: Floats | None = None
        self._picture: Floats | None = None

    def smoothed(self, matte: Matte8, srgb: Srgb8, *, seconds: float) -> Matte8:
        """Return the matte of a frame, (H, W) uint8, as it is to be shown.

        matte: (H, W) uint8, as it was seen; srgb: (H, W, 3) uint8, the frame.
        seconds: how long after the frame before it came.
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
    """Return how much of what is new counts, (h, w) float32, 0..1."""
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
