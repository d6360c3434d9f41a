"""Label the connected parts of a mask."""

import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.opencv import cv2

_CONNECTIVITY = 8  # pixels that touch at a corner are of one part


def label_parts(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the number of each pixel's part, and the statistics of each part.

    mask: (H, W).  Returns (H, W) int32, 0 outside of the mask, and (n, 5) int32 by OpenCV's
    CC_STAT constants; its first row is everything outside.
    """
    # With one thread OpenCV's default algorithm takes twice as long: 2.3 ms for 640 × 640 pixels.
    _, labels, stats, _ = cv2.connectedComponentsWithStatsWithAlgorithm(
        mask.astype(np.uint8), _CONNECTIVITY, cv2.CV_32S, cv2.CCL_GRANA
    )
    return np.asarray(labels, np.int32), np.asarray(stats, np.int32)
