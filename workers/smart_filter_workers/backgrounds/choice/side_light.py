"""Side light: mirror designs with a light of their own to match the direction of the people's."""

from typing import Final

import numpy as np

from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Srgb8
from smart_filter_workers.srgb import LUMA_WEIGHTS

# Least certainty, of -1..1, that light comes from a side before a design is mirrored; half of 159
# training photos exceed it.
CERTAIN_FROM: Final = 0.4
# Least difference of mean luma between halves, in levels; less is texture.
_MIN_LUMA_DIFFERENCE: Final = 1.5
_SAMPLES_PER_SIDE: Final = 64


def is_certain(light: float) -> bool:
    """Return whether light, -1 from the left to 1 from the right, surely comes from a side."""
    return abs(light) >= CERTAIN_FROM


def mirror_to_match(drawing: Srgb8, *, light: float) -> Srgb8:
    """Return a drawing of SIDE_LIT_FAMILIES, mirrored if its light comes from the other side.

    drawing: (H, W, 3) uint8 sRGB.  light: direction of the people's light, -1 left to 1 right.
    """
    if not is_certain(light) or light * _measure_side_light(drawing) >= 0:
        return drawing
    return cv2.flip(drawing, 1).astype(np.uint8, copy=False)


def _measure_side_light(drawing: Srgb8) -> float:
    """Return how much lighter the right half is, in levels of luma; 0 if hardly at all."""
    height, width = drawing.shape[:2]
    step = max(1, min(height, width) // _SAMPLES_PER_SIDE)
    luma = drawing[step // 2 :: step, step // 2 :: step] @ LUMA_WEIGHTS
    half = luma.shape[1] // 2
    if not half:
        return 0.0
    lighter = float(luma[:, -half:].mean() - luma[:, :half].mean())
    return lighter if abs(lighter) >= _MIN_LUMA_DIFFERENCE else 0.0
