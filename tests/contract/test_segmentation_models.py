"""Every model that cuts people out."""

import gc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import pytest

from smart_filter_shared.catalog.parameters import ParameterKind
from smart_filter_shared.catalog.scalars import Scalar
from smart_filter_shared.pipeline import TaskName
from smart_filter_tests import networks
from smart_filter_tests.pictures import ODD_SIZES, a_figure, noise, prepared_photo, red_figure
from smart_filter_tests.threads import run_in_threads
from smart_filter_workers.models import catalog
from smart_filter_workers.models.cache import ModelCache
from smart_filter_workers.networks.coverage import u2netp
from smart_filter_workers.results import PreparedPhoto, Srgb8
from smart_filter_workers.stages.segmentation.models.base import People, Segmenter
from smart_filter_workers.system import resources

# Models that need only the two weights packages, with default parameters; plus, with networks made
# by tests, those that need other weights.
FOUND = [
    card.name
    for card in catalog.discover_models().cards
    if card.task is TaskName.SEGMENTATION and card.everywhere
]
HALF = 127.5
# Levels of 255, and the share of pixels that must be within them: the order of additions may differ
# between a batch and a single picture.
SAME_LEVELS, SAME_SHARE = 1, 0.999


@dataclass(frozen=True, slots=True)
class Portrait:
    """A photo that suits a model, and a place with and without a person; (row, column)."""

    srgb: Srgb8
    person: tuple[tuple[int, int], ...]
    background: tuple[tuple[int, int], ...]
    share: tuple[float, float]


ODD_PICTURES = {
    "black": np.zeros((120, 90, 3), np.uint8),
    "white": np.full((120, 90, 3), 255, np.uint8),
    "red": np.full((120, 90, 3), (255, 0, 0), np.uint8),
    "stripes": np.tile(np.array([0, 255], np.uint8), (3, 120, 45)).transpose(1, 2, 0).copy(),
    **{f"noise {size}": noise(*size) for size in ODD_SIZES},
}
# These do not recognize people, only enclosed areas: a busy wall counts like a face.
FOR_PLAIN_WALLS = {"classical"}
# These treat red as people.
MADE = networks.models()
ON_A_PLAIN_WALL = Portrait(
    a_figure(),
    person=((160, 180), (400, 180)),
    background=((20, 340), (100, 40), (300, 30)),
    share=(0.25, 0.55),
)
IN_RED = replace(ON_A_PLAIN_WALL, srgb=red_figure())


@pytest.fixture(scope="module")
def models_with_made_networks(tmp_path_factory: pytest.TempPathFactory) -> ModelCache:
    folder = networks.a_folder(tmp_path_factory.mktemp("made"))
    return ModelCache(catalog.discover_models(), folder, memory_limit=resources.get_limit(None))


@pytest.fixture(scope="module", params=[*FOUND, *MADE])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def cut_out(name: str, models: ModelCache, models_with_made_networks: ModelCache) -> Segmenter:
    if name in MADE:
        return with_parameters(models_with_made_networks, name, entry=networks.ENTRY)
    return with_parameters(models, name)


@pytest.fixture
def portrait(name: str, astronaut: Srgb8) -> Portrait:
    if name in FOR_PLAIN_WALLS:
        return ON_A_PLAIN_WALL
    if name in MADE:
        return IN_RED
    return Portrait(
        astronaut,
        person=((120, 225), (330, 150)),  # her face, her suit
        background=((20, 400), (100, 60)),  # the wall, the flag
        share=(0.35, 0.6),
    )


def with_parameters(models: ModelCache, name: str, **given: Scalar) -> Segmenter:
    task = TaskName.SEGMENTATION
    return cast("Segmenter", models.for_stage({task: name}, {task: given})[task])


def assert_covers(people: People, photo: PreparedPhoto) -> None:
    """Assert that the matte is one of the whole photo."""
    assert people.matte.dtype == np.uint8
    assert people.matte.shape == photo.proxy_srgb.shape[:2]


def test_matte_holds_the_person_with_a_soft_edge_and_not_the_background(
    cut_out: Segmenter, name: str, portrait: Portrait
) -> None:
    card = catalog.discover_models().files[TaskName.SEGMENTATION, name].CARD
    photo = prepared_photo(portrait.srgb.copy())

    (people,) = cut_out([photo])

    assert [people.matte[place] for place in portrait.person] == [255] * len(portrait.person)
    assert not any(people.matte[place] for place in portrait.background)
    least, most = portrait.share
    assert least < (people.matte > HALF).mean() < most
    soft = (people.matte > 0) & (people.matte < 255)
    assert 0.005 < soft.mean() < 0.15
    assert bool(people.steps) == card.explains
    assert people.persons is None or len(people.persons) == 1
    assert np.array_equal(photo.proxy_srgb, portrait.srgb), "the picture is left as it was"


