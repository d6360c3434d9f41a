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
    inputs = Inputs(prepared(noise(HEIGHT, WIDTH)), Recipe(persons=persons, framing=region))
    (segmented,) = stage.run({"segmentation": lambda _: [found]}, [inputs])
    return segmented


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

    assert left[40, 20] == 255
    assert right[40, 90] == 255


def test_one_person_has_all_of_the_matte() -> None:
    matte = np.full((HEIGHT, WIDTH), 9, np.uint8)

    (only,) = apart.split(matte, [column(5, 15)])

    assert np.array_equal(only, matte)


def test_outlines_without_a_pixel_still_give_a_matte_each() -> None:
    nothing = np.zeros((HEIGHT, WIDTH), np.bool_)

    assert len(apart.split(np.zeros((HEIGHT, WIDTH), np.uint8), [nothing, nothing])) == 2


def test_all_persons_are_kept_by_default() -> None:
    segmented = kept(Whom.ALL)

    assert segmented.persons == 3
    assert segmented.matte[20, 5] == segmented.matte[20, 52] == 255


def test_largest_person_is_kept_alone() -> None:
    segmented = kept(Whom.LARGEST)

    assert segmented.persons == 1
    assert segmented.matte[20, 30] == 255
    assert segmented.matte[20, 5] == segmented.matte[20, 52] == 0


def test_persons_are_numbered_from_the_left() -> None:
    segmented = kept((1, 3))

    assert segmented.persons == 2
    assert segmented.matte[20, 5] == segmented.matte[20, 52] == 255
    assert segmented.matte[20, 30] == 0


def test_number_that_nobody_has_keeps_nobody() -> None:
    segmented = kept((7,))

    assert (segmented.persons, segmented.coverage) == (0, 0)


def test_steps_come_as_one_picture_when_they_are_asked_for() -> None:
    found = People(a_matte(column(2, 8)), None, steps=(Step("edges", noise(30, 20)),))
    recipe = Recipe(outputs=(Output.DEBUG,))

    (shown,) = stage.run(
        {"segmentation": lambda _: [found]}, [Inputs(prepared(noise(HEIGHT, WIDTH)), recipe)]
    )

    assert shown.debug is not None
    assert shown.debug.content.startswith(b"\x89PNG")


def test_sheet_holds_every_step() -> None:
    white = np.full((50, 80), 255, np.uint8)

    sheet = steps.sheet([Step("one", white), Step("two", white), Step("three", white)])

    whole = (sheet == 255).all(axis=-1)
    # Three pictures of 360 × 225 px.
    assert whole.sum() >= 3 * 360 * 225


def test_outside_of_the_region_nobody_is_seen() -> None:
    segmented = kept(Whom.ALL, "0% 0% 50% 100%")

    assert segmented.persons == 2
    assert segmented.matte[20, 25] == 255
    assert not segmented.matte[:, 30:].any()


def test_a_sleeve_that_reaches_into_the_region_is_nobody() -> None:
    segmented = kept(Whom.ALL, "9px 0px 50px 40px")

    assert segmented.persons == 1


@pytest.mark.parametrize("roi", ["90px 0px 900px 40px", "0px 35px 100% 99999px"])
def test_a_region_that_shows_nobody_leaves_nobody(roi: str) -> None:
    segmented = kept(Whom.ALL, roi)

    assert segmented.persons == 0
    assert segmented.coverage == 0
