"""A background that somebody sent: it fills the photo's frame and keeps its own shape."""

import cv2
import numpy as np

from smart_filter_workers import images
from smart_filter_workers.results import Srgb8


def cover(srgb: Srgb8, *, width: int, height: int, at: tuple[float, float] = (0.5, 0.5)) -> Srgb8:
    """Return the middle of a picture, scaled evenly until it fills width × height px.

    srgb: (H, W, 3) uint8, which is not written to.  Returns a new (height, width, 3) uint8.
    at: how much of what is too much is cut off on the left, and above; 0..1.
    Smaller: every pixel is the mean of the area it covers.  Larger: cubic.
    """
    down, across = srgb.shape[:2]
    scale = max(width / across, height / down)
    # Whole pixels are cut off: at the most half a pixel of them is stretched.
    kept_x = min(across, max(1, round(width / scale)))
    kept_y = min(down, max(1, round(height / scale)))
    left, top = int((across - kept_x) * at[0]), int((down - kept_y) * at[1])
    middle = srgb[top : top + kept_y, left : left + kept_x]
    if scale > 1:
        larger = cv2.resize(middle, (width, height), interpolation=cv2.INTER_CUBIC)
        return larger.astype(np.uint8, copy=False)
    fitted = images.by_area(middle, width=width, height=height)
    return fitted.copy() if fitted is middle else fitted  # the caller draws on what it gets