def test_no_picture_and_an_empty_wall_have_no_people(cut_out: Segmenter) -> None:
    assert list(cut_out([])) == []
    (people,) = cut_out([prepared_photo(np.full((300, 400, 3), 128, np.uint8))])

    assert (people.matte > HALF).mean() < 0.005


@pytest.mark.parametrize("name_of_picture", ODD_PICTURES)
def test_any_picture_gives_a_matte_of_its_size(cut_out: Segmenter, name_of_picture: str) -> None:
    photo = prepared_photo(ODD_PICTURES[name_of_picture])

    (people,) = cut_out([photo])

    assert_covers(people, photo)


def test_batch_gives_what_one_by_one_gives(cut_out: Segmenter, astronaut: Srgb8) -> None:
    portrait = np.ascontiguousarray(astronaut[:, 60:380])
    batch = [prepared_photo(astronaut), prepared_photo(noise(90, 160)), prepared_photo(portrait)]

    together = cut_out(batch)

    for people, photo in zip(together, batch, strict=True):
        (alone,) = cut_out([photo])
        assert _are_alike(people, alone)


def test_four_threads_give_the_same(cut_out: Segmenter, astronaut: Srgb8) -> None:
    (alone,) = cut_out([prepared_photo(astronaut)])

    answers = run_in_threads(4, lambda: [cut_out([prepared_photo(astronaut)])[0] for _ in range(3)])

    assert all(np.array_equal(people.matte, alone.matte) for each in answers for people in each)


def bounds() -> Iterator[tuple[str, dict[str, Scalar]]]:
    """Yield every model with each of its parameters at each of its ends, and every choice."""
    for card in catalog.discover_models().cards:
        if card.task is TaskName.SEGMENTATION and card.name in FOUND:
            for parameter in card.parameters:
                exact = int if parameter.kind is ParameterKind.INTEGER else float
                ends = [exact(end) for end in (parameter.least, parameter.most) if end is not None]
                switch = (True, False) if parameter.kind is ParameterKind.BOOLEAN else ()
                for value in (*parameter.choices, *switch, *ends):
                    yield card.name, {parameter.name: value}


@pytest.mark.parametrize(("model", "given"), list(bounds()), ids=str)
def test_parameters_at_their_bounds_give_a_matte(
    models: ModelCache, astronaut: Srgb8, model: str, given: dict[str, Scalar]
) -> None:
    photo = prepared_photo(np.ascontiguousarray(astronaut[::4, ::3]))

    (people,) = with_parameters(models, model, **given)([photo])

    assert_covers(people, photo)


def test_memory_does_not_grow(cut_out: Segmenter, astronaut: Srgb8) -> None:
    sizes = [astronaut, noise(90, 160), np.ascontiguousarray(astronaut[::2])]
    photos = [prepared_photo(srgb) for srgb in sizes]
    _settled_bytes(cut_out, photos)

    before = _settled_bytes(cut_out, photos)
    for _ in range(3):
        after = _settled_bytes(cut_out, photos)

    # Nine times these photos: 3.6 MB if every matte leaked, 7 MB if every network's input did.
    assert after - before < 2 * 1024 * 1024


def _settled_bytes(cut_out: Segmenter, photos: Sequence[PreparedPhoto]) -> int:
    """Cut all photos out three times; return the process's memory after it."""
    for _ in range(3):
        cut_out(photos)
    gc.collect()
    resources.get_limit(None).give_back()
    return resources.resident_bytes()


def _are_alike(people: People, other: People) -> bool:
    difference = cv2.absdiff(people.matte, other.matte)
    return bool((difference <= SAME_LEVELS).mean() >= SAME_SHARE)


def test_a_glance_of_u2netp_sees_the_figure_that_the_whole_network_sees(
    weights_folder: Path,
) -> None:
    # Along the outline a smaller input is less exact: here 0.001 of the pixels differ.
    whole, glance = (u2netp.load(weights_folder, side_px=side_px) for side_px in (320, 256))

    seen, glanced = whole(a_figure()) > 1 / 2, glance(a_figure()) > 1 / 2

    assert 0.1 < seen.mean() < 0.9
    assert (seen == glanced).mean() > 0.99
