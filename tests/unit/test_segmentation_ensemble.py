from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from smart_filter_shared.parameters import Scalar
from smart_filter_tests.pictures import a_figure, noise, prepared
from smart_filter_workers.results import Matte8, Prepared, Srgb8
from smart_filter_workers.stages.segmentation.agreement import joined
from smart_filter_workers.stages.segmentation.models.base import People, Segmenter
from smart_filter_workers.stages.segmentation.models.classical import CARD as CLASSICAL
from smart_filter_workers.stages.segmentation.models.classical import Classical
from smart_filter_workers.stages.segmentation.models.ensemble import CARD, Ensemble

PHOTO = prepared(noise(40, 60))


def a_matte(left: int, right: int) -> Matte8:
    """Return a matte of 40 × 60 pixels that is whole from one column to another."""
    matte = np.zeros((40, 60), np.uint8)
    matte[:, left:right] = 255
    return matte


def others(found: Mapping[str, People]) -> Callable[[str], Segmenter]:
    """Return where to get models that see these people in every photo."""
    return lambda name: lambda batch: [found[name] for _ in batch]


def of_two(one: People, other: People, **given: Scalar) -> People:
    ensemble = Ensemble(others({"people": one, "selfie": other}))
    members: dict[str, Scalar] = {"members": "people,selfie"}
    (people,) = ensemble([PHOTO], parameters=CARD.completed({**members, **given}))
    return people


def alone(left: int, right: int) -> People:
    return People(a_matte(left, right), persons=None)


UNSURE, SURE = (alone(0, 20), alone(10, 30)), (alone(0, 20), alone(0, 20))


@pytest.mark.parametrize(
    ("weights", "levels"), [("", [128, 255, 128, 0]), ("3, 2", [204, 255, 51, 0])]
)
def test_two_members_are_joined_by_their_weights(weights: str, levels: list[int]) -> None:
    matte = of_two(*UNSURE, weights=weights).matte

    assert matte[0, [5, 15, 25, 35]].tolist() == levels


@pytest.mark.parametrize(
    ("mattes", "weights", "expected"),
    [
        ([a_matte(0, 20), a_matte(0, 10), a_matte(0, 30)], [1, 1, 1], a_matte(0, 20)),
        ([a_matte(0, 20), a_matte(10, 60)], [1, 0], a_matte(0, 20)),
        ([noise(40, 60)[..., 0]] * 3, [0.1, 7, 0.3], noise(40, 60)[..., 0]),
    ],
    ids=["most of three decide", "no weight does not count", "agreed levels stay"],
)
def test_mattes_are_joined(mattes: list[Matte8], weights: list[float], expected: Matte8) -> None:
    assert np.array_equal(joined(mattes, weights), expected)


@pytest.mark.parametrize("weights", ["1,1,1", "0,0"])
def test_weights_that_fit_no_members_are_refused(weights: str) -> None:
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


def test_confidence_of_three_members_is_the_mean_over_their_pairs() -> None:
    ensemble = Ensemble(others({"a": alone(0, 20), "b": alone(0, 20), "c": alone(10, 30)}))

    (people,) = ensemble([PHOTO], parameters=CARD.completed({"members": "a, b,c"}))

    assert people.confidence == pytest.approx((1 + 1 / 3 + 1 / 3) / 3)
    assert people.matte[0, 5] == 255
    assert people.matte[0, 25] == 0


def test_persons_are_those_of_the_first_member_that_separates_them() -> None:
    two = People(a_matte(0, 40), persons=(a_matte(0, 20), a_matte(20, 40)))

    people = of_two(alone(0, 50), two)

    assert people.persons is not None
    left, right = people.persons
    assert left[0, 10] == 255
    assert right[0, 45] == 128, "pixels of the other member alone go to the nearest person"
    assert np.array_equal(left + right, people.matte)


def test_persons_are_unknown_when_no_member_separates_them() -> None:
    assert of_two(*SURE).persons is None
    assert of_two(People(a_matte(0, 0), persons=()), alone(0, 0)).persons == ()


def test_batch_is_joined_photo_by_photo() -> None:
    def first(batch: Sequence[Prepared]) -> list[People]:
        return [alone(number, number + 10) for number in range(len(batch))]

    found = Ensemble(lambda _: first)([PHOTO, PHOTO, PHOTO], parameters=CARD.completed({}))

    assert [int(people.matte[0].argmax()) for people in found] == [0, 1, 2]


WALL = (214, 210, 202)


def cut_out(srgb: Srgb8, **given: Scalar) -> People:
    (people,) = Classical()([prepared(srgb)], parameters=CLASSICAL.completed(given))
    return people


def a_wall_with(*boxes: tuple[int, int, int, int]) -> Srgb8:
    """Return a wall of 400 × 400 pixels with dark boxes: x, y, width, height."""
    picture = np.full((400, 400, 3), WALL, np.uint8)
    for x, y, width, height in boxes:
        picture[y : y + height, x : x + width] = 20
    return picture


def test_figure_before_a_plain_wall_is_filled() -> None:
    matte = cut_out(a_figure()).matte

    assert matte[160, 180] == 255, "the face, which has no edges inside"
    assert matte[470, 180] == 255, "the jacket, which the picture cuts off"
    assert matte[100, 40] == 0, "the wall"


@pytest.mark.parametrize(("bound", "small", "large"), [("min_area", 0, 255), ("max_area", 255, 0)])
def test_shape_outside_of_the_bounds_of_area_is_left_out(
    bound: str, small: int, large: int
) -> None:
    matte = cut_out(a_wall_with((50, 50, 40, 40), (200, 200, 120, 120)), **{bound: 0.05}).matte

    assert (matte[70, 70], matte[260, 260]) == (small, large)


@pytest.mark.parametrize(
    ("given", "same_as"),
    [
        ({"use_default": True, "min_area": 0.9, "blur": 1, "erode": 60}, {}),
        # An even kernel counts as the next odd one.
        ({"blur": 20, "smooth": 10}, {"blur": 21, "smooth": 11}),
    ],
    ids=["use_default", "even kernels"],
)
def test_parameters_that_mean_the_same_give_the_same_matte(
    given: dict[str, Scalar], same_as: dict[str, Scalar]
) -> None:
    one, other = cut_out(a_figure(), **given), cut_out(a_figure(), **same_as)

    assert np.array_equal(one.matte, other.matte)
