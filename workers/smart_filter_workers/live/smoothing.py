"""Smoothing: a matte that keeps still where the picture does, and moves at once where it moves.

A network that sees each frame anew changes its mind along the edge from frame to frame, and the
edge flickers. What it said lately is held against that: each pixel's coverage is a mean over
time that forgets fast where the picture changes and slowly where it does not. Change is
measured against a picture that is remembered in the same way, so that a slow movement adds
up until it shows, and what is remembered of coverage and of picture is always of one moment.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.results import Srgb8

Floats = NDArray[np.float32]

# How long a still pixel's coverage is remembered (benchmarks/live.py: shorter flickers more).
REMEMBERED_SECONDS: Final = 0.4
# Change is looked for where one pixel is the mean of so many a side: a camera's noise averages out.
CELL_PX: Final = 2
# Levels, of 255, of the most changed of red, green and blue: noise below, movement above.
STILL_BELOW: Final = 4.0
MOVES_ABOVE: Final = 12.0
# What moves is surrounded by what it lays bare and covers, so many cells around it.
REACH_CELLS: Final = 2


class Smoothing:
    """The coverage of one connection's people over time; for one thread at a time."""

    def __init__(self) -> None:
        self._coverage: Floats | None = None
        self._picture: Floats | None = None

    def smoothed(self, coverage: Floats, srgb: Srgb8, *, seconds: float) -> Floats:
        """Return the coverage of a frame, (H, W) float32 0..1, as it is to be shown.

        coverage: (H, W) float32, 0..1, as a network saw it; srgb: (H, W, 3) uint8, what it saw.
        seconds: how long after the frame before it was taken.
        """
        picture = _small(srgb)
        if (
            self._coverage is None
            or self._picture is None
            or self._coverage.shape != coverage.shape
        ):
            self._coverage, self._picture = coverage.copy(), picture
            return coverage
        share = _share(picture, self._picture, seconds=seconds)
        self._picture += share[..., np.newaxis] * (picture - self._picture)
        size = (coverage.shape[1], coverage.shape[0])
        self._coverage += cv2.resize(share, size, interpolation=cv2.INTER_LINEAR) * (
            coverage - self._coverage
        )
        return self._coverage.copy()


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
