"""Persons told apart: whose pixel is whose, and whom a recipe keeps."""

import numpy as np
import pytest
from numpy.typing import NDArray

from smart_filter_shared.recipe import Framing, Output, Recipe, Whom
from smart_filter_shared.recipe.framing import read_roi
from smart_filter_tests.pictures import noise, prepared
from smart_filter_workers.results import Matte8, Segmented
from smart_filter_workers.stages.segmentation import apart, stage, steps
from smart_filter_workers.stages.segmentation.models.base import People, Step
from smart_filter_workers.stages.segmentation.stage import Inputs

HEIGHT, WIDTH = 40, 60


def column(left: int, right: int) -> NDArray[np.bool_]:
    """Return an outline that fills some columns of the picture."""
    outline = np.zeros((HEIGHT, WIDTH), np.bool_)
    outline[10:30, left:right] = True
    return outline


def a_matte(*outlines: NDArray[np.bool_]) -> Matte8:
    return np.where(np.logical_or.reduce(outlines), np.uint8(255), np.uint8(0))


def kept(persons: Whom | tuple[int, ...], roi: str | None = None) -> Segmented:
    """Run the stage on three persons, the second of them the largest."""
    outlines = [column(2, 8), column(20, 40), column(50, 55)]
    mattes = tuple(a_matte(outline) for outline in outlines)
    found = People(a_matte(*outlines), mattes)
    region = Framing() if roi is None else Framing(roi=read_roi(roi))
    return segmented(found, Recipe(persons=persons, framing=region))


def segmented(found: People, recipe: Recipe) -> Segmented:
    inputs = Inputs(prepared(noise(HEIGHT, WIDTH)), recipe)
    (result,) = stage.run({"segmentation": lambda _: [found]}, [inputs])
    return result


def test_every_pixel_goes_to_the_nearest_person() -> None:
    matte = np.full((HEIGHT, WIDTH), 200, np.uint8)

    left, right = apart.split(matte, [column(40, 50), column(5, 15)])

    assert left[20, 10] == 200, "hers"
    assert right[20, 45] == 200, "his"
    assert left[2, 20] == 200, "nearer to her"
    assert right[2, 35] == 200, "nearer to him"
    assert np.array_equal(np.maximum(left, right), matte)
    assert not np.any((left > 0) & (right > 0))


def test_outlines_may_be_smaller_than_the_matte() -> None:
    matte = np.full((2 * HEIGHT, 2 * WIDTH), 255, np.uint8)

    left, right = apart.split(matte, [column(5, 15), column(40, 50)])

    assert (left[40, 20], right[40, 90]) == (255, 255)


def test_one_person_has_all_of_the_matte() -> None:
    matte = np.full((HEIGHT, WIDTH), 9, np.uint8)

    (only,) = apart.split(matte, [column(5, 15)])

    assert np.array_equal(only, matte)


def test_outlines_without_a_pixel_still_give_a_matte_each() -> None:
    nothing = np.zeros((HEIGHT, WIDTH), np.bool_)

    assert len(apart.split(np.zeros((HEIGHT, WIDTH), np.uint8), [nothing, nothing])) == 2


@pytest.mark.parametrize(
    ("persons", "roi", "number", "levels"),
    [
        (Whom.ALL, None, 3, [255, 255, 255]),
        (Whom.LARGEST, None, 1, [0, 255, 0]),
        # Numbered from the left.
        ((1, 3), None, 2, [255, 0, 255]),
        ((7,), None, 0, [0, 0, 0]),
        (Whom.ALL, "0% 0% 50% 100%", 2, [255, 255, 0]),
        # A sleeve that reaches into the region is no person.
        (Whom.ALL, "9px 0px 50px 40px", 1, [0, 255, 0]),
        (Whom.ALL, "90px 0px 900px 40px", 0, [0, 0, 0]),
        (Whom.ALL, "0px 35px 100% 99999px", 0, [0, 0, 0]),
    ],
)
def test_persons_are_kept_by_choice_and_region(
    persons: Whom | tuple[int, ...], roi: str | None, number: int, levels: list[int]
) -> None:
    result = kept(persons, roi)

    assert result.persons == number
    assert result.matte[20, [5, 25, 52]].tolist() == levels
    assert bool(result.coverage) == bool(number)


def test_matte_ends_at_the_region() -> None:
    assert not kept(Whom.ALL, "0% 0% 50% 100%").matte[:, 30:].any()


def test_steps_are_one_picture_on_demand() -> None:
    found = People(a_matte(column(2, 8)), None, steps=(Step("edges", noise(30, 20)),))

    shown = segmented(found, Recipe(outputs=(Output.DEBUG,)))

    assert shown.debug is not None
    assert shown.debug.content.startswith(b"\x89PNG")


def test_sheet_holds_every_step() -> None:
    white = np.full((50, 80), 255, np.uint8)

    sheet = steps.sheet([Step("one", white), Step("two", white), Step("three", white)])

    whole = (sheet == 255).all(axis=-1)
    # Three pictures of 360 × 225 px.
    assert whole.sum() >= 3 * 360 * 225
