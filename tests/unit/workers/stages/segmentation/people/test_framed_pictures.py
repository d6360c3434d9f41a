"""Persons in framed pictures and on screens, and persons in the room."""

import cv2
import numpy as np
import pytest

from smart_filter_shared.results import LowerEnd
from smart_filter_tests.framed_people import HEIGHT, WIDTH, frame, hang, stand
from smart_filter_workers.results import HALF_LEVEL, Matte8, Srgb8
from smart_filter_workers.stages.segmentation.models.base import People
from smart_filter_workers.stages.segmentation.people.framed_pictures import (
    find_straight_edges,
    is_in_picture,
    set_pictured_aside,
)


def is_pictured(photo: Srgb8, matte: Matte8) -> bool:
    return is_in_picture(matte > HALF_LEVEL, find_straight_edges(photo))


@pytest.mark.parametrize("kind", ["wood", "mat", "screen"])
@pytest.mark.parametrize(
    ("height", "turn", "aside"),
    [(120, 0, 0), (240, 0, 0), (300, 5, 0), (180, -8, 0), (240, 0, 0.15)],
)
def test_person_in_a_frame_is_in_a_picture(
    kind: str, height: int, turn: float, aside: float
) -> None:
    assert is_pictured(*hang(*frame(kind), height, turn=turn, aside=aside))


@pytest.mark.parametrize("height", [160, 300, 420])
def test_person_before_a_wall_or_before_a_frame_is_not(height: int) -> None:
    empty = np.full((500, 700, 3), 120, np.uint8)
    border = cv2.copyMakeBorder(empty, 30, 30, 30, 30, cv2.BORDER_CONSTANT, value=(60, 40, 20))
    behind, _ = hang(np.asarray(border, np.uint8), empty[..., 0], 300)

    assert not is_pictured(*stand(height))
    assert not is_pictured(*stand(height, before=behind))


def test_person_who_reaches_out_of_a_frame_is_not_in_it() -> None:
    photo, matte = hang(*frame("wood"), 240)
    matte[HEIGHT // 2 :, WIDTH // 2 - 20 : WIDTH // 2 + 20] = 255

    matte[-10:] = 0
    assert not is_pictured(photo, matte)


def test_photo_of_a_picture_shows_whom_it_shows() -> None:
    """A picture that fills most of the photo is what it is of."""
    assert not is_pictured(*hang(*frame("wood"), 460))


def test_pictured_person_is_possible_and_the_others_stay() -> None:
    photo, pictured = hang(*frame("wood"), 200)
    photo = np.roll(photo, -180, axis=1)
    pictured = np.roll(pictured, -180, axis=1)
    _, standing = stand(300)
    standing = np.roll(standing, 170, axis=1)
    people = People(
        np.maximum(pictured, standing),
        persons=(pictured, standing),
        lower_end=LowerEnd.BORDER,
        confidence=0.9,
    )

    both = set_pictured_aside(people, photo)
    alone = set_pictured_aside(
        People(pictured, persons=(pictured,), lower_end=LowerEnd.OTHER, confidence=0.9), photo
    )

    assert (both.confidence, both.lower_end) == (0.9, LowerEnd.BORDER)
    assert both.persons is not None
    np.testing.assert_array_equal(both.persons, [standing])
    np.testing.assert_array_equal(both.matte, standing)
    np.testing.assert_array_equal(both.possible, [pictured])
    assert alone.persons == ()
    assert not alone.matte.any()
    assert (alone.confidence, alone.lower_end) == (None, None)
