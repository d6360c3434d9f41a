"""Designs with a light of their own, turned so that it falls from where the people's does."""

from typing import Final

import cv2
import numpy as np

from smart_filter_workers.results import Srgb8

# Families that show a sun, a moon, a window or a lamp; the others' brightness is no light.
SIDE_LIT: Final = frozenset({"hills", "night", "studio", "window"})
# -1..1: how surely light must come from a side before anything is turned; half of 159 training
# photos are lit so.
CERTAIN: Final = 0.4
# Levels of mean luma between halves; less is texture.
_LIT_LEVELS: Final = 1.5
_SAMPLES_A_SIDE: Final = 64


def is_certain(light: float) -> bool:
    """Whether light, -1 from the left to 1 from the right, comes from a side for certain."""
    return abs(light) >= CERTAIN


def agreeing(drawing: Srgb8, *, light: float) -> Srgb8:
    """Return a drawing of a SIDE_LIT family, mirrored when its light falls from the other side.

    drawing: (H, W, 3) uint8 sRGB.  light: where the people's comes from, -1 left to 1 right.
    """
    if not is_certain(light) or light * _own(drawing) >= 0:
        return drawing
    return cv2.flip(drawing, 1).astype(np.uint8, copy=False)


def _own(drawing: Srgb8) -> float:
    """Return by how many levels of luma the right half is lighter; 0 for hardly any."""
    height, width = drawing.shape[:2]
    step = max(1, min(height, width) // _SAMPLES_A_SIDE)
    luma = drawing[step // 2 :: step, step // 2 :: step] @ np.array([0.2126, 0.7152, 0.0722])
    half = luma.shape[1] // 2
    if not half:
        return 0.0
    lighter = float(luma[:, -half:].mean() - luma[:, :half].mean())
    return lighter if abs(lighter) >= _LIT_LEVELS else 0.0
