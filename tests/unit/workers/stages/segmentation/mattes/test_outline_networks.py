"""Which networks look at the people of a photo, and at what part of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from smart_filter_shared.recipe import Edge, Recipe
from smart_filter_tests.pictures import prepared_photo
from smart_filter_workers.networks.coverage import isnet
from smart_filter_workers.results import Floats, Matte8, PreparedPhoto, Srgb8
from smart_filter_workers.stages.segmentation import stage
from smart_filter_workers.stages.segmentation.mattes.outline_networks import (
    DOUBTED_BELOW,
    PORTRAIT_SIDE_PX,
    OutlineNetworks,
)
from smart_filter_workers.stages.segmentation.models.base import Look, People
from smart_filter_workers.stages.segmentation.models.best import Best, Detail
from smart_filter_workers.stages.segmentation.models.people import PeopleSegmenter
from smart_filter_workers.stages.segmentation.regions import Region, find_people
from smart_filter_workers.stages.segmentation.stage import Inputs

HEIGHT, WIDTH = 240, 320
BODY = np.s_[60:160, 100:180]
PARENT, CHILD = np.s_[60:160, 100:140], np.s_[60:160, 140:180]
BAG = np.s_[100:130, 180:194]


def a_matte(level: int = 255, *, part: Region = BODY) -> Matte8:
    matte = np.zeros((HEIGHT, WIDTH), np.uint8)
    matte[part] = level
    return matte


SURE = People(a_matte(), persons=(a_matte(part=PARENT), a_matte(part=CHILD)), confidence=0.99)
DOUBTED = replace(SURE, confidence=DOUBTED_BELOW - 0.01)
EMPTY = People(a_matte(0), persons=())


def a_photo(bright: Matte8) -> PreparedPhoto:
    return prepared_photo(np.repeat(bright[..., np.newaxis], 3, axis=2))


@dataclass(frozen=True, slots=True)
class FakeNetworks:
    """Each sees what is bright; looks: which of them looked, and at what size."""

    has_salient: bool = True
    looks: list[tuple[object, ...]] = field(default_factory=list)

    def segmenter(self, refine: Callable[[Srgb8, Matte8], Matte8] | None = None) -> PeopleSegmenter:
        networks = OutlineNetworks(
            refine or self.refine,  # type: ignore[arg-type]
            self,  # type: ignore[arg-type]
            self.find_salient,
            self.glance,
        )
        return PeopleSegmenter(None, None, outlines=networks)  # type: ignore[arg-type]

    def refine(self, srgb: Srgb8, matte: Matte8) -> Matte8:
        assert matte.shape == srgb.shape[:2]
        self.looks.append(("refiner", srgb.shape[:2]))
        return srgb[..., 0]

    def segment_batch(self, pictures: Sequence[Srgb8], *, side_px: int) -> list[Floats]:
        self.looks.extend(("portrait", picture.shape[:2], side_px) for picture in pictures)
        return [picture[..., 0].astype(np.float32) / 255 for picture in pictures]

    def find_salient(self) -> Look | None:
        return self.look if self.has_salient else None

    def glance(self, srgb: Srgb8) -> Floats:
        self.looks.append(("glance", srgb.shape[:2]))
        return srgb[..., 0].astype(np.float32) / 255

    def look(self, srgb: Srgb8) -> Floats:
        self.looks.append(("salient", srgb.shape[:2]))
        return srgb[..., 0].astype(np.float32) / 255


@dataclass(frozen=True, slots=True)
class Finder:
    """Finds the same people in each photo; asked: for which edges."""

    segmenter: PeopleSegmenter
    asked: list[Edge] = field(default_factory=list)

    def __call__(self, batch: Sequence[PreparedPhoto]) -> list[People]:
        return [SURE for _ in batch]

    def refine_outlines(
        self, people: People, prepared: PreparedPhoto, edge: Edge, salient: Look | None = None
    ) -> People:
        self.asked.append(edge)
        return self.segmenter.refine_outlines(people, prepared, edge, salient)


REFINER, PORTRAIT = ("refiner", (137, 111)), ("portrait", (137, 111), PORTRAIT_SIDE_PX)
SALIENT, GLANCE = ("salient", (137, 111)), ("glance", (137, 111))


@pytest.mark.parametrize(
    ("people", "edge", "has_salient", "looks"),
    [
        (SURE, Edge.FAST, True, []),
        (SURE, Edge.BALANCED, True, [PORTRAIT, REFINER]),
        (SURE, Edge.HARD, True, [PORTRAIT, REFINER]),
        (SURE, Edge.BEST, True, [PORTRAIT, REFINER, SALIENT]),
        (DOUBTED, Edge.BALANCED, True, [PORTRAIT, REFINER, SALIENT]),
        (DOUBTED, Edge.FAST, True, []),
        (DOUBTED, Edge.BEST, False, [PORTRAIT, REFINER]),
        (EMPTY, Edge.BEST, True, []),
    ],
)
def test_edge_and_doubt_decide_which_networks_look_once_each(
    people: People, edge: Edge, looks: list[object], *, has_salient: bool
) -> None:
    networks = FakeNetworks(has_salient)

    refined = networks.segmenter().refine_outlines(people, a_photo(a_matte()), edge)

    assert networks.looks == looks
    assert (refined is people) == (not looks)


def test_persons_share_the_corrected_outline() -> None:
    bright = a_matte(part=np.s_[60:160, 97:183])
    # Four whole edges would be a picture.
    bright[60:80, [*range(97, 117), *range(163, 183)]] = 0

    refined = FakeNetworks().segmenter().refine_outlines(SURE, a_photo(bright), Edge.BALANCED)

    assert refined.matte[110, 98] > 127
    assert refined.persons is not None
    assert [person[110, 98] > 127 for person in refined.persons] == [True, False]
    assert np.array_equal(np.maximum.reduce(refined.persons), refined.matte)
    assert refined.attached is not None
    assert not refined.attached.any()


def test_a_thing_becomes_part_of_the_person_who_holds_it() -> None:
    networks = FakeNetworks()
    segmenter = networks.segmenter(lambda _, matte: matte)
    photo = a_photo(np.maximum(a_matte(), a_matte(part=BAG)))

    refined = segmenter.refine_outlines(SURE, photo, Edge.BALANCED)

    assert networks.looks == [PORTRAIT, GLANCE]
    assert refined.attached is not None
    assert np.array_equal(refined.attached, a_matte(part=BAG))
    assert [person[115, 187] for person in refined.persons or ()] == [0, 255]


def test_best_asks_the_network_of_the_detail_about_each_photo() -> None:
    networks, fine, fast = FakeNetworks(), FakeNetworks(), FakeNetworks()
    segmenter = networks.segmenter()

    best = Best(lambda _: Finder(segmenter), {Detail.FINE: fine.look, Detail.FAST: fast.look})  # type: ignore[dict-item]

    refined = best([a_photo(a_matte())] * 2, parameters={"detail": "fast"})

    assert len(refined) == 2
    assert (fine.looks, fast.looks) == ([], [SALIENT, SALIENT])
    assert networks.looks == [PORTRAIT, REFINER] * 2


def test_stage_passes_each_photos_edge_on() -> None:
    networks = FakeNetworks()
    segmenter = networks.segmenter()
    finder = Finder(segmenter)
    batch = [Inputs(a_photo(a_matte()), Recipe(edge=edge)) for edge in Edge]

    results = stage.run({"segmentation": finder}, batch)

    assert finder.asked == list(Edge)
    assert [result.matte.shape for result in results] == [(HEIGHT, WIDTH)] * len(batch)


def test_few_pixels_are_no_region() -> None:
    assert find_people(a_matte(part=np.s_[0:3, 0:13])) is None


@pytest.mark.parametrize(
    ("size", "side_px", "seen"),
    [
        ((500, 500), 768, (768, 768)),
        ((500, 500), 448, (448, 448)),
        ((600, 300), 768, (1088, 512)),
        ((100, 4000), 448, (320, 640)),
    ],
)
def test_input_has_the_pixels_of_a_square_and_the_pictures_proportions(
    size: tuple[int, int], side_px: int, seen: tuple[int, int]
) -> None:
    assert isnet.FORM.input_size(*size, side_px) == seen
