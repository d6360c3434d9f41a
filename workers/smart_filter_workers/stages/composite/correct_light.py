"""Correct the light of a photo that is kept: one gentle curve for all colors."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Srgb8

# Levels of 255. The darkest and the brightest 0.5 % of a photo become black and white, if they are
# no farther from them than this: fog and night stay what they are.
CLIPPED_PERCENT: Final = 0.5
MOST_BLACK, MOST_WHITE = 14, 22
# A dark median moves this share of the way to the middle gray of sRGB, by this exponent at least. A
# bright one stays: it often is a window's or a sky's, and the faces before it would get darker, as
# blind judges saw in three of 41 photos.
MIDDLE_LEVEL: Final = 118
MIDDLE_SHARE: Final = 0.4
LEAST_EXPONENT: Final = 0.87
# A curve that moves no level by more than this is not applied.
UNSEEN_LEVELS: Final = 4

Curve = NDArray[np.uint8]  # (256,), the new level of each level


def find_curve(proxy_srgb: Srgb8) -> Curve | None:
    """Return the curve that corrects a photo's light; None if its light is fine.

    proxy_srgb: (h, w, 3) uint8 sRGB, the photo or a small copy.
    """
    luma = cv2.cvtColor(proxy_srgb, cv2.COLOR_RGB2GRAY)
    dark, middle, bright = np.percentile(luma, (CLIPPED_PERCENT, 50, 100 - CLIPPED_PERCENT))
    black, white = min(dark, MOST_BLACK), max(bright, 255 - MOST_WHITE)
    share = np.clip((middle - black) / (white - black), 0.02, 0.98)
    wanted = share + MIDDLE_SHARE * (MIDDLE_LEVEL / 255 - share)
    exponent = np.clip(np.log(wanted) / np.log(share), LEAST_EXPONENT, 1)
    levels = np.clip((np.arange(256) - black) / (white - black), 0, 1) ** exponent * 255
    moved = float(np.abs(levels - np.arange(256)).max())
    return None if moved < UNSEEN_LEVELS else np.rint(levels).astype(np.uint8)


def apply_curve(photo_srgb: Srgb8, curve: Curve) -> Srgb8:
    """Return the photo, (H, W, 3) uint8 sRGB, with its levels changed by a curve."""
    return np.asarray(cv2.LUT(photo_srgb, curve), np.uint8)
