"""Measure how far people stand out from the background that was drawn, along their outline."""

import numpy as np

from smart_filter_wire.findings import OutlineContrast
from smart_filter_workers.backgrounds.choice import subject_stats
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Matte8, Srgb8

_DIGITS = 1


def measure(photo_srgb: Srgb8, matte: Matte8, ground: Srgb8) -> OutlineContrast | None:
    """Return the contrast across the outline; None without an outline in the picture.

    photo_srgb, ground: (H, W, 3) uint8, the people and the background; matte: (H, W) uint8.
    """
    height, width = matte.shape
    scale = min(1.0, subject_stats.LONGEST_SIDE_PX / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    # Every few pixels are enough: means of whole areas of 12 megapixels would take 30 ms.
    small_photo, small_matte, small_ground = (
        cv2.resize(whole, size, interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)
        for whole in (photo_srgb, matte, ground)
    )
    inside, outside = subject_stats.find_outline(small_photo, small_matte, small_ground)
    if not len(inside):
        return None
    lightness = np.abs(inside[:, 0] - outside[:, 0])
    chroma = np.hypot(inside[:, 1] - outside[:, 1], inside[:, 2] - outside[:, 2])
    weakest = np.quantile(np.hypot(lightness, chroma), 0.2)
    return OutlineContrast(
        *(round(float(value), _DIGITS) for value in (lightness.mean(), chroma.mean(), weakest))
    )
