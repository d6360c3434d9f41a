"""Person boxes: decoded from the network's cells; missed persons, and parts that are none."""

import numpy as np
import pytest

from smart_filter_workers.networks.pose import PersonBox, decode_boxes
from smart_filter_workers.results import Bools
from smart_filter_workers.stages.segmentation.people.person_boxes import (
    PROPOSED_ABOVE,
    PersonBoxes,
)


@pytest.mark.parametrize(
    ("peaks", "size", "offset", "boxes"),
    [
        ({(10, 20): 0.9}, (10, 8), (2, 4), [(0.9, (20 / 40, 7 / 20, 28 / 40, 17 / 20))]),
        # Next to a higher one, and a low score.
        (
            {(10, 20): 0.9, (10, 22): 0.8, (3, 3): 0.2},
            *((4, 4), (0, 0)),
            [(0.9, (18 / 40, 8 / 20, 22 / 40, 12 / 20))],
        ),
        # They end at the picture.
        (
            {(0, 0): 0.5, (10, 30): 0.8},
            (200, 200),
            (0, 0),
            [(0.8, (0, 0, 1, 1)), (0.5, (0, 0, 1, 1))],
        ),
    ],
)
def test_peaks_become_boxes_in_shares_of_the_picture_best_first(
    peaks: dict[tuple[int, int], float],
    size: tuple[int, int],
    offset: tuple[int, int],
    boxes: list[tuple[float, tuple[float, ...]]],
) -> None:
    centers = np.zeros((20, 40), np.float32)
    for cell, score in peaks.items():
        centers[cell] = score
    sizes = np.full((20, 40, 2), size, np.float32)

    decoded = decode_boxes(centers, sizes, np.full_like(sizes, offset), threshold=0.3)

    assert [round(score, 3) for score, _ in decoded] == [score for score, _ in boxes]
    np.testing.assert_allclose([box for _, box in decoded], [box for _, box in boxes], atol=1e-6)


def boxes_of(*boxes: PersonBox) -> PersonBoxes:
    return PersonBoxes(lambda _: boxes, np.zeros((300, 300, 3), np.uint8))


def an_outline(rows: slice, columns: slice) -> Bools:
    outline = np.zeros((300, 300), np.bool_)
    outline[rows, columns] = True
    return outline


@pytest.mark.parametrize(
    ("scores", "presence", "face", "agrees", "may_show"),
    [
        ([0.95], 0.25, 0.0, True, True),
        ([0.95], 0.15, 0.0, False, True),
        ([0.5], 0.95, 0.0, False, True),
        # Other boxes, unless they are faint, and a face that is not sure count too.
        ([0.5, 0.4], 0.95, 0.0, True, True),
        ([0.5, 0.19, 0.19], 0.95, 0.0, False, True),
        ([0.5], 0.6, 0.6, True, True),
        ([0.35], 1.0, 0.0, False, False),
        ([], 1.0, 0.7, False, False),
    ],
)
def test_surer_boxes_ask_for_less_of_the_other_detectors(
    scores: list[float], presence: float, face: float, *, agrees: bool, may_show: bool
) -> None:
    boxes = boxes_of(*(PersonBox(score, (100, 50, 180, 250)) for score in scores))

    assert boxes.agree_with(presence, face) is agrees
    assert boxes.may_show_person(presence) is may_show


def test_without_boxes_only_a_sure_pose_is_a_person() -> None:
    boxes = PersonBoxes(None, np.zeros((300, 300, 3), np.uint8))

    assert boxes.agree_with(0.95, 0.0)
    assert not boxes.agree_with(0.85, 0.0)
    assert boxes.may_show_person(0.85)
    assert not boxes.may_show_person(0.4)


def test_a_box_without_a_silhouette_becomes_an_upright_body_around_it() -> None:
    (body,) = boxes_of(PersonBox(0.7, (100, 50, 180, 250))).propose_bodies([])

    assert (body.square.center, body.square.side, body.square.angle) == ((140, 150), 250, 0)
    assert body.score == 0.7


def test_a_box_of_a_few_pixels_or_of_a_low_score_is_not_proposed() -> None:
    boxes = boxes_of(
        PersonBox(0.7, (100, 50, 110, 70)), PersonBox(PROPOSED_ABOVE, (100, 50, 180, 250))
    )

    assert boxes.propose_bodies([]) == []


def test_boxes_without_an_outline_are_drawn_by_their_scores() -> None:
    known = an_outline(np.s_[100:200], np.s_[100:150])
    boxes = boxes_of(
        PersonBox(0.9, (98, 98, 152, 202)),
        PersonBox(0.5, (200, 100, 320, 200)),
        PersonBox(0.25, (220, 120, 240, 300)),
        PersonBox(0.1, (10, 10, 90, 90)),
    )
    assert not boxes.draw_unexplained([known]).any()  # the detector has not run

    boxes.propose_bodies([known])

    expected = np.zeros((300, 300), np.float32)
    expected[120:, 220:240] = 0.25
    expected[100:200, 200:] = 0.5
    np.testing.assert_array_equal(boxes.draw_unexplained([known]), expected)


def test_a_part_lies_outside_only_where_boxes_show_others() -> None:
    boxes = boxes_of(PersonBox(0.1, (100, 50, 180, 250)))
    next_to_it = an_outline(np.s_[100:200], np.s_[210:290])

    assert boxes.may_hold(next_to_it)
    boxes.propose_bodies([])
    assert boxes.may_hold(an_outline(np.s_[60:250], np.s_[90:190]))
    assert not boxes.may_hold(next_to_it)
    nothing_found = boxes_of()
    nothing_found.propose_bodies([])
    assert nothing_found.may_hold(next_to_it)
