"""The figures of an evaluation, on answers that are easy to count."""

import math
from typing import TypeAlias

import numpy as np
import pytest

from smart_filter_workers.evaluation import intervals, metrics
from smart_filter_workers.results import Matte8

SIDE = 200
# 0.8 % of the diagonal of 200 × 200 pixels, rounded up.
REACH_PX = 3
ALL = np.ones((SIDE, SIDE), np.bool_)
Box: TypeAlias = tuple[float, float, float, float]


def a_square(*, left: int = 60, side: int = 80, level: int = 255) -> Matte8:
    matte = np.zeros((SIDE, SIDE), np.uint8)
    matte[60 : 60 + side, left : left + side] = level
    return matte


NOBODY = np.zeros((SIDE, SIDE), np.uint8)
WHOLE = np.full((SIDE, SIDE), 255, np.uint8)


@pytest.mark.parametrize("matte", [a_square(), NOBODY, WHOLE], ids=["square", "nobody", "whole"])
def test_same_mattes_agree_in_everything(matte: Matte8) -> None:
    assert metrics.overlap(matte, matte, ALL) == 1
    assert metrics.boundary_f(matte, matte, ALL) == 1
    assert metrics.mean_difference(matte, matte, ALL) == 0


@pytest.mark.parametrize(
    ("matte", "known", "least", "most"),
    [
        (a_square(left=60 + REACH_PX), a_square(), 1, 1),
        # Left and right sides are too far away now, top and bottom are still where they were.
        (a_square(left=65), a_square(), 0.4, 0.6),
        (a_square(), NOBODY, 0, 0),
        # The border of the picture is no outline.
        (a_square(), WHOLE, 0, 0),
    ],
    ids=["within the tolerance", "beyond it", "nobody", "whole"],
)
def test_outlines_agree_up_to_the_tolerance(
    matte: Matte8, known: Matte8, least: float, most: float
) -> None:
    assert least <= metrics.boundary_f(matte, known, ALL) <= most


@pytest.mark.parametrize(
    ("matte", "overlap"),
    [(a_square(left=80), 60 / 100), (a_square(level=128), 1), (a_square(level=127), 0)],
    ids=["moved", "just above one half", "just below"],
)
def test_overlap_is_the_shared_part_of_all_levels_above_one_half(
    matte: Matte8, overlap: float
) -> None:
    assert metrics.overlap(matte, a_square(), ALL) == pytest.approx(overlap)


def test_pixels_that_do_not_count_change_nothing() -> None:
    counted = ALL.copy()
    counted[:, 140:] = False
    farther = a_square(side=100)
    farther[140:] = 0

    assert metrics.overlap(farther, a_square(), counted) == 1
    assert metrics.mean_difference(farther, a_square(), counted) == 0
    assert metrics.boundary_f(farther, a_square(), counted) == 1


def test_difference_is_as_soft_as_the_mattes() -> None:
    half = np.full((SIDE, SIDE), 51, np.uint8)

    assert metrics.mean_difference(half, np.zeros_like(half), ALL) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("boxes", "faces", "matches"),
    [
        ([(0, 0, 10, 10), (0, 0, 10, 9)], [(0, 0, 10, 10)], [0, None]),
        ([(3, 0, 13, 10)], [(0, 0, 10, 10), (4, 0, 14, 10)], [1]),
        ([(6, 0, 16, 10)], [(0, 0, 10, 10)], [None]),
        ([(0, 0, 1, 1)], [], [None]),
    ],
    ids=["the best takes it", "the face it overlaps most", "too little overlap", "no face"],
)
def test_box_takes_the_face_that_it_overlaps(
    boxes: list[Box], faces: list[Box], matches: list[int | None]
) -> None:
    assert metrics.matches(boxes, faces, least=0.4) == matches


