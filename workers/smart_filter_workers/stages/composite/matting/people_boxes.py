"""Boxes around separate groups of people: edges are learned inside each, not on the whole photo.

People who fill a third of the photo get three times the pixels of the small picture that way, and
what happens far from them does not change their edge.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.results import Face
from smart_filter_workers.connected_parts import locate_parts
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Floats, Matte8
from smart_filter_workers.stages.composite.matting.trimap import SURELY_NONE

# Boxes consist of whole cells of a grid, counted from the picture's corner: a box that grows is
# sampled at the same places. A cell is a whole number of pixels at each step of `sampling`.
CELL_PX: Final = 12
# Margin as a share of a box's longest side: wider than the windows that edges are learned from.
MARGIN_SHARE: Final = 0.05
# More groups than this share one box: crowds.
MAX_BOXES: Final = 16
# Longest side of the map of the whole photo's colors.
MAX_COLORS_PX: Final = 512


@dataclass(frozen=True, slots=True)
class PeopleBox:
    """A part of a picture, in pixels; right and bottom are the first ones outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """In pixels."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """In pixels."""
        return self.bottom - self.top

    def crop(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
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


def find(matte: Matte8) -> list[PeopleBox]:
    """Return boxes around the groups of people in a matte, (h, w) uint8; everything without any.

    They do not overlap.
    """
    height, width = matte.shape
    boxes: list[PeopleBox] = []
    _, stats = locate_parts(_shown_cells(matte))
    for left, top, across, down, _ in stats[1:].tolist():
        margin = math.ceil(MARGIN_SHARE * max(across, down))
        cells = left - margin, top - margin, left + across + margin, top + down + margin
        sides = [max(0, CELL_PX * cell) for cell in cells]
        boxes = _add(
            boxes, PeopleBox(sides[0], sides[1], min(width, sides[2]), min(height, sides[3]))
        )
    if not boxes:
        return [PeopleBox(0, 0, width, height)]
    return boxes if len(boxes) <= MAX_BOXES else [_around(boxes)]


def join_maps(
    maps: Sequence[Floats], boxes: Sequence[PeopleBox], *, width: int, height: int
) -> Floats:
    """Return small maps, (h, w, n) float32, of boxes as one map of the whole picture.

    width, height: the picture's.  Its places are exact to half a pixel; it is 0 outside the boxes.
    """
    if boxes == [PeopleBox(0, 0, width, height)]:
        return maps[0]
    # The same for any boxes: what is far from a person must not change their colors.
    pitch = min(1, MAX_COLORS_PX / max(width, height))
    whole = np.zeros(
        (math.ceil(height * pitch), math.ceil(width * pitch), maps[0].shape[2]), np.float32
    )
    for part_map, box in zip(maps, boxes, strict=True):
        part = box.scaled(whole.shape[1] / width, whole.shape[0] / height)
        if part.width and part.height:
            size = (part.width, part.height)
            cv2.resize(part_map, size, dst=whole[part.top : part.bottom, part.left : part.right])
    return whole


def _shown_cells(matte: Matte8) -> NDArray[np.bool_]:
    """Return the cells of the grid that show some of the people, (rows, columns)."""
    height, width = matte.shape
    below, right = -height % CELL_PX, -width % CELL_PX
    padded = cv2.copyMakeBorder(matte, 0, below, 0, right, cv2.BORDER_REPLICATE)
    rows, columns = padded.shape[0] // CELL_PX, padded.shape[1] // CELL_PX
    # One axis after the other: both at once take eight times as long.
    levels = padded.reshape(rows, CELL_PX, -1).max(axis=1)
    levels = levels.reshape(rows, columns, CELL_PX).max(axis=2)
    return np.asarray(levels > SURELY_NONE)


def _add(boxes: list[PeopleBox], box: PeopleBox) -> list[PeopleBox]:
    """Add a box, joined with the boxes that it overlaps; return boxes that do not overlap."""
    while touched := [other for other in boxes if _overlap(other, box)]:
        boxes = [other for other in boxes if other not in touched]
        box = _around([*touched, box])
    return [*boxes, box]


def _overlap(first: PeopleBox, second: PeopleBox) -> bool:
    return (
        first.left < second.right
        and second.left < first.right
        and first.top < second.bottom
        and second.top < first.bottom
    )


def _around(boxes: Sequence[PeopleBox]) -> PeopleBox:
    return PeopleBox(
        min(box.left for box in boxes),
        min(box.top for box in boxes),
        max(box.right for box in boxes),
        max(box.bottom for box in boxes),
    )
