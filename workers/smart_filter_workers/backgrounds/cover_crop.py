"""Crop an uploaded background so that it fills the photo's frame in its own proportions."""

import numpy as np

from smart_filter_workers import images
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Srgb8


def crop_to_cover(
    srgb: Srgb8, *, width: int, height: int, at: tuple[float, float] = (0.5, 0.5)
) -> Srgb8:
    """Return a picture scaled evenly to cover width × height px, with the rest cropped.

    srgb: (H, W, 3) uint8, not written to.  Returns a new (height, width, 3) uint8.
    at: share of the cropped part that is cut off on the left, and above; 0..1.
    Smaller: every pixel is the mean of the area it covers.  Larger: cubic.
    """
    down, across = srgb.shape[:2]
    scale = max(width / across, height / down)
    # Crop whole pixels, which stretches the picture by at most half a pixel.
    kept_x = min(across, max(1, round(width / scale)))
    kept_y = min(down, max(1, round(height / scale)))
    left, top = int((across - kept_x) * at[0]), int((down - kept_y) * at[1])
    middle = srgb[top : top + kept_y, left : left + kept_x]
    if scale > 1:
        larger = cv2.resize(middle, (width, height), interpolation=cv2.INTER_CUBIC)
        return larger.astype(np.uint8, copy=False)
    fitted = images.downscale_by_area(middle, width=width, height=height)
    return fitted.copy() if fitted is middle else fitted  # the caller draws on it
