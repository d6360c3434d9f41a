from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from smart_filter_shared.parameters import Scalar
from smart_filter_tests.pictures import noise, prepared
from smart_filter_workers.results import Matte8, Prepared
from smart_filter_workers.stages.segmentation.agreement import agreement, joined
from smart_filter_workers.stages.segmentation.models.base import People, Segmenter
from smart_filter_workers.stages.segmentation.models.ensemble import CARD, Ensemble

PHOTO = prepared(noise(40, 60))


def a_matte(left: int, right: int) -> Matte8:
    """Return a matte of 40 × 60 pixels that is whole from one column to another."""
    matte = np.zeros((40, 60), np.uint8)
    matte[:, left:right] = 255
    return matte


def others(found: Mapping[str, People]) -> Callable[[str], Segmenter]:
    """Return where to get models that see what is told."""

    def model(name: str) -> Segmenter:
        def see(batch: Sequence[Prepared]) -> list[People]:
            return [found[name] for _ in batch]

        return see

    return model


def of_two(one: People, other: People, **given: Scalar) -> People:
    ensemble = Ensemble(others({"people": one, "selfie": other}))
    members: dict[str, Scalar] = {"members": "people,selfie"}
    (people,) = ensemble([PHOTO], parameters=CARD.completed({**members, **given}))
    return people


def alone(left: int, right: int) -> People:
    return People(a_matte(left, right), persons=None)


def test_two_members_meet_in_the_middle() -> None:
    matte = of_two(alone(0, 20), alone(10, 30)).matte

    assert matte[0, [5, 15, 25, 35]].tolist() == [128, 255, 128, 0]


def test_most_of_three_members_decide() -> None:
    mattes = [a_matte(0, 20), a_matte(0, 10), a_matte(0, 30)]

    matte = joined(mattes, [1, 1, 1])

    assert matte[0, [5, 15, 25]].tolist() == [255, 255, 0]


def test_member_without_weight_does_not_count() -> None:
    matte = joined([a_matte(0, 20), a_matte(10, 60)], [1, 0])

    assert np.array_equal(matte, a_matte(0, 20))


def test_weights_say_how_much_each_counts() -> None:
    matte = of_two(alone(0, 20), alone(10, 30), weights="3, 2").matte

    assert matte[0, [5, 15, 25]].tolist() == [204, 255, 51]


@pytest.mark.parametrize("weights", ["1,1,1", "0,0"])
def test_weights_that_fit_no_members_are_refused(weights: str) -> None:
    with pytest.raises(ValueError, match="weights"):
        of_two(alone(0, 20), alone(0, 20), weights=weights)


def test_confidence_is_the_overlap_of_two_members() -> None:
    assert of_two(alone(0, 20), alone(10, 30)).confidence == pytest.approx(1 / 3)


def test_confidence_of_three_members_is_the_mean_over_their_pairs() -> None:
    ensemble = Ensemble(others({"a": alone(0, 20), "b": alone(0, 20), "c": alone(10, 30)}))

    (people,) = ensemble([PHOTO], parameters=CARD.completed({"members": "a, b,c"}))

    assert people.confidence == pytest.approx((1 + 1 / 3 + 1 / 3) / 3)
    assert people.matte[0, 5] == 255
    assert people.matte[0, 25] == 0


def test_members_that_see_nobody_agree() -> None:
    people = of_two(alone(0, 0), alone(0, 0))

    assert people.confidence == 1
    assert not people.needs_review


def test_agreement_below_the_threshold_needs_review() -> None:
    assert of_two(alone(0, 20), alone(10, 30)).needs_review
    assert not of_two(alone(0, 20), alone(0, 20)).needs_review


def test_threshold_of_nought_flags_nothing() -> None:
    assert not of_two(alone(0, 20), alone(30, 50), agreement=0.0).needs_review


def test_unsure_photo_goes_to_the_stronger_model_only_when_asked_to() -> None:
    unsure = alone(0, 20), alone(10, 30)

    assert of_two(*unsure).stronger is None
    assert of_two(*unsure, below="escalate", stronger="detectron2").stronger == "detectron2"


def test_sure_photo_stays() -> None:
    assert of_two(alone(0, 20), alone(0, 20), below="escalate", stronger="x").stronger is None


def test_without_a_stronger_model_an_unsure_photo_is_only_flagged() -> None:
    people = of_two(alone(0, 20), alone(10, 30), below="escalate", stronger="")

    assert people.stronger is None
    assert people.needs_review


def test_persons_are_those_of_the_first_member_that_tells_them_apart() -> None:
    two = People(a_matte(0, 40), persons=(a_matte(0, 20), a_matte(20, 40)))

    people = of_two(alone(0, 50), two)

    assert people.persons is not None
    left, right = people.persons
    assert left[0, 10] == 255
    assert right[0, 45] == 128, "what only the other member saw is the nearest person's"
    assert np.array_equal(left + right, people.matte)


def test_nobody_is_told_apart_when_no_member_does_it() -> None:
    assert of_two(alone(0, 20), alone(0, 20)).persons is None


def test_nobody_at_all_is_no_person() -> None:
    assert of_two(People(a_matte(0, 0), persons=()), alone(0, 0)).persons == ()


def test_batch_is_joined_photo_by_photo() -> None:
    def first(batch: Sequence[Prepared]) -> list[People]:
        return [alone(number, number + 10) for number in range(len(batch))]

    found = Ensemble(lambda _: first)([PHOTO, PHOTO, PHOTO], parameters=CARD.completed({}))

    assert [int(people.matte[0].argmax()) for people in found] == [0, 1, 2]


def test_agreement_is_of_pixels_above_one_half() -> None:
    faint = np.full((4, 4), 127, np.uint8)
    strong = np.full((4, 4), 128, np.uint8)

    assert agreement(faint, strong) == 0
    assert agreement(strong, strong) == 1


def test_what_all_see_alike_stays_as_soft_as_it_is() -> None:
    matte = noise(20, 30)[..., 0]

    assert np.array_equal(joined([matte, matte, matte], [0.1, 7, 0.3]), matte)


@pytest.mark.parametrize(
    "text", ["people", "people,", "people,selfie,", "a,b,c,d,e,f", "People,selfie", "a;b"]
)
def test_card_refuses_what_names_no_two_to_five_members(text: str) -> None:
    members = CARD.parameter("members")
    assert members is not None

    with pytest.raises(ValueError, match="two to five names"):
        members.read(text)


@pytest.mark.parametrize("name", ["members", "weights", "stronger"])
def test_defaults_are_what_the_card_admits(name: str) -> None:
    parameter = CARD.parameter(name)
    assert parameter is not None

    assert parameter.read(str(parameter.default)) == parameter.default
