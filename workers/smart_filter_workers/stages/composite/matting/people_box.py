"""The box around all people in a picture: edges are learned inside it, not on the whole photo.

People who fill a third of the photo get three times the pixels of the small picture that way.
"""

from dataclasses import dataclass, replace
from typing import Final, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.results import Face, Matte8
from smart_filter_workers.stages.composite.matting.trimap import SURELY_NONE

Level = TypeVar("Level", np.uint8, np.float32)

# Margin as a share of the box's longest side: wider than the windows that edges are learned from.
MARGIN_SHARE: Final = 0.05


@dataclass(frozen=True, slots=True)
class PeopleBox:
    """A part of a picture, in pixels; right and bottom are the first ones outside."""

    left: int
    top: int
    right: int
    bottom: int

    def crop(self, pixels: NDArray[Level]) -> NDArray[Level]:
        """Return this part of a picture, (H, W[, n]), as a view."""
        return pixels[self.top : self.bottom, self.left : self.right]

    def scaled(self, x: float, y: float) -> "PeopleBox":
        """Return the same part of a picture that is `x` times as wide and `y` times as high."""
        return PeopleBox(
            round(self.left * x), round(self.top * y), round(self.right * x), round(self.bottom * y)
        )

    def move(self, face: Face) -> Face:
        """Return a face with its box in pixels of this part; the landmarks stay as they are."""
        x, y, width, height = face.box
        return replace(face, box=(x - self.left, y - self.top, width, height))

    def surround(self, part: NDArray[Level], *, width: int, height: int) -> NDArray[Level]:
        """Return a small map, (h, w, n), of this part as one of the whole picture's area.

        width, height: the picture's.  The map is right to half of its pixels; the rest of it
        repeats its border.
        """
        if (self.left, self.top, self.right, self.bottom) == (0, 0, width, height):
            return part
        across = part.shape[1] / (self.right - self.left)
        down = part.shape[0] / (self.bottom - self.top)
        sides = (
            round(self.top * down),
            round((height - self.bottom) * down),
            round(self.left * across),
            round((width - self.right) * across),
        )
        whole = cv2.copyMakeBorder(part, *sides, cv2.BORDER_REPLICATE)
        return whole.astype(part.dtype, copy=False)


def find(matte: Matte8) -> PeopleBox:
    """Return the box around all people in a matte, (h, w) uint8; everything without any."""
    height, width = matte.shape
    left, top, across, down = cv2.boundingRect(cv2.inRange(matte, SURELY_NONE + 1, 255))
    if not across:
        return PeopleBox(0, 0, width, height)
    margin = round(MARGIN_SHARE * max(across, down)) + 1
    return PeopleBox(
        max(0, left - margin),
        max(0, top - margin),
        min(width, left + across + margin),
        min(height, top + down + margin),
    )
