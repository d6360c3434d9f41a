"""Bounds: how far colors may move the edge from its place in the matte.

A color line leaks along the background's texture: between slabs of pavement it draws combs on a
bare leg. Where hair is likely that is accepted. Elsewhere people are smooth, and their outline
stays close to the matte's.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Floats, Matte8

# Blur of the outline, in pixels of the small picture: wider than combs, finer than fingers.
SMOOTH_SIGMA_PX: Final = 1.2
# Distance that colors may move the smooth outline from the matte's, in pixels of the matte.
REACH_PX: Final = 1
# The bounds go from 0 to 1 in 1 / EDGE_STEEPNESS of a blurred edge's slope, and lie SLACK, in
# coverage, on both sides of the smooth outline. With more slack the noise of colors frays smooth
# edges; with none, corners are cut.
EDGE_STEEPNESS: Final = 4.0
SLACK: Final = 0.15
HAIR_SLACK: Final = 4.0  # in coverage: hair is not bounded

# (h, w, 2) float32: least and most coverage; beyond 0..1 where there is no bound.
Bounds = NDArray[np.float32]


def compute_bounds(coverage: Floats, matte: Matte8, openness: Floats) -> Bounds:
    """Return the least and the most coverage that color lines may give, (h, w, 2).

    coverage: (h, w) float32, 0..1, as learned; matte: (h, w) uint8, the matte that it was learned
    from; openness: (h, w) float32, 0..1, the likelihood of hair.
    """
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * REACH_PX + 1,) * 2)
    least, most = (
        np.divide(change(matte, disc), 255, dtype=np.float32) for change in (cv2.erode, cv2.dilate)
    )
    near = np.clip(coverage, least, most)
    side = (2 * round(3 * SMOOTH_SIGMA_PX) - 1,) * 2
    smooth = cv2.GaussianBlur(near, side, SMOOTH_SIGMA_PX, borderType=cv2.BORDER_REPLICATE)
    middle = (smooth - 0.5) * EDGE_STEEPNESS + 0.5
    slack = SLACK + openness * HAIR_SLACK
    return np.asarray(cv2.merge([middle - slack, middle + slack]), np.float32)


def clip_coverage(coverage: Floats, bounds: Bounds) -> Floats:
    """Return the coverage, (h, w) float32, 0..1, within bounds, (h, w, 2)."""
    within = cv2.min(cv2.max(coverage, bounds[..., 0]), bounds[..., 1])
    return np.asarray(np.clip(within, 0, 1), np.float32)
