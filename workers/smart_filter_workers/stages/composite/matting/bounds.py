"""Bounds: how far colours may draw the edge from where the matte has it.

A colour line leaks along the background's texture: between slabs of pavement it draws combs on
a bare leg. Where hair is likely that is taken into the bargain, elsewhere people are smooth, and
their outline keeps near that of the matte.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.results import Matte8
from smart_filter_workers.stages.composite.matting.blocks import Floats

# Of an outline, in pixels of the small picture: combs are finer, fingers are not.
SMOOTH_SIGMA_PX: Final = 1.2
# So far from where the matte has it colours may draw the smooth outline, in its own pixels.
REACH_PX: Final = 1
# What bounds allow goes from none to whole in 1 / STEEPER of a blurred edge's slope, and lies
# SLACK, of coverage, to both sides of the smooth outline.
STEEPER: Final = 4.0
SLACK: Final = 0.35
FREE: Final = 4.0  # of coverage: where hair is, nothing is bound

# (h, w, 2) float32: the least and the most coverage; beyond 0..1 where nothing is bound.
Bounds = NDArray[np.float32]


def of(coverage: Floats, matte: Matte8, openness: Floats) -> Bounds:
    """Return the least and the most coverage that lines may tell, (h, w, 2).

    coverage: (h, w) float32, 0..1, as it was learnt; matte: (h, w) uint8, what it was learnt
    from; openness: (h, w) float32, 0..1, how likely hair is.
    """
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * REACH_PX + 1,) * 2)
    least, most = (
        np.divide(change(matte, disc), 255, dtype=np.float32) for change in (cv2.erode, cv2.dilate)
    )
    near = np.clip(coverage, least, most)
    side = (2 * round(3 * SMOOTH_SIGMA_PX) - 1,) * 2
    smooth = cv2.GaussianBlur(near, side, SMOOTH_SIGMA_PX, borderType=cv2.BORDER_REPLICATE)
    middle = (smooth - 0.5) * STEEPER + 0.5
    slack = SLACK + openness * FREE
    return np.asarray(cv2.merge([middle - slack, middle + slack]), np.float32)


def kept(coverage: Floats, bounds: Bounds) -> Floats:
    """Return the coverage, (h, w) float32, 0..1, within bounds, (h, w, 2)."""
    within = cv2.min(cv2.max(coverage, bounds[..., 0]), bounds[..., 1])
    return np.asarray(np.clip(within, 0, 1), np.float32)
