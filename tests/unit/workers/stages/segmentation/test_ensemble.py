"""Several models joined into one matte."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from smart_filter_shared.catalog.scalars import Scalar
from smart_filter_tests.pictures import noise, prepared_photo
from smart_filter_workers.results import Matte8
from smart_filter_workers.stages.segmentation.models.base import People, Segmenter
from smart_filter_workers.stages.segmentation.models.ensemble import CARD, Ensemble

PHOTO = prepared_photo(noise(40, 60))


def a_band(left: int, right: int) -> Matte8:
    matte = np.zeros((40, 60), np.uint8)
    matte[:, left:right] = 255
    return matte


def others(people: Mapping[str, People]) -> Callable[[str], Segmenter]:
    """Return a loader of models that see these people in every photo."""
    return lambda name: lambda batch: [people[name] for _ in batch]


def of_two(first: People, other: People, **given: Scalar) -> People:
    ensemble = Ensemble(others({"people": first, "selfie": other}))
    members: dict[str, Scalar] = {"members": "people,selfie"}
    (people,) = ensemble([PHOTO], parameters=CARD.completed({**members, **given}))
    return people


def alone(left: int, right: int) -> People:
    return People(a_band(left, right), persons=None)


UNSURE, SURE = (alone(0, 20), alone(10, 30)), (alone(0, 20), alone(0, 20))


@pytest.mark.parametrize(
    ("weights", "levels"), [("", [128, 255, 128, 0]), ("3, 2", [204, 255, 51, 0])]
)
def test_two_members_are_joined_by_their_weights(weights: str, levels: list[int]) -> None:
    matte = of_two(*UNSURE, weights=weights).matte

    assert matte[0, [5, 15, 25, 35]].tolist() == levels


@pytest.mark.parametrize("weights", ["1,1,1", "0,0"])
def test_weights_that_do_not_match_the_members_are_refused(weights: str) -> None:
    with pytest.raises(ValueError, match="weights"):
        of_two(alone(0, 20), alone(0, 20), weights=weights)


@pytest.mark.parametrize(
    ("members", "given", "confidence", "needs_review", "stronger"),
    [
        (UNSURE, {}, 1 / 3, True, None),
        (SURE, {}, 1, False, None),
        ((alone(0, 0), alone(0, 0)), {}, 1, False, None),
        ((alone(0, 20), alone(30, 50)), {"agreement": 0.0}, 0, False, None),
        (UNSURE, {"below": "escalate", "stronger": "detectron2"}, 1 / 3, True, "detectron2"),
        (UNSURE, {"below": "escalate", "stronger": ""}, 1 / 3, True, None),
        (SURE, {"below": "escalate", "stronger": "x"}, 1, False, None),
    ],
    ids=[
        *("unsure", "sure", "no people", "threshold of 0", "unsure and escalated"),
        *("unsure without a stronger model", "sure and not escalated"),
    ],
)
def test_overlap_of_members_decides_about_a_review_and_the_stronger_model(
    members: tuple[People, People],
    given: dict[str, Scalar],
    confidence: float,
    stronger: str | None,
    *,
    needs_review: bool,
) -> None:
    people = of_two(*members, **given)

    assert people.confidence == pytest.approx(confidence)
    assert (people.needs_review, people.stronger) == (needs_review, stronger)


def test_persons_are_those_of_the_first_member_that_separates_them() -> None:
    two = People(a_band(0, 40), persons=(a_band(0, 20), a_band(20, 40)))

    people = of_two(alone(0, 50), two)

    assert people.persons is not None
    left, right = people.persons
    assert left[0, 10] == 255
    assert right[0, 45] == 128, "pixels of the other member alone go to the nearest person"
    assert np.array_equal(left + right, people.matte)
