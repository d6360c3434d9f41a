from collections.abc import Sequence

import numpy as np
import pytest

from smart_filter_workers.networks.coordinates import Box
from smart_filter_workers.results import Bools
from smart_filter_workers.stages.segmentation.people import separation

LEFT_FACE, RIGHT_FACE = (40.0, 20.0, 60.0, 40.0), (140.0, 20.0, 160.0, 40.0)


def an_outline(rows: slice, columns: slice) -> Bools:
    outline = np.zeros((200, 240), np.bool_)
    outline[rows, columns] = True
    return outline


def separate_people(
    outlines: Sequence[Bools], faces: Sequence[Box], boxes: Sequence[Box] | None = None
) -> list[Bools]:
    people = np.logical_or.reduce([HEAD & TRUNK, *outlines])
    return separation.separate_people(outlines, faces, people, boxes)


HEAD, TRUNK = an_outline(np.s_[15:60], np.s_[30:70]), an_outline(np.s_[60:180], np.s_[20:80])
NEIGHBOR = an_outline(np.s_[15:180], np.s_[120:180])


def test_pieces_of_a_body_are_one_person() -> None:
    hand = an_outline(np.s_[120:140], np.s_[84:92])

    person, neighbor = separate_people([HEAD, TRUNK, NEIGHBOR, hand], [LEFT_FACE, RIGHT_FACE])

    assert person[30, 50]
    assert person[150, 50]
    assert neighbor[150, 150]
    assert person[130, 88]


def test_outline_with_two_faces_is_split_between_them() -> None:
    left, right = separate_people(
        [an_outline(np.s_[15:180], np.s_[20:180])], [LEFT_FACE, RIGHT_FACE]
    )

    assert (left[100, 40], left[100, 160]) == (True, False)
    assert (right[100, 40], right[100, 160]) == (False, True)
    assert np.count_nonzero(left & right) == 0


def test_shared_pixels_go_to_the_nearest_face() -> None:
    wide, right = (
        an_outline(np.s_[15:180], np.s_[20:170]),
        NEIGHBOR | an_outline(np.s_[60:180], np.s_[40:180]),
    )

    first, second = separate_people([wide, right], [LEFT_FACE, RIGHT_FACE])

    assert (first[150, 50], first[150, 150]) == (True, False)
    assert (second[150, 50], second[150, 150]) == (False, True)


def test_face_in_people_without_an_outline_is_a_person() -> None:
    people = HEAD | TRUNK | NEIGHBOR

    left, right = separation.separate_people([HEAD | TRUNK], [LEFT_FACE, RIGHT_FACE], people)

    assert left[100, 50]
    assert right[100, 150]


ARM = an_outline(np.s_[60:180], np.s_[80:90])


@pytest.mark.parametrize(
    ("outlines", "faces", "persons"),
    [
        ([HEAD | TRUNK, NEIGHBOR], [LEFT_FACE], 2),
        ([HEAD | TRUNK, NEIGHBOR], [], 2),
        ([HEAD | TRUNK, ARM], [], 1),
        ([HEAD | TRUNK], [LEFT_FACE, RIGHT_FACE], 1),
        ([], [LEFT_FACE], 0),
        ([HEAD | TRUNK], [LEFT_FACE, (65.0, 20.0, 85.0, 40.0)], 2),
    ],
    ids=[
        *("turned away", "no face", "pieces without a face", "face away from all outlines"),
        *("face without an outline", "face at the edge of an outline"),
    ],
)
def test_persons_are_counted_by_outlines_and_faces(
    outlines: list[Bools], faces: list[Box], persons: int
) -> None:
    assert len(separate_people(outlines, faces)) == persons


LEFT_BOX, RIGHT_BOX = (20.0, 15.0, 80.0, 180.0), (120.0, 15.0, 180.0, 180.0)
BAG = an_outline(np.s_[150:180], np.s_[80:170])
BOTH = an_outline(np.s_[15:180], np.s_[20:180])


@pytest.mark.parametrize(
    ("outlines", "faces", "boxes", "persons"),
    [
        ([BOTH], [], [LEFT_BOX, RIGHT_BOX], 2),
        ([BOTH], [LEFT_FACE], [LEFT_BOX, RIGHT_BOX], 2),
        ([HEAD | TRUNK], [LEFT_FACE], [LEFT_BOX, (22.0, 15.0, 80.0, 160.0)], 1),
        ([HEAD | TRUNK], [LEFT_FACE], [LEFT_BOX, RIGHT_BOX], 1),
        ([HEAD | TRUNK, BAG], [LEFT_FACE], [LEFT_BOX], 1),
        ([HEAD | TRUNK, BAG], [LEFT_FACE], None, 2),
        ([HEAD | TRUNK, NEIGHBOR], [LEFT_FACE], [LEFT_BOX], 2),
        ([BOTH], [LEFT_FACE, RIGHT_FACE], [LEFT_BOX], 2),
        ([HEAD | TRUNK], [], [(20.0, 220.0, 80.0, 260.0), LEFT_BOX], 1),
    ],
    ids=[
        *("turned away in one outline", "one face in two boxes", "two boxes of a person"),
        *("no person in the box", "a part without a box", "no detector", "apart without a box"),
        *("a face without a box", "box below the picture"),
    ],
)
def test_persons_who_show_no_face_are_counted_by_boxes(
    outlines: list[Bools], faces: list[Box], boxes: list[Box] | None, persons: int
) -> None:
    assert len(separate_people(outlines, faces, boxes)) == persons


def test_persons_in_one_outline_are_split_by_their_boxes() -> None:
    left, right = separate_people([BOTH], [], [LEFT_BOX, RIGHT_BOX])

    assert (left[150, 40], left[150, 160]) == (True, False)
    assert (right[150, 40], right[150, 160]) == (False, True)
