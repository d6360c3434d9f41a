"""Decode uploaded masks: gray PNGs whose levels are coverage, not light."""

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.errors import ImageUnreadable


def decode_mask(content: bytes) -> NDArray[np.uint8]:
    """Return a mask, (H, W) uint8, its levels unchanged by any gamma in the file.

    Raises ImageUnreadable.
    """
    found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    if found is None:
        raise ImageUnreadable("the mask of a correction is truncated or corrupt")
    return np.asarray(found, dtype=np.uint8)
