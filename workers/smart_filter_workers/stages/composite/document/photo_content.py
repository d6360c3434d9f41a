"""Take bars of one color at a photo's borders away from the people."""

from typing import Final

import numpy as np

from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Matte8, Srgb8

# Levels within which a line of pixels has one color, JPEG's noise included; and from which on the
# next line has another, in at least this share of its pixels: a wall goes on next to a head.
_ONE_COLOR: Final = 14
_SPECKS: Final = 0.01
_OTHER_COLOR: Final = 24
_STEP_SHARE: Final = 0.4


def hide_bars(matte: Matte8, proxy_srgb: Srgb8) -> Matte8:
    """Return the matte without what is in bars.

    matte: (H, W) uint8; proxy_srgb: (h, w, 3) uint8, the photo, no larger.
    """
    content = np.full(proxy_srgb.shape[:2], 255, np.uint8)
    for turns in range(4):
        lines = np.rot90(proxy_srgb, turns).astype(np.int16)
        away = np.abs(lines - np.median(lines[0], axis=0)).max(axis=2)
        count = int(((away > _ONE_COLOR).mean(axis=1) > _SPECKS).argmax())
        # The first line after a bar may be a mixture of both.
        if (away[count : count + 3] > _OTHER_COLOR).mean(axis=1).max() > _STEP_SHARE:
            np.rot90(content, turns)[:count] = 0
    size = matte.shape[::-1]
    return np.minimum(matte, cv2.resize(content, size, interpolation=cv2.INTER_NEAREST))
