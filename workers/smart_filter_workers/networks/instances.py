"""Persons from the output of an instance segmentation network: a box, a score, a soft mask.

Two output formats are supported: Ultralytics' YOLO-seg and MMDeploy's RTMDet-Ins.
Source: docs.ultralytics.com, "Segment", and the exporter's outputs (boxes, class scores and mask
coefficients; prototypes of masks); Lyu et al. 2022, "RTMDet", and mmdeploy's `dets, labels, masks`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, assert_never

import numpy as np

from smart_filter_workers.networks.coordinates import non_max_suppression
from smart_filter_workers.networks.runtimes.network_input import (
    Handling,
    NetworkInput,
    OutputKind,
    map_to_picture,
    sigmoid,
)
from smart_filter_workers.results import Floats, Srgb8

# Most persons in one picture: the rest of a crowd is left out, which bounds a picture's cost.
MAX_PERSONS: Final = 64
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
class _Detections:
    """N persons in the network's input, best score first.

    boxes: (N, 4) float32, left, top, right, bottom in pixels of the input; scores: (N,).
    masks: (N, h, w) float32: logits, or coverage 0..1, of the whole input.
    """

    boxes: Floats
    scores: Floats
    masks: Floats
    are_logits: bool


def find_persons(
    answers: Sequence[Floats],
    placed: NetworkInput,
    handling: Handling,
    srgb: Srgb8,
    *,
    threshold: float,
) -> list[Instance]:
    """Return the persons whose score is at least `threshold`, from left to right.

    answers: all outputs of the network for the placed picture.
    srgb: (H, W, 3) uint8, the picture itself.
    Raises ValueError when the outputs' shapes do not match the handling.
    """
    match handling.answer:
        case OutputKind.YOLO:
            detections = _yolo(answers, handling, threshold)
        case OutputKind.RTMDET:
            detections = _rtmdet(answers, handling, threshold)
        case OutputKind.MATTE:
            raise ValueError("a matte does not separate persons")
        case _:
            assert_never(handling.answer)
    everyone = [
        _to_picture(detections, index, placed, handling, srgb)
        for index in range(len(detections.scores))
    ]
    return sorted(everyone, key=lambda person: person.box[0] + person.box[2])


def _yolo(answers: Sequence[Floats], handling: Handling, threshold: float) -> _Detections:
    rows, prototypes = _yolo_parts(answers)
    classes = len(rows) - _BOX_VALUES - len(prototypes)
    if not 0 <= handling.channel < classes:
        raise ValueError(f"a YOLO network of {classes} classes has no class {handling.channel}")
    by_class = rows[_BOX_VALUES : _BOX_VALUES + classes]
    scores = by_class[handling.channel]
    chosen = np.flatnonzero((scores >= threshold) & (by_class.argmax(axis=0) == handling.channel))
    center, half = rows[0:2, chosen], rows[2:4, chosen] / 2
    boxes = np.concatenate([center - half, center + half]).T
    kept = _find_distinct(boxes, scores[chosen])
    coefficients = rows[_BOX_VALUES + classes :, chosen[kept]].T
    masks = np.tensordot(coefficients, prototypes, axes=1)
    return _Detections(boxes[kept], scores[chosen[kept]], masks, are_logits=True)


def _yolo_parts(answers: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Return rows, (4 + classes + M, N), and prototypes, (M, h, w).

    Raises ValueError.
    """
    shapes = [answer.shape for answer in answers]
    # Axes of (1, 4 + classes + M, N) and (1, M, h, w).
    if [len(shape) for shape in shapes] != [3, 4] or {shape[0] for shape in shapes} != {1}:
        raise ValueError(f"outputs of shapes {shapes} are not those of a YOLO-seg network")
    return answers[0][0], answers[1][0]


def _rtmdet(answers: Sequence[Floats], handling: Handling, threshold: float) -> _Detections:
    shapes = [answer.shape for answer in answers]
    # Axes of (1, N, 5), (1, N) and (1, N, h, w).
    are_right = [len(shape) for shape in shapes] == [3, 2, 4] and shapes[0][2] == _BOX_VALUES + 1
    if not are_right or {shape[:2] for shape in shapes} != {(1, shapes[0][1])}:
        raise ValueError(f"outputs of shapes {shapes} are not those of an RTMDet-Ins network")
    boxes, labels, masks = (answer[0] for answer in answers)
    scores = boxes[:, _BOX_VALUES]
    chosen = np.flatnonzero((scores >= threshold) & (labels == handling.channel))
    kept = chosen[_find_distinct(boxes[chosen, :_BOX_VALUES], scores[chosen])]
    return _Detections(boxes[kept, :_BOX_VALUES], scores[kept], masks[kept], are_logits=False)


def _find_distinct(boxes: Floats, scores: Floats) -> list[int]:
    return non_max_suppression(boxes, scores, most_iou=SAME_PERSON_IOU, most=MAX_PERSONS)


def _to_picture(
    detections: _Detections, index: int, placed: NetworkInput, handling: Handling, srgb: Srgb8
) -> Instance:
    height, width = srgb.shape[:2]
    start = np.array([placed.left, placed.top])
    per_input = np.array([width / placed.width, height / placed.height])
    corners = (detections.boxes[index].reshape(2, 2) - start) * per_input
    (left, top), (right, bottom) = np.clip(np.nan_to_num(corners), 0, (width, height))
    mask = map_to_picture(detections.masks[index], placed, handling, srgb)
    coverage = sigmoid(mask) if detections.are_logits else np.clip(mask, 0, 1)
    inside = np.zeros_like(coverage)
    # A mask is valid inside its box only: the same prototypes also show other persons.
    rows, columns = slice(int(top), int(np.ceil(bottom))), slice(int(left), int(np.ceil(right)))
    inside[rows, columns] = np.nan_to_num(coverage[rows, columns])
    return Instance(
        box=(float(left), float(top), float(right), float(bottom)),
        score=float(detections.scores[index]),
        coverage=inside,
    )
