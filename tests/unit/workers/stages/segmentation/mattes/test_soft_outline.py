"""Soft outline: the network for portraits draws the outline, and colors decide whole parts."""

import cv2
import numpy as np
import pytest

from smart_filter_workers.results import Matte8, Srgb8
from smart_filter_workers.stages.segmentation.mattes.outline_networks import (
    measure_unclaimed,
    soften_outline,
)

SIZE = 240
WALL, SHIRT = (200, 200, 190), (40, 30, 90)


def a_person(*, left: int = 60, right: int = 180) -> Matte8:
    """Return the hard matte of a person as wide as given."""
    matte = np.zeros((SIZE, SIZE), np.uint8)
    matte[40:, left:right] = 255
    return matte


def a_photo(person: Matte8) -> Srgb8:
    """Return a photo of a person of one color before a wall of another."""
    return np.where(person[..., np.newaxis] > 127, SHIRT, WALL).astype(np.uint8)


def blurred(matte: Matte8) -> Matte8:
    """Return a matte with soft edges."""
    return np.asarray(cv2.GaussianBlur(matte, (0, 0), 2.5), np.uint8)


PERSON = a_person()
WIDE = np.asarray(cv2.dilate(PERSON, np.ones((5, 5), np.uint8)), np.uint8)


@pytest.mark.parametrize(
    ("matte", "portrait"),
    [(PERSON, blurred(PERSON)), (WIDE, PERSON)],
    ids=["soft edge", "rim of the wall"],
)
def test_outline_is_drawn_by_the_network_for_portraits(matte: Matte8, portrait: Matte8) -> None:
    softened = soften_outline(matte, portrait, a_photo(PERSON))

    # At corners the soft portrait is below one half.
    assert np.array_equal(softened[60:], portrait[60:])


def test_mixed_pixels_of_people_stay_above_one_half() -> None:
    narrow = blurred(a_person(left=62, right=178))

    softened = soften_outline(PERSON, narrow, a_photo(PERSON))

    assert (softened[60:, 60:180] > 127).all()
    assert np.array_equal(softened[60:, 62:66], narrow[60:, 62:66])


def test_limb_in_the_colors_of_the_person_is_kept() -> None:
    person = a_person()
    without_hand = person.copy()
    without_hand[120:140, 160:] = 0

    softened = soften_outline(person, without_hand, a_photo(person))

    assert (softened[122:138, 164:178] == 255).all()


def test_thing_that_only_the_network_for_portraits_sees_is_not_added() -> None:
    person = a_person()
    with_chair = person.copy()
    with_chair[180:200, 180:192] = 255

    softened = soften_outline(person, with_chair, a_photo(person))

    assert not softened[:, 181:].any()
    assert measure_unclaimed(softened, with_chair) == pytest.approx(240 / 24_000, rel=0.1)
