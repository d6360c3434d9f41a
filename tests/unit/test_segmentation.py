from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from smart_filter_shared.errors import NoPerson
from smart_filter_shared.recipe import Recipe
from smart_filter_tests.pictures import noise, prepared
from smart_filter_workers.results import Matte8, PersonFound, Prepared
from smart_filter_workers.stages.segmentation import stage
from smart_filter_workers.stages.segmentation.edges import refine
from smart_filter_workers.stages.segmentation.models.base import People
from smart_filter_workers.stages.segmentation.stage import Inputs, Models, coverage_of

GREY = np.full((256, 256, 3), 128, np.uint8)


def finding(share: float) -> Models:
    """Return a model that finds people on that share of 100 × 100 pixels."""

    def segment(batch: Sequence[Prepared]) -> list[People]:
        return [People(a_matte(share), persons=None) for _ in batch]

    return {"segmentation": segment}


def a_matte(share: float) -> Matte8:
    matte = np.zeros(10_000, np.uint8)
    matte[: round(share * 10_000)] = 255
    return matte.reshape(100, 100)


def test_coverage_counts_pixels_above_one_half() -> None:
    matte = np.array([[127, 128], [0, 255]], np.uint8)

    assert coverage_of(matte) == 0.5


def test_result_holds_matte_and_coverage() -> None:
    inputs = Inputs(prepared(noise(100, 100)), Recipe())

    (segmented,) = stage.run(finding(0.25), [inputs])

    assert segmented.coverage == 0.25
    assert np.array_equal(segmented.matte, a_matte(0.25))
    assert segmented.persons is None
    assert segmented.found is None


def test_everybody_is_told_where_they_are_in_the_photo_whoever_is_kept() -> None:
    left, right = (np.zeros((100, 100), np.uint8) for _ in range(2))
    left[10:60, 5:25], right[20:80, 50:90] = 255, 200
    right[90:, 90:] = 100  # more of the wall than of somebody

    def segment(batch: Sequence[Prepared]) -> list[People]:
        return [People(np.maximum(left, right), persons=(left, right)) for _ in batch]

    large = replace(prepared(noise(100, 100)), width=400, height=200)
    inputs = Inputs(large, Recipe(persons=(2,)))
    (segmented,) = stage.run({"segmentation": segment}, [inputs])

    assert segmented.persons == 1
    assert segmented.found == (
        PersonFound(1, (20, 20, 80, 100), kept=False),
        PersonFound(2, (200, 40, 160, 120), kept=True),
    )


def test_required_person_who_is_missing_is_told() -> None:
    inputs = Inputs(prepared(noise(100, 100)), Recipe(require_person=True))

    with pytest.raises(NoPerson, match=r"^nobody was found.* 0\.49%"):
        stage.run(finding(0.0049), [inputs])


def test_required_person_on_half_a_percent_is_there() -> None:
    inputs = Inputs(prepared(noise(100, 100)), Recipe(require_person=True))

    (segmented,) = stage.run(finding(0.005), [inputs])

    assert segmented.coverage == 0.005


def test_nobody_is_fine_when_nobody_is_required() -> None:
    (segmented,) = stage.run(finding(0.0), [Inputs(prepared(noise(100, 100)), Recipe())])

    assert segmented.coverage == 0


def test_faint_ghost_far_from_the_person_vanishes() -> None:
    matte = np.zeros((256, 256), np.float32)
    matte[100:200, 100:200] = 1
    matte[10:40, 10:40] = 0.45

    refined = refine(matte, GREY)

    assert refined[:60, :60].max() == 0


def test_faint_hole_inside_the_person_is_closed() -> None:
    matte = np.zeros((256, 256), np.float32)
    matte[50:200, 50:200] = 1
    matte[110:130, 110:130] = 0.55

    refined = refine(matte, GREY)

    assert refined[70:180, 70:180].min() == 255


def test_shallow_hole_is_closed_and_a_sure_one_kept() -> None:
    matte = np.ones((256, 256), np.float32)
    matte[60:70, 60:70] = 0.45
    matte[180:190, 180:190] = 0

    refined = refine(matte, GREY)

    assert refined[50:80, 50:80].min() == 255
    assert refined[185, 185] == 0


def test_background_that_is_nowhere_sure_stays_background() -> None:
    matte = np.full((256, 256), 0.45, np.float32)
    matte[100:200, 100:200] = 1

    refined = refine(matte, GREY)

    assert refined[:80].max() == 0


def test_outline_stays_where_it_is() -> None:
    matte = np.zeros((256, 256), np.float32)
    matte[:, 128:] = 1

    refined = refine(matte, GREY)

    assert np.abs((refined > 127).sum(axis=1) - 128).max() <= 1


def test_soft_edge_moves_to_the_pictures_edge() -> None:
    columns = np.arange(1024, dtype=np.float32)
    matte = np.tile(np.clip((columns - 506) / 8 + 0.5, 0, 1), (64, 1)).astype(np.float32)
    picture = np.zeros((64, 1024, 3), np.uint8)
    picture[:, 508:] = 255

    refined = refine(matte, picture)

    before, after = (
        np.abs((one > 0.5).sum(axis=1) - (1024 - 508)) for one in (matte, refined / 255)
    )
    assert after.max() < before.max()
