"""Boxes: size and overlap."""

import math
from typing import TypeAlias

import numpy as np

from smart_filter_workers.results import Floats

# Left, top, right and bottom in pixels.
Box: TypeAlias = tuple[float, float, float, float]


def box_iou(box: Box | Floats, boxes: Floats) -> Floats:
    """Return (N,) float32, 0..1: the intersection over union of a box and each of `boxes`.

    box: (4,); boxes: (N, 4) float32; left, top, right, bottom.  Empty boxes overlap nothing.
    """
    start = np.maximum(np.asarray(box[:2], np.float32), boxes[:, :2])
    end = np.minimum(np.asarray(box[2:], np.float32), boxes[:, 2:])
    shared = np.prod(np.maximum(end - start, 0), axis=1)
    areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)
    area = max(0.0, float(box[2] - box[0])) * max(0.0, float(box[3] - box[1]))
    # The lower bound, a millionth of a pixel, avoids dividing by 0 for two empty boxes.
    return np.asarray(shared / np.maximum(areas + area - shared, 1e-6), dtype=np.float32)


def non_max_suppression(
    boxes: Floats, scores: Floats, *, most_iou: float, most: int | None = None
) -> list[int]:
    """Return the boxes that overlap no better-scored one, best first, at most `most`.

    boxes: (N, 4), left, top, right, bottom; scores: (N,).  most_iou: of two boxes that are kept.
    """
    kept: list[int] = []
    left = np.argsort(-scores, kind="stable")
    while len(left) and len(kept) != most:
        best, rest = int(left[0]), left[1:]
        kept.append(best)
        left = rest[box_iou(boxes[best], boxes[rest]) <= most_iou]
    return kept


def box_side(box: Box) -> float:
    """Return the side in pixels of the square with the same area as the box."""
    return math.sqrt(max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1]))
