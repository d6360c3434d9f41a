"""The figures of an evaluation, on answers that are easy to count."""

import math

import numpy as np
import pytest

from smart_filter_workers.evaluation import intervals, metrics
from smart_filter_workers.results import Matte8

SIDE = 200
# 0.8 % of the diagonal of 200 × 200 pixels, rounded up.
REACH_PX = 3
ALL = np.ones((SIDE, SIDE), np.bool_)


def a_square(*, left: int = 60, side: int = 80, level: int = 255) -> Matte8:
    matte = np.zeros((SIDE, SIDE), np.uint8)
    matte[60 : 60 + side, left : left + side] = level
    return matte


def test_same_mattes_agree_in_everything() -> None:
    assert metrics.overlap(a_square(), a_square(), ALL) == 1
    assert metrics.boundary_f(a_square(), a_square(), ALL) == 1
    assert metrics.mean_difference(a_square(), a_square(), ALL) == 0


def test_overlap_is_what_is_shared_of_what_either_says() -> None:
    assert metrics.overlap(a_square(left=80), a_square(), ALL) == pytest.approx(60 / 100)


def test_person_is_what_lies_above_one_half() -> None:
    assert metrics.overlap(a_square(level=128), a_square(), ALL) == 1
    assert metrics.overlap(a_square(level=127), a_square(), ALL) == 0


def test_nobody_found_where_nobody_is_is_right() -> None:
    nobody = np.zeros((SIDE, SIDE), np.uint8)

    assert metrics.overlap(nobody, nobody, ALL) == 1
    assert metrics.boundary_f(nobody, nobody, ALL) == 1
    assert metrics.boundary_f(a_square(), nobody, ALL) == 0


def test_pixels_that_do_not_count_change_nothing() -> None:
    counted = ALL.copy()
    counted[:, 140:] = False
    farther = a_square(side=100)
    farther[140:] = 0

    assert metrics.overlap(farther, a_square(), counted) == 1
    assert metrics.mean_difference(farther, a_square(), counted) == 0
    assert metrics.boundary_f(farther, a_square(), counted) == 1


def test_outlines_agree_up_to_the_tolerance() -> None:
    assert metrics.boundary_f(a_square(left=60 + REACH_PX), a_square(), ALL) == 1
    # Left and right sides are too far away now, top and bottom are still where they were.
    assert 0.4 < metrics.boundary_f(a_square(left=65), a_square(), ALL) < 0.6


def test_border_of_the_picture_is_no_outline() -> None:
    whole = np.full((SIDE, SIDE), 255, np.uint8)

    assert metrics.boundary_f(a_square(), whole, ALL) == 0
    assert metrics.boundary_f(whole, whole, ALL) == 1


def test_difference_is_as_soft_as_the_mattes() -> None:
    half = np.full((SIDE, SIDE), 51, np.uint8)

    assert metrics.mean_difference(half, np.zeros_like(half), ALL) == pytest.approx(0.2)


def test_best_box_takes_its_face_and_the_next_one_gets_none() -> None:
    face = (0.0, 0.0, 10.0, 10.0)
    taken = metrics.matches([face, (0.0, 0.0, 10.0, 9.0)], [face], least=0.4)

    assert taken == [0, None]


def test_box_takes_the_face_that_it_overlaps_most() -> None:
    faces = [(0.0, 0.0, 10.0, 10.0), (4.0, 0.0, 14.0, 10.0)]

    assert metrics.matches([(3.0, 0.0, 13.0, 10.0)], faces, least=0.4) == [1]


def test_too_little_overlap_is_another_face() -> None:
    assert metrics.matches([(6.0, 0.0, 16.0, 10.0)], [(0.0, 0.0, 10.0, 10.0)], least=0.4) == [None]
    assert metrics.matches([(0.0, 0.0, 1.0, 1.0)], [], least=0.4) == [None]


def test_precision_and_recall_are_shares_of_found_and_of_known() -> None:
    assert metrics.precision_recall_f1(6, 2, 4) == (6 / 8, 6 / 10, 12 / 18)
    assert math.isnan(metrics.precision_recall_f1(0, 0, 0)[2])


def test_confusion_counts_rows_of_truth() -> None:
    truth, answers = np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0])

    counts = metrics.confusion(truth, answers, np.array([1.0, 2.0, 3.0]), 2)

    assert counts.tolist() == [[1, 2], [0, 3]]


def test_kappa_is_one_for_agreement_and_none_for_chance() -> None:
    assert metrics.quadratic_kappa(np.diag([3.0, 1.0, 2.0])) == pytest.approx(1)
    assert metrics.quadratic_kappa(np.ones((4, 4))) == pytest.approx(0)


def test_kappa_weighs_mistakes_by_their_square() -> None:
    near, far = np.diag([5.0, 5.0, 5.0]), np.diag([5.0, 5.0, 5.0])
    near[0, 1] += 1
    far[0, 2] += 1

    assert metrics.quadratic_kappa(far) < metrics.quadratic_kappa(near) < 1


def test_macro_f1_leaves_out_what_never_occurs() -> None:
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


def test_photos_that_are_all_alike_leave_no_doubt() -> None:
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
