"""Turned squares: crop one from a picture for a network, and map its points back."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.results import Point
from smart_filter_workers.opencv import cv2
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import Floats, Srgb8

# Bilinear sampling skips pixels above this shrinking factor, which shows as noise.
MAX_BILINEAR_SHRINK = 2.0


@dataclass(frozen=True, slots=True)
class Square:
    """A square in a picture, in the picture's pixels.

    center: x and y; side: its length in pixels; angle: radians from the picture's x axis to the
    square's, clockwise on the picture.
    """

    center: Point
    side: float
    angle: float

    def cut(self, picture: Srgb8, size: int, *, black_beyond: bool = False) -> Floats:
        """Return the square as a crop, (size, size, 3) float32 RGB in 0..1.

        picture: (H, W, 3) uint8 sRGB. Beyond its edges the crop repeats the edge's pixels, or is
        black, as in the network's training.
        """
        matrix = self._to_picture(size)
        if self.side > MAX_BILINEAR_SHRINK * size:
            scale = size / self.side
            picture, scale_x, scale_y = _shrink(picture, scale)
            matrix = np.diag((scale_x, scale_y)) @ matrix
        crop = cv2.warpAffine(
            picture,
            matrix,
            (size, size),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT if black_beyond else cv2.BORDER_REPLICATE,
        )
        return np.divide(crop, 255, dtype=np.float32)

    def near(self, picture: Srgb8) -> tuple[Srgb8, "Square"]:
        """Return a part of a picture that contains the square at any angle, and the square in it.

        `cut` shrinks its whole input. For a square that is small in a photo and large compared to
        the crop, that would take longer than all other steps.
        """
        height, width = picture.shape[:2]
        reach = self.side * math.sqrt(1 / 2) + MAX_BILINEAR_SHRINK
        left = min(width - 1, max(0, math.floor(self.center[0] - reach)))
        top = min(height - 1, max(0, math.floor(self.center[1] - reach)))
        right = max(left + 1, math.ceil(self.center[0] + reach))
        bottom = max(top + 1, math.ceil(self.center[1] + reach))
        center = (self.center[0] - left, self.center[1] - top)
        return picture[top:bottom, left:right], replace(self, center=center)

    def to_picture(self, points: Floats, size: int) -> Floats:
        """Return (N, 2) float32 points of a crop of `size` pixels in the picture's pixels."""
        matrix = self._to_picture(size)
        return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], dtype=np.float32)

    def to_cut(self, points: Floats, size: int) -> Floats:
        """Return (N, 2) float32 points of the picture in pixels of a crop of `size` pixels."""
        matrix = self._to_picture(size)
        # The axes are perpendicular and equally long: the inverse is the transpose, scaled.
        per_px = size / self.side
        inside = (points - matrix[:, 2]) @ matrix[:, :2] * per_px * per_px
        return np.asarray(inside, dtype=np.float32)

    def paste(self, cut: Floats, height: int, width: int) -> Floats:
        """Return a crop pasted back in its place: (height, width) float32, 0 outside the square.

        cut: (size, size) float32.
        """
        pasted = cv2.warpAffine(cut, self._to_picture(len(cut)), (width, height))
        return np.asarray(pasted, dtype=np.float32)

    def _to_picture(self, size: int) -> NDArray[np.float64]:
        """Return the (2, 3) matrix from pixels of the crop to pixels of the picture."""
        along = np.array([math.cos(self.angle), math.sin(self.angle)]) * self.side / size
        down = np.array([-along[1], along[0]])
        corner = np.array(self.center) - (along + down) * size / 2
        return np.asarray(np.stack([along, down, corner], axis=1), dtype=np.float64)


def _shrink(picture: Srgb8, scale: float) -> tuple[Srgb8, float, float]:
    """Return the picture shrunk to about `scale`, and its exact scale along x and y."""
    height, width = picture.shape[:2]
    across, down = max(1, round(width * scale)), max(1, round(height * scale))
    return resize(picture, width=across, height=down), across / width, down / height
