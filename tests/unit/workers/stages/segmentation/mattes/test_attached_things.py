"""Things that people hold and wear."""

from dataclasses import replace

import numpy as np
import pytest

from smart_filter_shared.recipe import Framing, Recipe
from smart_filter_shared.recipe.framing import read_roi
from smart_filter_tests.pictures import noise, prepared_photo
from smart_filter_wire.findings import AttachedThing
from smart_filter_workers.results import Matte8, Segmentation
from smart_filter_workers.stages.segmentation import stage
from smart_filter_workers.stages.segmentation.mattes.attached_things import (
    confirm_things,
    find_candidates,
)
from smart_filter_workers.stages.segmentation.models.base import People
from smart_filter_workers.stages.segmentation.stage import Inputs

HEIGHT, WIDTH = 240, 320
BODY, BAG = np.s_[60:160, 100:180], np.s_[100:130, 180:210]
# Another person, away from them.
FAR = np.s_[60:160, 10:60]


def a_matte(*parts: tuple[slice, slice], level: int = 255) -> Matte8:
    matte = np.zeros((HEIGHT, WIDTH), np.uint8)
    for part in parts:
        matte[part] = level
    return matte


def add(people: Matte8, portrait: Matte8, salient: Matte8, mirrored: Matte8) -> Matte8:
    """Return the coverage that is added to people, given the mattes of the networks."""
    candidates = find_candidates(people, portrait)
    return confirm_things(candidates, people, portrait, salient, mirrored)


SOFT = a_matte(BODY, BAG)
SOFT[100:130, 210] = 90
PARTLY = a_matte(BODY)
PARTLY[BAG] = 100
WHOLE = a_matte(BODY, BAG)


@pytest.mark.parametrize(
    ("people", "portrait", "salient", "together"),
    [
        (a_matte(BODY), WHOLE, a_matte(BODY), a_matte(BODY)),
        (a_matte(BODY), a_matte(BODY), WHOLE, a_matte(BODY)),
        (a_matte(BODY), SOFT, a_matte(BODY, np.s_[95:135, 180:215]), SOFT),
        (PARTLY, WHOLE, WHOLE, WHOLE),
        (a_matte(BODY), WHOLE, a_matte(np.s_[90:160, 100:180], BAG), a_matte(BODY)),
        (a_matte(FAR, BODY), a_matte(FAR, BODY, BAG), WHOLE, a_matte(FAR, BODY, BAG)),
        (a_matte(), a_matte(BAG), a_matte(BAG), a_matte()),
    ],
    ids=[
        *("only one network sees it", "only the other one sees it"),
        *("outline of the network for portraits", "partly in the matte"),
        *("the person does not stand out", "another person does not stand out", "no people"),
    ],
)
def test_thing_is_added_where_both_networks_see_it_with_its_person(
    people: Matte8, portrait: Matte8, salient: Matte8, together: Matte8
) -> None:
    assert np.array_equal(people + add(people, portrait, salient, a_matte()), together)


@pytest.mark.parametrize(
    "other",
    [
        a_matte(np.s_[100:130, 220:250]),
        a_matte(np.s_[158:190, 180:230]),
        a_matte(np.s_[100:130, 180:210], level=170),
        a_matte(np.s_[60:160, 180:210]),
    ],
    ids=["far away", "touches by a corner", "faint", "large"],
)
def test_other_things_are_not_added(other: Matte8) -> None:
    people = a_matte(BODY)
    seen = np.maximum(people, other)

    assert not add(people, seen, seen, a_matte()).any()


def test_a_wider_outline_of_the_body_is_no_thing() -> None:
    people, seen = np.zeros((600, 800), np.uint8), np.zeros((600, 800), np.uint8)
    people[100:500, 200:600] = 255
    seen[100:500, 200:606] = 255

    assert not find_candidates(people, seen)


HALF_BAG = a_matte(BODY, np.s_[100:130, 180:196])
DOUBT = a_matte(BODY, BAG, level=125)


@pytest.mark.parametrize(
    ("salient", "mirrored", "added"),
    [
        (a_matte(), WHOLE, a_matte(BAG)),
        (np.maximum(DOUBT, a_matte(BODY)), DOUBT, a_matte()),
        # With two pixels that may be its soft edge.
        (HALF_BAG, HALF_BAG, a_matte(np.s_[100:130, 180:198])),
        (HALF_BAG - a_matte(BODY), HALF_BAG, a_matte()),
    ],
    ids=["is sure", "doubts, too", "both see a part", "the person does not stand out"],
)
def test_refiner_of_the_mirrored_photo_confirms_a_thing(
    salient: Matte8, mirrored: Matte8, added: Matte8
) -> None:
    assert np.array_equal(add(a_matte(BODY), WHOLE, salient, mirrored), added)


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


@pytest.mark.parametrize(("separated", "person"), [(True, 2), (False, None)])
def test_result_names_a_things_place_and_person(*, separated: bool, person: int | None) -> None:
    things = found(Recipe(), separated=separated).attached

    assert things == (AttachedThing((360, 200, 60, 60), person),)


def test_things_of_removed_persons_are_not_listed() -> None:
    assert found(Recipe(persons=(1,))).attached == ()
    assert found(Recipe(persons=(2,))).attached == (AttachedThing((360, 200, 60, 60), 2),)


def test_things_end_at_the_region_of_interest() -> None:
    recipe = Recipe(framing=Framing(roi=read_roi("0px 0px 390px 100%")))

    assert found(recipe).attached == (AttachedThing((360, 200, 30, 60), 2),)


def test_models_that_look_for_no_things_list_none() -> None:
    assert found(Recipe(), looked=False).attached is None
