"""Persons in framed pictures and on screens, and persons in the room."""

from typing import Final

import cv2
import numpy as np
import pytest

from smart_filter_shared.results import LowerEnd
from smart_filter_tests.portrait import a_portrait
from smart_filter_workers.results import HALF_LEVEL, Matte8, Srgb8
from smart_filter_workers.stages.segmentation.models.base import People
from smart_filter_workers.stages.segmentation.people.framed_pictures import (
    find_straight_edges,
    is_in_picture,
    set_pictured_aside,
)

WIDTH, HEIGHT = 640, 480
_SIDE: Final = 512


def a_wall() -> Srgb8:
    """Return a wall, (HEIGHT, WIDTH, 3): light, uneven and grainy."""
    random = np.random.default_rng(3)
    uneven = cv2.resize(random.normal(0, 8, (6, 8)), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    levels = 170 + uneven + random.normal(0, 3, (HEIGHT, WIDTH))
    return np.asarray(levels[..., np.newaxis].clip(0, 255) * (1, 0.95, 0.9), np.uint8)


def frame(kind: str) -> tuple[Srgb8, Matte8]:
    """Return the portrait in a frame, and its matte: `wood`, `mat` or `screen`."""
    portrait = a_portrait(_SIDE)
    matte = cv2.resize(portrait.segmented.matte, (_SIDE, _SIDE))
    sides = {
        "wood": [(32, 32, (80, 50, 30))],
        "mat": [(50, 50, (240, 240, 235)), (18, 18, (20, 20, 20))],
        "screen": [(24, 130, (15, 15, 15))],
    }[kind]
    srgb = portrait.srgb
    for rows, columns, color in sides:
        border = (rows, rows, columns, columns, cv2.BORDER_CONSTANT)
        srgb = cv2.copyMakeBorder(srgb, *border, value=color)
        matte = cv2.copyMakeBorder(matte, *border, value=0)
    return np.asarray(srgb, np.uint8), np.asarray(matte, np.uint8)


def hang(
    srgb: Srgb8, matte: Matte8, height: int, *, turn: float = 0, aside: float = 0
) -> tuple[Srgb8, Matte8]:
    """Return a photo of a picture on the wall, and the matte of its person.

    height: of the picture, in pixels; turn: in degrees; aside: how much shorter its right side is,
        as a share.
    """
    rows, columns = srgb.shape[:2]
    half_x, half_y = height * columns / rows / 2, height / 2
    near, far = half_y, half_y * (1 - aside)
    corners = np.array([[-half_x, -near], [half_x, -far], [half_x, far], [-half_x, near]])
    angle = np.radians(turn)
    turned = corners @ np.array(
        [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
    ) + (WIDTH / 2, HEIGHT / 2)
    own = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], np.float32)
    way = cv2.getPerspectiveTransform(own, turned.astype(np.float32))
    placed, seen, area = (
        cv2.warpPerspective(plane, way, (WIDTH, HEIGHT), flags=cv2.INTER_AREA)
        for plane in (srgb, matte, np.full((rows, columns), 255, np.uint8))
    )
    share = area[..., np.newaxis] / 255
    return np.asarray(a_wall() * (1 - share) + placed * share, np.uint8), np.asarray(seen, np.uint8)


def stand(height: int, *, before: Srgb8 | None = None) -> tuple[Srgb8, Matte8]:
    """Return a photo of the person in the room, cut off by its lower border, and the matte.

    height: of the person, in pixels; before: the wall, if it is not plain.
    """
    portrait = a_portrait(_SIDE)
    photo = a_wall() if before is None else before.copy()
    matte = np.zeros((HEIGHT, WIDTH), np.uint8)
    place = np.s_[HEIGHT - height :, (WIDTH - height) // 2 : (WIDTH + height) // 2]
    matte[place] = cv2.resize(portrait.segmented.matte, (height, height))
    share = matte[place][..., np.newaxis] / 255
    person = cv2.resize(portrait.srgb, (height, height), interpolation=cv2.INTER_AREA)
    photo[place] = photo[place] * (1 - share) + person * share
    return photo, matte


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


def test_parts_of_the_room_that_a_pictured_person_was_given_stay_there() -> None:
    photo, pictured = hang(*frame("wood"), 200)
    photo, pictured = (np.roll(each, -180, axis=1) for each in (photo, pictured))
    standing = np.zeros_like(pictured)
    standing[250:, 400:600] = 255
    strayed = pictured.copy()
    strayed[240:250, 420:560] = 255  # what the standing person holds
    strayed[400, :300] = 255
    people = People(np.maximum(strayed, standing), persons=(strayed, standing))

    parted = set_pictured_aside(people, photo)

    held = standing.copy()
    held[240:250, 420:560] = 255
    assert parted.persons is not None
    np.testing.assert_array_equal(parted.persons, [held])
    assert not parted.possible[0][240:250, 420:560].any()


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
