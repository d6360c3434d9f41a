"""Whether `background=auto` replaces or keeps."""

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from smart_filter_shared.results import LowerEnd, SegmentationFacts
from smart_filter_tests.subjects import a_subject
from smart_filter_wire.findings import Person
from smart_filter_workers.backgrounds.choice.subject_stats import SubjectStats
from smart_filter_workers.stages.composite import choose_background
from smart_filter_workers.stages.composite.look import light

SIZE = 1000, 1000
SURE = SegmentationFacts(
    coverage=0.3,
    confidence=0.97,
    found=(Person(1, (0, 100, 300, 900), kept=True),),
)


def decide(sitters: SubjectStats | None = None, /, **changes: object) -> str | None:
    photo_size = changes.pop("photo_size", SIZE)
    return choose_background.find_reason_to_keep(
        dataclasses.replace(SURE, **changes),  # type: ignore[arg-type]
        sitters or a_subject(),
        photo_size=photo_size,  # type: ignore[arg-type]
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
        # Half a pixel.
        ({"outline_spread": 1.1 * SPREAD, "photo_size": (240, 320)}, None),
        ({"unclaimed_share": 1.1 * SHARE}, ""),
        ({"confidence": 0.8, "needs_review": True}, ""),
        ({"lower_end": LowerEnd.OTHER}, "sit, lie or jump"),
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

    assert decide(colored) is not None


def test_people_of_a_model_without_confidence_are_replaced() -> None:
    assert decide(confidence=None, found=None) is None


def test_photo_with_good_light_is_left_as_it_is() -> None:
    even = np.append(np.arange(256), [118] * 200).astype(np.uint8)

    assert light.find_curves(np.dstack([even[None]] * 3)) is None


@pytest.mark.parametrize(
    ("photo", "level", "least", "most"),
    [
        # A dull photo gets a brighter middle.
        (np.linspace(12, 150, 400), 81, 82, 140),
        # A window fills most of it, and faces before it lie between shadows and skin.
        (np.append(np.linspace(20, 140, 100), [235] * 300), 120, 120, 160),
        (np.repeat([3, 40], [300, 100]), 40, 0, 69),  # night
    ],
)
def test_light_is_corrected(photo: NDArray[np.float64], level: int, least: int, most: int) -> None:
    curves = light.find_curves(np.dstack([photo[None].astype(np.uint8)] * 3))

    assert curves is not None
    assert least <= curves[level, 1] <= most


@pytest.mark.parametrize(("tint", "is_kept"), [((8, -4, 10), False), ((8, 0, -8), True)])
def test_only_warm_tints_of_grays_are_kept(tint: tuple[int, int, int], *, is_kept: bool) -> None:
    tinted = (np.arange(20, 236)[None, :, None] + np.array(tint)).astype(np.uint8)

    curves = light.find_curves(tinted)

    assert curves is not None
    gray = curves[tinted[0, 100], range(3)]
    assert bool(np.ptp(gray) > 0.8 * np.ptp(tint)) is is_kept
