"""How good a detector is: precision, recall and F1 at an IoU of one half; outlines by pixels."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from smart_filter_training.annotations import outlines, pictures
from smart_filter_training.annotations.marks import Marked
from smart_filter_training.detectors.training import Detector
from smart_filter_workers.evaluation import intervals, metrics
from smart_filter_workers.evaluation.base import Floats
from smart_filter_workers.evaluation.intervals import Figure
from smart_filter_workers.networks.detectron2.predictor import Instance, Options, Predictor
from smart_filter_workers.results import Matte8

# Source: Everingham et al. 2010, "The PASCAL visual object classes challenge", section 4.2.
SAME_IOU: Final = 0.5


def figures(
    detector: Detector, judged: Sequence[Marked], *, label: str, masks: bool
) -> Mapping[str, Figure]:
    """Return precision, recall and F1 of all marks, with intervals over pictures.

    masks: whether `iou` is told too: of all that is marked in a picture together, the mean.
    Raises FolderUnreadable when a picture cannot be decoded.
    """
    predictor = Predictor(detector.built)
    options = Options(threshold=detector.configuration.threshold)
    rows = []
    for picture in judged:
        (seen,) = predictor([pictures.load(picture)], [label], options)
        counted = _counted(seen.instances, picture)
        overlap = _overlap(seen.instances, picture) if masks else 0.0
        rows.append((*counted, overlap))
    numbers = np.array(rows, np.float64).reshape(-1, 4)
    return intervals.figures(numbers, _with_overlap if masks else _of_boxes)


def _counted(found: Sequence[Instance], picture: Marked) -> tuple[int, int, int]:
    """Return how many are right, wrong and missed; what matches a crowd counts neither way."""
    boxes = [one.box for one in sorted(found, key=lambda one: one.score, reverse=True)]
    known = [mark.box for mark in picture.marks if not mark.is_crowd]
    crowds = [mark.box for mark in picture.marks if mark.is_crowd]
    taken = metrics.matches(boxes, known, least=SAME_IOU)
    others = [box for box, mark in zip(boxes, taken, strict=True) if mark is None]
    excused = metrics.matches(others, crowds, least=SAME_IOU)
    right = sum(mark is not None for mark in taken)
    return right, sum(mark is None for mark in excused), len(known) - right


def _overlap(found: Sequence[Instance], picture: Marked) -> float:
    """Return the IoU of all outlines together with all marks; crowds do not count."""
    size = (picture.height, picture.width)
    matte, known, crowd = (np.zeros(size, np.bool_) for _ in range(3))
    for one in found:
        if one.outline is not None:
            matte |= one.outline
    for mark in picture.marks:
        inside = outlines.pixels(mark, picture.width, picture.height)
        (crowd if mark.is_crowd else known)[inside] = True
    return metrics.overlap(_levels(matte), _levels(known), ~crowd)


def _levels(inside: outlines.Bools) -> Matte8:
    return np.where(inside, np.uint8(255), np.uint8(0))


def _of_boxes(numbers: Floats, weights: Floats) -> Mapping[str, float]:
    right, wrong, missed = (float(total) for total in weights @ numbers[:, :3])
    values = metrics.precision_recall_f1(right, wrong, missed)
    return dict(zip(("precision", "recall", "f1"), values, strict=True))


def _with_overlap(numbers: Floats, weights: Floats) -> Mapping[str, float]:
    return {**_of_boxes(numbers, weights), "iou": metrics.mean(numbers[:, 3], weights)}
