"""The matte of people corrected by the refiner."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from smart_filter_shared.recipe import Edge, Recipe
from smart_filter_tests.pictures import prepared_photo
from smart_filter_workers.results import Matte8, PreparedPhoto
from smart_filter_workers.stages.segmentation import stage
from smart_filter_workers.stages.segmentation.mattes.second_opinion import merge_opinion
from smart_filter_workers.stages.segmentation.models.base import People
from smart_filter_workers.stages.segmentation.models.people import AGREED_FROM, PeopleSegmenter
from smart_filter_workers.stages.segmentation.regions import Region
from smart_filter_workers.stages.segmentation.stage import Inputs

HEIGHT, WIDTH = 240, 320
BODY = np.s_[40:220, 100:220]


def a_matte(*parts: Region) -> Matte8:
    matte = np.zeros((HEIGHT, WIDTH), np.uint8)
    for part in parts:
        matte[part] = 255
    return matte


@pytest.mark.parametrize("sides", [(104, 216), (96, 224)], ids=["inside", "outside"])
def test_outline_follows_the_refiner_where_both_are_alike(sides: tuple[int, int]) -> None:
    second = a_matte(np.s_[40:220, slice(*sides)])

    merged = merge_opinion(a_matte(BODY), second)

    assert np.array_equal(merged[100:160] > 127, second[100:160] > 127)


@pytest.mark.parametrize(
    "part", [np.s_[20:220, 222:320], np.s_[40:220, 0:96]], ids=["bystander", "table"]
)
def test_thing_that_only_the_refiner_sees_is_not_added(part: Region) -> None:
    merged = merge_opinion(a_matte(BODY), a_matte(BODY, part))

    assert np.array_equal(merged[part] > 127, a_matte(BODY)[part] > 127)


def test_border_of_an_area_that_is_not_used_leaves_no_ring() -> None:
    aside = np.s_[60:200, 235:305]

    merged = merge_opinion(a_matte(BODY), a_matte(BODY, aside))

    assert not merged[:, 230:].any()


@pytest.mark.parametrize(
    ("leftover", "level", "left"),
    [
        (np.s_[60:110, 220:260], 0, 0.0),
        (np.s_[60:110, 220:260], 90, 0.8),  # the refiner is unsure
        (np.s_[40:220, 220:260], 0, 0.8),  # a third of the people
    ],
)
def test_small_area_is_removed_when_the_refiner_is_sure(
    leftover: Region, level: int, left: float
) -> None:
    refined = a_matte(BODY)
    refined[leftover] = level

    merged = merge_opinion(a_matte(BODY, leftover), refined)

    assert (merged[leftover] > 127).mean() == pytest.approx(left, abs=0.25)
    assert (merged[BODY] > 127).mean() > 0.97


def test_person_whom_the_refiner_misses_stays() -> None:
    child = np.s_[120:220, 10:70]

    merged = merge_opinion(a_matte(BODY, child), a_matte(BODY))

    assert merged[130:210, 20:60].min() == 255


def test_alike_mattes_stay() -> None:
    assert np.array_equal(merge_opinion(a_matte(BODY), a_matte(BODY)), a_matte(BODY))


@dataclass(frozen=True, slots=True)
class FakeNetwork:
    """Sees what is bright."""

    sizes: list[tuple[int, ...]] = field(default_factory=list)

    def __call__(self, srgb: NDArray[np.uint8], matte: Matte8) -> Matte8:
        assert matte.shape == srgb.shape[:2]
        self.sizes.append(srgb.shape)
        return srgb[..., 0]


PARENT, CHILD = np.s_[40:220, 100:160], np.s_[40:220, 160:220]
FOUND = People(a_matte(BODY), persons=(a_matte(PARENT), a_matte(CHILD)), confidence=0.95)


def refine(people: People, network: FakeNetwork | None) -> People:
    segmenter = PeopleSegmenter(None, None, refine=network)  # type: ignore[arg-type]
    bright = a_matte(np.s_[40:220, 96:224])
    return segmenter.refine_outlines(
        people, prepared_photo(np.repeat(bright[..., np.newaxis], 3, axis=2))
    )


def test_network_sees_only_the_region_of_people_and_persons_share_its_outline() -> None:
    network = FakeNetwork()

    refined = refine(FOUND, network)

    assert network.sizes == [(231, 164, 3)]
    assert refined.matte[130, 97] > 127
    assert refined.persons is not None
    assert [person[130, 97] > 127 for person in refined.persons] == [True, False]
    assert np.array_equal(np.maximum.reduce(refined.persons), refined.matte)


@pytest.mark.parametrize(
    "people",
    [replace(FOUND, confidence=AGREED_FROM), People(a_matte(), persons=())],
    ids=["agreed", "empty"],
)
def test_network_does_not_run_without_people_or_when_all_others_agree(people: People) -> None:
    network = FakeNetwork()

    assert refine(people, network) is people
    assert network.sizes == []


def test_matte_stays_without_a_refiner() -> None:
    assert refine(FOUND, None) is FOUND


class FakeSegmenter:
    """Finds a body, and refines it to half of it."""

    def __call__(self, batch: list[PreparedPhoto]) -> list[People]:
        return [People(a_matte(BODY), persons=None) for _ in batch]

    def refine_outlines(self, people: People, prepared: PreparedPhoto) -> People:
        del prepared
        return replace(people, matte=a_matte(PARENT))


def test_fast_edge_leaves_outlines_as_they_were_found() -> None:
    photo = prepared_photo(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    batch = [Inputs(photo, Recipe(edge=edge)) for edge in Edge]

    results = stage.run({"segmentation": FakeSegmenter()}, batch)

    shown = {edge: int(one.matte[130, 200]) for edge, one in zip(Edge, results, strict=True)}
    assert shown == {Edge.FAST: 255, Edge.BALANCED: 0, Edge.BEST: 0, Edge.HARD: 0}
