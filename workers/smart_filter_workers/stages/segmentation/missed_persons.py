"""Missed persons: decide which person boxes show a person without a silhouette."""

from collections.abc import Iterable, Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.networks.boxes import Box, box_iou
from smart_filter_workers.networks.movenet import PersonBox
from smart_filter_workers.networks.pose import Body
from smart_filter_workers.networks.squares import Square

# A silhouette whose bounds overlap a box more than this (IoU) is the box's person.
SAME_PERSON_IOU: Final = 0.45
# The square of the silhouette network, as a multiple of a box's longer side.
SQUARE_PER_BOX: Final = 1.25
SMALLEST_SIDE_PX: Final = 24


def propose_bodies(boxes: Iterable[PersonBox], outlines: Sequence[NDArray[np.bool_]]) -> list[Body]:
    """Return an upright body for each box that no known person explains.

    boxes: in pixels of the picture; outlines: (H, W) bool, none of them empty, the known persons.
    """
    known = np.array([_bounds(outline) for outline in outlines], np.float32).reshape(-1, 4)
    return [
        Body(found.score, found.box, _square_around(found.box))
        for found in boxes
        if _longer_side(found.box) >= SMALLEST_SIDE_PX
        and box_iou(found.box, known).max(initial=0) <= SAME_PERSON_IOU
    ]


def _bounds(outline: NDArray[np.bool_]) -> Box:
    left, top, width, height = cv2.boundingRect(outline.astype(np.uint8))
    return left, top, left + width, top + height


def _longer_side(box: Box) -> float:
    left, top, right, bottom = box
    return max(right - left, bottom - top)


def _square_around(box: Box) -> Square:
    left, top, right, bottom = box
    middle = ((left + right) / 2, (top + bottom) / 2)
    return Square(center=middle, side=SQUARE_PER_BOX * _longer_side(box), angle=0.0)
