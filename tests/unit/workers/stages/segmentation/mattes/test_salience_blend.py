"""The matte of people blended with that of whatever stands out."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from smart_filter_tests.pictures import prepared_photo
from smart_filter_workers.networks.mattes import birefnet, isnet
from smart_filter_workers.results import Matte8, PreparedPhoto
from smart_filter_workers.stages.segmentation.mattes.salience_blend import (
    Region,
    blend,
    find_region,
)
from smart_filter_workers.stages.segmentation.models.base import People, Segmenter
from smart_filter_workers.stages.segmentation.models.best import Best
from smart_filter_workers.stages.segmentation.models.quality import Detail, Quality

HEIGHT, WIDTH = 240, 320
BODY = np.s_[60:160, 100:180]


def a_matte(level: int = 255, *, part: Region = BODY) -> Matte8:
    matte = np.zeros((HEIGHT, WIDTH), np.uint8)
    matte[part] = level
    return matte


def test_region_holds_people_with_a_margin_of_their_size() -> None:
    assert find_region(a_matte()) == np.s_[60 - 19 : 160 + 19, 100 - 16 : 180 + 16]


def test_region_ends_at_the_photo_and_leaves_out_a_far_speck() -> None:
    matte = a_matte(part=np.s_[140:240, 0:80])
    matte[2:5, 300:305] = 255

    assert find_region(matte) == np.s_[121:240, 0:96]


def test_few_pixels_are_no_region() -> None:
    assert find_region(a_matte(part=np.s_[0:3, 0:13])) is None


@pytest.mark.parametrize(
    ("salient_part", "weight"), [(BODY, 0.5), (np.s_[60:160, 100:150], 0.3)], ids=["alike", "other"]
)
def test_odds_are_multiplied_by_the_likeness_of_the_mattes(
    salient_part: Region, weight: float
) -> None:
    people, salient = a_matte(), a_matte(part=salient_part)
    unsure = np.s_[60:64, 100:140]
    people[unsure], salient[unsure] = 140, 160

    blended = blend(people, salient)

    odds = (140 / 115) ** (1 - weight) * (160 / 95) ** weight
    coverage = odds**1.3 / (1 + odds**1.3)
    assert blended[62, 120] == round((coverage - 0.15) / 0.7 * 255)


def test_mattes_alike_stay_and_no_ghost_remains() -> None:
    people = a_matte()
    people[200:220, 250:300] = 60

    blended = blend(people, a_matte())

    # The corners of the body are rounded off.
    assert np.count_nonzero((blended > 127) != (a_matte() > 127)) < 40
    assert not blended[195:225, 245:305].any()


@dataclass(frozen=True, slots=True)
class FakeNetwork:
    """Sees the upper half of each part that it is shown."""

    shown: list[tuple[int, ...]] = field(default_factory=list)

    def segment_batch(self, pictures: Sequence[np.ndarray], *, side_px: int) -> list[np.ndarray]:
        self.shown.extend((side_px, *picture.shape) for picture in pictures)
        coverages = [np.zeros(picture.shape[:2], np.float32) for picture in pictures]
        for coverage in coverages:
            coverage[: len(coverage) // 2] = 1
        return coverages


def refine(network: FakeNetwork, *found: People, detail: str = "fine") -> list[People]:
    def people(batch: Sequence[PreparedPhoto]) -> list[People]:
        return list(found)[: len(batch)]

    def others(name: str) -> Segmenter:
        assert name == "people"
        return people

    photo = prepared_photo(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    return Quality(others, network)([photo] * len(found), parameters={"detail": detail})  # type: ignore[arg-type]


def test_only_the_region_of_people_is_looked_at() -> None:
    network = FakeNetwork()
    empty = People(a_matte(0), persons=())

    kept, refined = refine(network, empty, People(a_matte(), persons=None), detail="fast")

    assert kept is empty
    assert network.shown == [(448, 138, 112, 3)]
    assert refined.matte.shape == (HEIGHT, WIDTH)
    assert refined.persons is None


def test_best_looks_with_the_network_of_the_detail() -> None:
    fine, fast = FakeNetwork(), FakeNetwork()
    best = Best(
        lambda _: lambda batch: [People(a_matte(), persons=None) for _ in batch],
        {Detail.FINE: fine, Detail.FAST: fast},  # type: ignore[dict-item]
    )
    photo = prepared_photo(np.zeros((HEIGHT, WIDTH, 3), np.uint8))

    (refined,) = best([photo], parameters={"detail": "fast"})

    assert (fine.shown, fast.shown) == ([], [(birefnet.SIDE_PX, 138, 112, 3)])
    assert not np.array_equal(refined.matte, a_matte())


def test_persons_share_the_refined_matte() -> None:
    left, right = a_matte(part=np.s_[60:160, 100:140]), a_matte(part=np.s_[60:160, 140:180])
    found = People(np.maximum(left, right), persons=(left, right))

    (refined,) = refine(FakeNetwork(), found)

    assert refined.persons is not None
    assert np.array_equal(np.maximum.reduce(refined.persons), refined.matte)
    assert [person[100, 110] > 0 for person in refined.persons] == [True, False]


class FakeNetworkOfBrightness:
    """Sees what is bright."""

    def segment_batch(self, pictures: Sequence[np.ndarray], *, side_px: int) -> list[np.ndarray]:
        del side_px
        return [picture[..., 0].astype(np.float32) / 255 for picture in pictures]


def test_a_thing_becomes_part_of_the_person_who_holds_it() -> None:
    left, right = a_matte(part=np.s_[60:160, 60:110]), a_matte(part=np.s_[60:160, 110:180])
    people, bag = np.maximum(left, right), np.s_[100:130, 180:194]
    photo = prepared_photo(np.repeat(people[..., np.newaxis], 3, axis=2))
    photo.proxy_srgb[bag] = 255
    model = Quality(
        lambda _: lambda _: [People(people, persons=(left, right))],
        FakeNetworkOfBrightness(),  # type: ignore[arg-type]
    )

    (refined,) = model([photo], parameters={"detail": "fine"})

    assert refined.attached is not None
    assert refined.persons is not None
    assert [person[115, 187] for person in refined.persons] == [0, 255]
    assert refined.attached[115, 187] == 255
    assert not refined.attached[60:160, 100:170].any()


def test_no_photo_needs_no_other_model() -> None:
    assert refine(FakeNetwork()) == []


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
