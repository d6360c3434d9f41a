"""Edge pixels: the pixels of a large picture where a matte is neither 0 nor 1.

Only they are computed. In a portrait they are a twentieth of the pixels, and no second array of the
photo's size is needed.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Floats, Matte8

_STRIP_ROWS: Final = 128
# Pixels of one part: their colors as floats stay in the cache, and OpenCV limits the length of a
# row to 32,767.
_MOST_PIXELS: Final = 8192


@dataclass(frozen=True, slots=True)
class EdgePixels:
    """Some of a picture's edge pixels.

    rows: the strip of rows that contains them.  places: (n,) int64, their places in the strip, row
    by row.  x, y: (1, n) float32, their middles as shares of the picture's width and height.
    """

    rows: slice
    places: NDArray[np.int64]
    x: Floats
    y: Floats

    def take(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return these pixels of a picture, (H, W[, C]) uint8, as (1, n[, C])."""
        strip = picture[self.rows]
        return strip.reshape(-1, *strip.shape[2:]).take(self.places, axis=0)[np.newaxis]

    def put(self, picture: NDArray[np.uint8], pixels: NDArray[np.uint8]) -> None:
        """Replace these pixels of a contiguous picture, (H, W[, C]) uint8, by (1, n[, C])."""
        # A pixel is one item of bytes: numpy takes up to eight times as long to store rows of them.
        pixel = np.dtype((np.void, math.prod(picture.shape[2:])))
        strip = picture[self.rows].reshape(-1, copy=False).view(pixel)
        strip[self.places] = np.ascontiguousarray(pixels).reshape(-1).view(pixel)

    def enlarge(self, small: Floats) -> Floats:
        """Return these pixels, (1, n, C), of a map of any size enlarged linearly."""
        height, width = small.shape[:2]
        x, y = self.x * np.float32(width), self.y * np.float32(height)
        x -= 0.5
        y -= 0.5
        enlarged = cv2.remap(small, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(enlarged, np.float32)


def find_edge_pixels(matte: Matte8) -> Iterator[EdgePixels]:
    """Yield the pixels at which a matte, (H, W) uint8, is neither 0 nor 255, part by part."""
    height, width = matte.shape
    for top in range(0, height, _STRIP_ROWS):
        rows = slice(top, min(height, top + _STRIP_ROWS))
        places = np.flatnonzero(cv2.inRange(matte[rows], 1, 254) > 0)
        for first in range(0, len(places), _MOST_PIXELS):
            some = places[first : first + _MOST_PIXELS]
            # The row, and x as its fraction; dividing integers takes three times as long. Single
            # precision tells the pixels of a strip apart up to 32,767 a row.
            across = some[np.newaxis].astype(np.float32)
            across += 0.5
            across /= width
            row = np.floor(across)
            across -= row
            row += top + 0.5
            row /= height
            yield EdgePixels(rows, some, across, row)
