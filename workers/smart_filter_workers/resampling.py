"""Resize pictures and maps fast, for networks and measurements.

Pictures that people look at in detail are made smaller by area: see `images`.
"""

from typing import Final, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = TypeVar("Pixels", NDArray[np.uint8], NDArray[np.float32])

# From this factor on a linear step, which reads two pixels along each side, is close to the mean.
# At 1.6 it costs 0.005 of the F1 of faces.
_NEARLY_HALF: Final = 1.75


def resize(pixels: Pixels, *, width: int, height: int) -> Pixels:
    """Return a picture or map stretched to a size; the same array if it has that size.

    pixels: (H, W) or (H, W, n).  Returns (height, width[, n]) of the same type.
    Each side is halved by area while it is at least twice as long, which OpenCV is fast at; a last
    odd row or column is left out. The rest is done by area, or linearly where that is no worse.
    1 megapixel to 512 px takes 0.7 ms this way and 4.5 ms by area alone, to 256 px 1.2 ms and 3 ms.
    """
    rows, columns = pixels.shape[:2]
    while rows >= 2 * height or columns >= 2 * width:
        down, across = 1 + (rows >= 2 * height), 1 + (columns >= 2 * width)
        rows, columns = rows // down, columns // across
        even = pixels[: rows * down, : columns * across]
        pixels = _resize(even, (columns, rows), cv2.INTER_AREA)
    if (rows, columns) == (height, width):
        return pixels
    enlarges = rows < height or columns < width
    nearly_halves = rows >= _NEARLY_HALF * height and columns >= _NEARLY_HALF * width
    how = cv2.INTER_LINEAR if enlarges or nearly_halves else cv2.INTER_AREA
    return _resize(pixels, (width, height), how)


def shrink(pixels: Pixels, *, longest_side: int) -> Pixels:
    """Return a picture or map with no side above `longest_side`; the same array if none is.

    pixels: (H, W) or (H, W, n).
    """
    height, width = pixels.shape[:2]
    scale = longest_side / max(height, width)
    if scale >= 1:
        return pixels
    return resize(pixels, width=max(1, round(width * scale)), height=max(1, round(height * scale)))


def _resize(pixels: Pixels, size: tuple[int, int], how: int) -> Pixels:
    resized = cv2.resize(pixels, size, interpolation=how)
    return resized.astype(pixels.dtype, copy=False)
