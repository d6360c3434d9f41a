"""Compute the figures of an evaluation, each with its source."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.networks.coordinates import Box, box_iou
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Bools, Doubles, Matte8

# A pixel belongs to a person when its level is above one half.
HALF: Final = 127
# The largest distance of matching contours, as a share of the picture's diagonal.
# Source: Perazzi et al. 2016, "A benchmark dataset and evaluation methodology for video object
# segmentation", section 5.1, and its program's `bound_th`.
CONTOUR_TOLERANCE: Final = 0.008


def matte_iou(matte: Matte8, truth: Matte8, counted: Bools) -> float:
    """Return the intersection over union, 0..1, of two mattes; 1 when both are empty.

    matte, truth: (H, W) uint8; counted: (H, W) bool, the pixels that are compared.
    """
    people, true_people = (matte > HALF) & counted, (truth > HALF) & counted
    union = np.count_nonzero(people | true_people)
    return np.count_nonzero(people & true_people) / union if union else 1.0


def mean_difference(matte: Matte8, truth: Matte8, counted: Bools) -> float:
    """Return the mean absolute difference, 0..1, of two soft mattes."""
    if not counted.any():
        return 0.0
    return float(cv2.absdiff(matte, truth)[counted].mean()) / 255


def near_edge_difference(matte: Matte8, truth: Matte8, counted: Bools) -> float:
    """Return the mean absolute difference, 0..1, within CONTOUR_TOLERANCE of the known outline."""
    reach = math.ceil(CONTOUR_TOLERANCE * math.hypot(*truth.shape))
    near = _distance_to(_outline(truth > HALF)) <= reach
    return mean_difference(matte, truth, counted & near)


def boundary_f(matte: Matte8, truth: Matte8, counted: Bools) -> float:
    """Return how well the outlines of two mattes agree, 0..1.

    The harmonic mean of the shares of either outline that lie within CONTOUR_TOLERANCE of the
    other one.  Outlines that close to pixels that do not count are left out.
    Source: Perazzi et al. 2016, section 5.1, "contour accuracy"; Martin, Fowlkes & Malik 2004.
    """
    reach = math.ceil(CONTOUR_TOLERANCE * math.hypot(*truth.shape))
    judged = _distance_to(~counted) > reach
    outline, true_outline = _outline(matte > HALF) & judged, _outline(truth > HALF) & judged
    if not outline.any() and not true_outline.any():
        return 1.0
    if not outline.any() or not true_outline.any():
        return 0.0
    precision = float((_distance_to(true_outline)[outline] <= reach).mean())
    recall = float((_distance_to(outline)[true_outline] <= reach).mean())
    return _ratio(2 * precision * recall, precision + recall, otherwise=0.0)


def match_boxes(boxes_: Sequence[Box], truth: Sequence[Box], *, least: float) -> list[int | None]:
    """Return for each found box the index of the known box that it matches, or None.

    boxes_: left, top, right and bottom, best score first: each in turn takes the free known box
    that it overlaps most, if the IoU is at least `least`.
    Source: Everingham et al. 2010, "The PASCAL visual object classes challenge", section 4.2.
    """
    free = np.ones(len(truth), np.bool_)
    boxes = np.array(truth, np.float32).reshape(-1, 4)
    matches: list[int | None] = []
    for box in boxes_:
        shared = np.where(free, box_iou(box, boxes), -1) if len(boxes) else np.array([-1.0])
        best = int(shared.argmax())
        matches.append(best if shared[best] >= least else None)
        if shared[best] >= least:
            free[best] = False
    return matches


def precision_recall_f1(right: float, wrong: float, missed: float) -> tuple[float, float, float]:
    """Return precision, recall and their harmonic mean for counts; NaN without counts."""
    return (
        _ratio(right, right + wrong),
        _ratio(right, right + missed),
        _ratio(2 * right, 2 * right + wrong + missed),
    )


def confusion_matrix(truth: Doubles, answers: Doubles, weights: Doubles, classes: int) -> Doubles:
    """Return the confusion matrix, (classes, classes) float64: rows are truth, columns answers.

    truth, answers: (N,) float64, whole numbers from 0; weights: (N,), how often each counts.
    """
    cells = (truth * classes + answers).astype(np.int64)
    counts = np.bincount(cells, weights=weights, minlength=classes * classes)
    return np.asarray(counts, np.float64).reshape(classes, classes)


def accuracy(counts: Doubles) -> float:
    """Return the share, 0..1, of correct answers."""
    return _ratio(float(np.trace(counts)), float(counts.sum()))


def macro_f1(counts: Doubles) -> float:
    """Return the mean F1 over the classes that occur."""
    both = counts.sum(axis=0) + counts.sum(axis=1)
    occurs = both > 0
    return float((2 * np.diag(counts)[occurs] / both[occurs]).mean()) if occurs.any() else math.nan


def quadratic_kappa(counts: Doubles) -> float:
    """Return the agreement beyond chance of ordered classes, at most 1.

    Source: Cohen 1968, "Weighted kappa", with squared differences as weights.
    """
    classes = np.arange(len(counts))
    cost = (classes[:, np.newaxis] - classes) ** 2
    by_chance = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / max(counts.sum(), 1e-12)
    expected = float((cost * by_chance).sum())
    return 1 - float((cost * counts).sum()) / expected if expected else math.nan


def mean_distance(counts: Doubles) -> float:
    """Return the mean distance, in classes, between answer and truth."""
    classes = np.arange(len(counts))
    off = np.abs(classes[:, np.newaxis] - classes)
    return _ratio(float((off * counts).sum()), float(counts.sum()))


def auc(scores: Doubles, positive: Bools, weights: Doubles) -> float:
    """Return how often a positive example scores above a negative one; ties count one half.

    scores, weights: (N,) float64; positive: (N,) bool.
    Source: Hanley & McNeil 1982, "The meaning and use of the area under a ROC curve".
    """
    _, place = np.unique(scores, return_inverse=True)
    above = np.bincount(place, weights=weights * positive)
    below = np.bincount(place, weights=weights * ~positive)
    worse = np.cumsum(below) - below / 2
    return _ratio(float((above * worse).sum()), float(above.sum() * below.sum()))


def weighted_mean(numbers: Doubles, weights: Doubles) -> float:
    """Return the weighted mean of numbers; NaN if the weights are 0."""
    return _ratio(float(numbers @ weights), float(weights.sum()))


def _outline(person: Bools) -> Bools:
    """Return the pixels that differ from the neighbor to the right, below, or right below."""
    edge = np.pad(person, ((0, 1), (0, 1)), mode="edge")
    here = edge[:-1, :-1]
    differs = (here ^ edge[:-1, 1:]) | (here ^ edge[1:, :-1]) | (here ^ edge[1:, 1:])
    return np.asarray(differs, dtype=np.bool_)


def _distance_to(pixels: Bools) -> NDArray[np.float32]:
    """Return (H, W) float32: the distance in pixels to the nearest of `pixels`."""
    if not pixels.any():
        return np.full(pixels.shape, np.inf, np.float32)
    others = (~pixels).astype(np.uint8)
    distance = cv2.distanceTransform(others, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance, dtype=np.float32)


def _ratio(part: float, whole: float, *, otherwise: float = math.nan) -> float:
    return part / whole if whole else otherwise
