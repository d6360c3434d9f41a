"""Shape a finished matte as the recipe asks: grown, shrunk, or without partial coverage."""

from typing import Final

import numpy as np

from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Matte8

_HALF: Final = 127
_WHOLE: Final = 255


def grow_matte(matte: Matte8, pixels: int) -> Matte8:
    """Return a matte, (H, W) uint8, grown by this many pixels, or shrunk where negative.

    The border of the picture is no edge: people whom it cuts off stay as they are there.
    """
    if not pixels:
        return matte
    side = 2 * abs(pixels) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    change = cv2.dilate if pixels > 0 else cv2.erode
    return np.asarray(change(matte, disc), np.uint8)


def harden_matte(matte: Matte8) -> Matte8:
    """Return a matte, (H, W) uint8, of 0 and 255 alone: people where they cover half or more."""
    return np.asarray(cv2.threshold(matte, _HALF, _WHOLE, cv2.THRESH_BINARY)[1], np.uint8)
