"""Whether `background=auto` replaces or keeps."""

import dataclasses

import numpy as np
import pytest

from smart_filter_shared.results import LowerEnd, SegmentationFacts
from smart_filter_tests.subjects import a_subject
from smart_filter_wire.findings import Person
from smart_filter_workers.stages.composite import correct_light, replacement

PHOTO_HEIGHT = 1000
SURE = SegmentationFacts(
    coverage=0.3,
    confidence=0.97,
    found=(Person(1, (0, 100, 300, 900), kept=True),),
)


def decide(**changes: object) -> str | None:
    return replacement.find_reason_to_keep(
        dataclasses.replace(SURE, **changes),  # type: ignore[arg-type]
        photo_height=PHOTO_HEIGHT,
    )


def test_background_of_certain_large_people_is_replaced() -> None:
    assert decide() is None


def test_place_with_small_people_is_kept() -> None:
    small = (Person(1, (0, 100, 100, 400), kept=True),)

    kept = decide(coverage=0.06, found=small)

    assert kept is not None
    assert kept.startswith("people take 6% of the photo")


def test_tall_person_in_a_wide_photo_is_the_subject() -> None:
    assert decide(coverage=0.06) is None


def test_photo_of_people_without_a_clear_outline_is_kept() -> None:
    apart = replacement.MAX_OUTLINE_SPREAD

    assert decide(outline_spread=1.1 * apart) is not None
    assert decide(outline_spread=0.9 * apart) is None


def test_photo_of_people_with_a_contested_part_is_kept() -> None:
    share = replacement.MAX_CONTESTED_SHARE

    assert decide(contested_share=1.1 * share) is not None
    assert decide(contested_share=0.9 * share) is None


def test_photo_of_doubtful_people_is_kept() -> None:
    assert decide(confidence=0.8, needs_review=True) is not None


@pytest.mark.parametrize("needs_review", [False, True])
def test_people_who_neither_stand_nor_are_cut_by_the_border_keep_their_place(
    needs_review: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    kept = decide(lower_end=LowerEnd.OTHER, needs_review=needs_review)

    assert kept is not None
    assert "sit, lie or jump" in kept


@pytest.mark.parametrize("end", [LowerEnd.FEET, LowerEnd.BORDER, LowerEnd.THIGHS, None])
def test_people_whose_lower_end_is_explained_are_replaced(end: LowerEnd | None) -> None:
    assert decide(lower_end=end) is None


def test_thing_that_was_not_asked_for_is_kept() -> None:
    kept = decide(any_subject=True, confidence=None, found=None)

    assert kept is not None
    assert "no person was found" in kept


def test_photo_in_colored_light_is_kept() -> None:
    colored = dataclasses.replace(a_subject(), colored_light=True)

    assert replacement.find_reason_in_light(colored) is not None
    assert replacement.find_reason_in_light(a_subject()) is None


def test_people_of_a_model_without_confidence_are_replaced() -> None:
    assert decide(confidence=None, found=None) is None


def test_photo_with_good_light_is_left_as_it_is() -> None:
    gray = np.arange(256).astype(np.uint8)
    even = np.concatenate([gray, np.full(200, 118, np.uint8)])

    assert correct_light.find_curve(np.dstack([even[None]] * 3)) is None


def test_dull_photo_gets_black_white_and_a_brighter_middle() -> None:
    dull = np.linspace(12, 150, 400).astype(np.uint8)

    curve = correct_light.find_curve(np.dstack([dull[None]] * 3))

    assert curve is not None
    assert curve[12] == 0
    assert curve[81] > 81
    assert (np.diff(curve.astype(int)) >= 0).all()


def test_bright_photo_gets_no_darker_faces() -> None:
    """A window fills most of it, and faces before it lie between the levels of shadows and skin."""
    before_window = np.concatenate([np.linspace(20, 140, 100), np.full(300, 235)]).astype(np.uint8)

    curve = correct_light.find_curve(np.dstack([before_window[None]] * 3))

    assert curve is not None
    assert curve[120] >= 120


def test_night_stays_night() -> None:
    night = np.concatenate([np.full(300, 3), np.full(100, 40)]).astype(np.uint8)

    curve = correct_light.find_curve(np.dstack([night[None]] * 3))

    assert curve is not None
    assert curve[40] < 70
