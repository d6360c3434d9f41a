"""Things that people hold and wear."""

from dataclasses import replace

import numpy as np
import pytest

from smart_filter_shared.recipe import Framing, Recipe
from smart_filter_shared.recipe.framing import read_roi
from smart_filter_shared.results import AttachedThing
from smart_filter_tests.pictures import noise, prepared_photo
from smart_filter_workers.results import Matte8, Segmentation
from smart_filter_workers.stages.segmentation import stage
from smart_filter_workers.stages.segmentation.mattes.attached_things import find_attached
from smart_filter_workers.stages.segmentation.models.base import People
from smart_filter_workers.stages.segmentation.stage import Inputs

HEIGHT, WIDTH = 240, 320
BODY, BAG = np.s_[60:160, 100:180], np.s_[100:130, 180:210]


def a_matte(*parts: tuple[slice, slice], level: int = 255) -> Matte8:
    matte = np.zeros((HEIGHT, WIDTH), np.uint8)
    for part in parts:
        matte[part] = level
    return matte


def test_bag_that_touches_its_person_is_added_whole() -> None:
    people = a_matte(BODY)

    added = find_attached(people, a_matte(BODY, BAG))

    assert np.array_equal(added, a_matte(BAG))


def test_soft_edge_of_a_thing_is_added_with_it() -> None:
    people, salient = a_matte(BODY), a_matte(BODY, BAG)
    salient[100:130, 210] = 90

    added = find_attached(people, salient)

    assert np.array_equal(added[100:130, 210], np.full(30, 90))


def test_people_and_things_never_exceed_the_whole() -> None:
    people, salient = a_matte(BODY), a_matte(BODY, BAG)
    people[BAG] = 100

    added = find_attached(people, salient)

    assert np.array_equal(people + added, salient)


@pytest.mark.parametrize(
    "other",
    [
        a_matte(np.s_[100:130, 220:250]),
        a_matte(np.s_[158:190, 180:230]),
        a_matte(np.s_[100:130, 180:210], level=220),
        a_matte(np.s_[60:160, 180:210]),
    ],
    ids=["far away", "touches by a corner", "faint", "large"],
)
def test_other_things_are_not_added(other: Matte8) -> None:
    people = a_matte(BODY)

    added = find_attached(people, np.maximum(people, other))

    assert not added.any()


def test_gap_between_an_arm_and_the_body_is_not_filled() -> None:
    people = a_matte(BODY)
    people[90:110, 120:140] = 0

    assert not find_attached(people, a_matte(BODY)).any()


def test_a_wider_outline_of_the_body_is_no_thing() -> None:
    people, salient = np.zeros((600, 800), np.uint8), np.zeros((600, 800), np.uint8)
    people[100:500, 200:600] = 255
    salient[100:500, 200:606] = 255

    assert not find_attached(people, salient).any()


def test_nothing_is_added_where_the_people_do_not_stand_out() -> None:
    people = a_matte(BODY)

    added = find_attached(people, a_matte(np.s_[90:160, 100:180], BAG))

    assert not added.any()


def test_nothing_is_attached_where_there_are_no_people() -> None:
    assert not find_attached(a_matte(), a_matte(BAG)).any()


LEFT, RIGHT = np.s_[60:160, 40:100], np.s_[60:160, 100:180]


def found(recipe: Recipe, *, separated: bool = True, looked: bool = True) -> Segmentation:
    """Run the stage where the right one of two persons holds a bag; the photo is twice the size."""
    persons = (a_matte(LEFT), a_matte(RIGHT, BAG))
    people = People(
        np.maximum(*persons),
        persons=persons if separated else None,
        attached=a_matte(BAG) if looked else None,
    )
    photo = replace(prepared_photo(noise(HEIGHT, WIDTH)), width=2 * WIDTH, height=2 * HEIGHT)
    (segmented,) = stage.run({"segmentation": lambda _: [people]}, [Inputs(photo, recipe)])
    return segmented


def test_result_names_a_things_place_and_person() -> None:
    assert found(Recipe()).attached == (AttachedThing((360, 200, 60, 60), 2),)


def test_a_things_person_is_unknown_where_persons_are_not_separated() -> None:
    assert found(Recipe(), separated=False).attached == (AttachedThing((360, 200, 60, 60), None),)


def test_things_of_removed_persons_are_not_listed() -> None:
    assert found(Recipe(persons=(1,))).attached == ()
    assert found(Recipe(persons=(2,))).attached == (AttachedThing((360, 200, 60, 60), 2),)


def test_things_end_at_the_region_of_interest() -> None:
    recipe = Recipe(framing=Framing(roi=read_roi("0px 0px 390px 100%")))

    assert found(recipe).attached == (AttachedThing((360, 200, 30, 60), 2),)


def test_models_that_look_for_no_things_list_none() -> None:
    assert found(Recipe(), looked=False).attached is None