def test_precision_and_recall_are_shares_of_found_and_of_known() -> None:
    assert metrics.precision_recall_f1(6, 2, 4) == (6 / 8, 6 / 10, 12 / 18)
    assert math.isnan(metrics.precision_recall_f1(0, 0, 0)[2])


def test_confusion_counts_rows_of_truth() -> None:
    truth, answers = np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0])

    counts = metrics.confusion(truth, answers, np.array([1.0, 2.0, 3.0]), 2)

    assert counts.tolist() == [[1, 2], [0, 3]]


def test_kappa_is_one_for_agreement_none_for_chance_and_less_for_farther_mistakes() -> None:
    near, far = np.diag([5.0, 5.0, 5.0]), np.diag([5.0, 5.0, 5.0])
    near[0, 1] += 1
    far[0, 2] += 1

    assert metrics.quadratic_kappa(np.diag([3.0, 1.0, 2.0])) == pytest.approx(1)
    assert metrics.quadratic_kappa(np.ones((4, 4))) == pytest.approx(0)
    assert metrics.quadratic_kappa(far) < metrics.quadratic_kappa(near) < 1


def test_macro_f1_leaves_out_classes_that_never_occur() -> None:
    counts = np.array([[4.0, 0.0, 0.0], [2.0, 2.0, 0.0], [0.0, 0.0, 0.0]])

    assert metrics.macro_f1(counts) == pytest.approx((8 / 10 + 4 / 6) / 2)
    assert metrics.accuracy(counts) == pytest.approx(6 / 8)
    assert metrics.mean_distance(counts) == pytest.approx(2 / 8)


def test_auc_counts_ties_one_half() -> None:
    positive, once = np.array([True, True, False, False]), np.ones(4)

    assert metrics.auc(np.array([0.9, 0.8, 0.2, 0.1]), positive, once) == 1
    assert metrics.auc(np.array([0.9, 0.1, 0.1, 0.0]), positive, once) == pytest.approx(3.5 / 4)
    assert math.isnan(metrics.auc(np.array([0.9, 0.1]), np.array([True, True]), np.ones(2)))


def test_auc_with_weights_is_auc_of_repeated_photos() -> None:
    scores, positive = np.array([0.9, 0.4, 0.6, 0.1]), np.array([True, True, False, False])
    weights = np.array([1.0, 3.0, 2.0, 0.0])
    again = np.repeat(np.arange(4), weights.astype(int))

    weighted = metrics.auc(scores, positive, weights)

    assert weighted == pytest.approx(metrics.auc(scores[again], positive[again], np.ones(6)))


def mean_of(numbers: intervals.Floats, weights: intervals.Floats) -> dict[str, float]:
    return {"mean": metrics.mean(numbers[:, 0], weights)}


def test_interval_holds_the_figure_and_is_the_same_every_time() -> None:
    numbers = np.random.default_rng(1).random((60, 1))

    first = intervals.figures(numbers, mean_of)["mean"]

    assert first.low < first.value < first.high
    # Two standard errors of sixty even numbers: 2 × 0.29 / √60.
    assert first.high - first.low == pytest.approx(0.149, abs=0.03)
    assert intervals.figures(numbers, mean_of)["mean"] == first


def test_equal_photos_leave_no_doubt() -> None:
    figure = intervals.figures(np.full((10, 1), 0.5), mean_of)["mean"]

    assert (figure.low, figure.high) == (0.5, 0.5)


def test_difference_is_surer_than_the_figures_when_photos_are_the_same() -> None:
    numbers = np.random.default_rng(1).random((60, 1))

    apart = intervals.differences(numbers + 0.1, numbers, mean_of)["mean"]

    assert apart.value == pytest.approx(0.1)
    assert apart.high - apart.low < 1e-9


def test_figure_that_no_photo_gives_is_not_a_number() -> None:
    figure = intervals.figures(np.zeros((3, 1)), lambda *_: {"nothing": math.nan})["nothing"]

    assert math.isnan(figure.value)
    assert math.isnan(figure.low)
