"""Persons out of what an instance segmentation network answers: a box, a score, a soft mask.

Two ways of answering: Ultralytics' YOLO-seg and MMDeploy's RTMDet-Ins.
Source: docs.ultralytics.com, "Segment", and the exporter's outputs (boxes, class scores and
mask coefficients; prototypes of masks); Lyu et al. 2022, "RTMDet", and mmdeploy's
`dets, labels, masks`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, assert_never

import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.networks.boxes import overlaps
from smart_filter_workers.networks.handling import Answer, Handling
from smart_filter_workers.networks.placing import Placed, sigmoid, to_picture
from smart_filter_workers.results import Srgb8

Floats = NDArray[np.float32]

# Of one picture: a crowd beyond is left out, so that a picture's cost has an end.
MOST_PERSONS: Final = 64
# Two boxes that overlap more than this (IoU) are one person. Source: Ultralytics' default.
SAME_PERSON_IOU: Final = 0.7
_BOX_VALUES: Final = 4


@dataclass(frozen=True, slots=True)
class Instance:
    """One person.

    box: left, top, right, bottom in pixels of the picture; score: 0..1.
    coverage: (H, W) float32, 0..1, at the picture's size.
    """

    box: tuple[float, float, float, float]
    score: float
    coverage: Floats


@dataclass(frozen=True, slots=True)
class _Found:
    """N persons in the network's input, the best first.

    boxes: (N, 4) float32, left, top, right, bottom in pixels of the input; scores: (N,).
    masks: (N, h, w) float32: logits, or coverage 0..1, of the whole input.
    """

    boxes: Floats
    scores: Floats
    masks: Floats
    are_logits: bool


def persons(
    answers: Sequence[Floats], placed: Placed, handling: Handling, srgb: Srgb8, *, threshold: float
) -> list[Instance]:
    """Return the persons whose score is at least `threshold`, from left to right.

    answers: all that the network answered for the placed picture.
    srgb: (H, W, 3) uint8, the picture itself.
    Raises ValueError when the answers are of other shapes than the handling says.
    """
    match handling.answer:
        case Answer.YOLO:
            found = _yolo(answers, handling, threshold)
        case Answer.RTMDET:
            found = _rtmdet(answers, handling, threshold)
        case Answer.MATTE:
            raise ValueError("a matte tells no persons apart")
        case _:
            assert_never(handling.answer)
    everyone = [
        _in_picture(found, index, placed, handling, srgb) for index in range(len(found.scores))
    ]
    return sorted(everyone, key=lambda one: one.box[0] + one.box[2])


def _yolo(answers: Sequence[Floats], handling: Handling, threshold: float) -> _Found:
    rows, prototypes = _yolo_parts(answers)
    classes = len(rows) - _BOX_VALUES - len(prototypes)
    if not 0 <= handling.channel < classes:
        raise ValueError(f"a YOLO network of {classes} classes has no class {handling.channel}")
    by_class = rows[_BOX_VALUES : _BOX_VALUES + classes]
    scores = by_class[handling.channel]
    chosen = np.flatnonzero((scores >= threshold) & (by_class.argmax(axis=0) == handling.channel))
    centre, half = rows[0:2, chosen], rows[2:4, chosen] / 2
    boxes = np.concatenate([centre - half, centre + half]).T
    kept = chosen_once(boxes, scores[chosen])
    coefficients = rows[_BOX_VALUES + classes :, chosen[kept]].T
    masks = np.tensordot(coefficients, prototypes, axes=1)
    return _Found(boxes[kept], scores[chosen[kept]], masks, are_logits=True)


def _yolo_parts(answers: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Return (4 + classes + M, N) rows and (M, h, w) prototypes.

    Raises ValueError.
    """
    shapes = [one.shape for one in answers]
    # Axes of (1, 4 + classes + M, N) and (1, M, h, w).
    if [len(shape) for shape in shapes] != [3, 4] or {shape[0] for shape in shapes} != {1}:
        raise ValueError(f"answers of shapes {shapes} are not those of a YOLO-seg network")
    return answers[0][0], answers[1][0]


def _rtmdet(answers: Sequence[Floats], handling: Handling, threshold: float) -> _Found:
    shapes = [one.shape for one in answers]
    # Axes of (1, N, 5), (1, N) and (1, N, h, w).
    are_right = [len(shape) for shape in shapes] == [3, 2, 4] and shapes[0][2] == _BOX_VALUES + 1
    if not are_right or {shape[:2] for shape in shapes} != {(1, shapes[0][1])}:
        raise ValueError(f"answers of shapes {shapes} are not those of an RTMDet-Ins network")
    boxes, labels, masks = (one[0] for one in answers)
    scores = boxes[:, _BOX_VALUES]
    chosen = np.flatnonzero((scores >= threshold) & (labels == handling.channel))
    kept = chosen[chosen_once(boxes[chosen, :_BOX_VALUES], scores[chosen])]
    return _Found(boxes[kept, :_BOX_VALUES], scores[kept], masks[kept], are_logits=False)


def chosen_once(boxes: Floats, scores: Floats) -> list[int]:
    """Return the boxes that overlap no better one, the best first, at most MOST_PERSONS.

    boxes: (N, 4) float32; scores: (N,).  Greedy non-maximum suppression.
    """
    kept: list[int] = []
    left = np.argsort(-scores, kind="stable")
    while len(left) and len(kept) < MOST_PERSONS:
        best, rest = int(left[0]), left[1:]
        kept.append(best)
        left = rest[overlaps(boxes[best], boxes[rest]) <= SAME_PERSON_IOU]
    return kept


def _in_picture(
    found: _Found, index: int, placed: Placed, handling: Handling, srgb: Srgb8
) -> Instance:
    height, width = srgb.shape[:2]
    start = np.array([placed.left, placed.top])
    per_input = np.array([width / placed.width, height / placed.height])
    corners = (found.boxes[index].reshape(2, 2) - start) * per_input
    (left, top), (right, bottom) = np.clip(np.nan_to_num(corners), 0, (width, height))
    mask = to_picture(found.masks[index], placed, handling, srgb)
    coverage = sigmoid(mask) if found.are_logits else np.clip(mask, 0, 1)
    inside = np.zeros_like(coverage)
    # A mask speaks for its box only: the same prototypes show other persons too.
    rows, columns = slice(int(top), int(np.ceil(bottom))), slice(int(left), int(np.ceil(right)))
    inside[rows, columns] = np.nan_to_num(coverage[rows, columns])
    return Instance(
        box=(float(left), float(top), float(right), float(bottom)),
        score=float(found.scores[index]),
        coverage=inside,
    )
