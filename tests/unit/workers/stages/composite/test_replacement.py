"""Whether `background=auto` replaces or keeps."""

import dataclasses

import numpy as np
import pytest

from smart_filter_shared.results import LowerEnd, SegmentationFacts
from smart_filter_tests.subjects import a_subject
from smart_filter_wire.findings import Person
from smart_filter_workers.stages.composite import background, choose_background

PHOTO_HEIGHT = 1000
SURE = SegmentationFacts(
    coverage=0.3,
    confidence=0.97,
    found=(Person(1, (0, 100, 300, 900), kept=True),),
)


def decide(**changes: object) -> str | None:
    return choose_background.find_reason_to_keep(
        dataclasses.replace(SURE, **changes),  # type: ignore[arg-type]
        photo_height=PHOTO_HEIGHT,
    )


SMALL = (Person(1, (0, 100, 100, 400), kept=True),)
SPREAD, SHARE = choose_background.MAX_OUTLINE_SPREAD, choose_background.MAX_UNCLAIMED_SHARE


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"coverage": 0.06, "found": SMALL}, "people take 6% of the photo"),
        # A tall person in a wide photo.
        ({"coverage": 0.06}, None),
        ({"outline_spread": 1.1 * SPREAD}, ""),
        ({"outline_spread": 0.9 * SPREAD}, None),
        ({"unclaimed_share": 1.1 * SHARE}, ""),
        ({"unclaimed_share": 0.9 * SHARE}, None),
        ({"confidence": 0.8, "needs_review": True}, ""),
        ({"lower_end": LowerEnd.OTHER}, "sit, lie or jump"),
        ({"lower_end": LowerEnd.OTHER, "needs_review": True}, "sit, lie or jump"),
        *(({"lower_end": end}, None) for end in set(LowerEnd) - {LowerEnd.OTHER}),
        ({"any_subject": True, "confidence": None, "found": None}, "no person was found"),
        # A model without confidence.
        ({"confidence": None, "found": None}, None),
    ],
)
def test_background_is_kept_for_a_reason(changes: dict[str, object], reason: str | None) -> None:
    kept = decide(**changes)

    assert (kept is None) == (reason is None)
    assert kept is None or str(reason) in kept


def test_photo_in_colored_light_is_kept() -> None:
    colored = dataclasses.replace(a_subject(), colored_light=True)

    assert choose_background.find_reason_in_light(colored) is not None
    assert choose_background.find_reason_in_light(a_subject()) is None


def test_people_of_a_model_without_confidence_are_replaced() -> None:
    assert decide(confidence=None, found=None) is None


def test_photo_with_good_light_is_left_as_it_is() -> None:
    gray = np.arange(256).astype(np.uint8)
    even = np.concatenate([gray, np.full(200, 118, np.uint8)])

    assert background.find_curve(np.dstack([even[None]] * 3)) is None


def test_dull_photo_gets_black_white_and_a_brighter_middle() -> None:
    dull = np.linspace(12, 150, 400).astype(np.uint8)

    curve = background.find_curve(np.dstack([dull[None]] * 3))

    assert curve is not None
    assert curve[12] == 0
    assert curve[81] > 81
    assert (np.diff(curve.astype(int)) >= 0).all()


def test_bright_photo_gets_no_darker_faces() -> None:
    """A window fills most of it, and faces before it lie between the levels of shadows and skin."""
    before_window = np.concatenate([np.linspace(20, 140, 100), np.full(300, 235)]).astype(np.uint8)

    curve = background.find_curve(np.dstack([before_window[None]] * 3))

    assert curve is not None
    assert curve[120] >= 120


def test_night_stays_night() -> None:
    night = np.concatenate([np.full(300, 3), np.full(100, 40)]).astype(np.uint8)

    curve = background.find_curve(np.dstack([night[None]] * 3))

    assert curve is not None
    assert curve[40] < 70
