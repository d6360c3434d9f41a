"""Every model that cuts people out."""

from pathlib import Path
from typing import cast

import cv2
import numpy as np
import pytest

from smart_filter_shared.cards import TaskName
from smart_filter_tests.pictures import ODD_SIZES, noise, prepared
from smart_filter_tests.threads import at_once
from smart_filter_workers import catalogue, memory
from smart_filter_workers.loaded import LoadedModels
from smart_filter_workers.results import Srgb8
from smart_filter_workers.stages.segmentation.models.base import People, Segmenter

# Those that need nothing beside the two packages of weights, as recipes leave them.
FOUND = [
    card.name
    for card in catalogue.find().cards
    if card.task is TaskName.SEGMENTATION and card.everywhere
]
HALF = 127.5
# Levels of 255, and the share of pixels that must be within them: the order of additions
# may differ between a batch and a single picture.
SAME_LEVELS, SAME_SHARE = 1, 0.999


@pytest.fixture(scope="module", params=FOUND)
def cut_out(request: pytest.FixtureRequest, weights_folder: Path) -> Segmenter:
    task = TaskName.SEGMENTATION
    models = LoadedModels(catalogue.find(), weights_folder, room=memory.room(None))
    return cast("Segmenter", models.of({task: request.param}, {})[task])


def test_matte_holds_the_person_and_not_the_background(
    cut_out: Segmenter, astronaut: Srgb8
) -> None:
    (people,) = cut_out([prepared(astronaut)])

    matte = people.matte
    assert matte[120, 225] == 255, "her face"
    assert matte[330, 150] == 255, "her suit"
    assert matte[20, 400] == 0, "the wall"
    assert matte[100, 60] == 0, "the flag"
    assert 0.35 < (matte > HALF).mean() < 0.6


def test_edge_is_soft_and_the_rest_is_not(cut_out: Segmenter, astronaut: Srgb8) -> None:
    (people,) = cut_out([prepared(astronaut)])

    soft = (people.matte > 0) & (people.matte < 255)
    assert 0.005 < soft.mean() < 0.15


def test_empty_wall_is_nobody(cut_out: Segmenter) -> None:
    (people,) = cut_out([prepared(np.full((300, 400, 3), 128, np.uint8))])

    assert (people.matte > HALF).mean() < 0.005


def test_nothing_prepared_gives_no_answers(cut_out: Segmenter) -> None:
    assert list(cut_out([])) == []


@pytest.mark.parametrize("size", ODD_SIZES, ids=str)
def test_any_size_gives_a_matte_of_the_proxys_size(
    cut_out: Segmenter, size: tuple[int, int]
) -> None:
    photo = prepared(noise(*size))

    (people,) = cut_out([photo])

    assert people.matte.dtype == np.uint8
    assert people.matte.shape == photo.proxy_srgb.shape[:2]


def test_persons_are_counted_or_not_told_apart(cut_out: Segmenter, astronaut: Srgb8) -> None:
    (people,) = cut_out([prepared(astronaut)])

    assert people.persons is None or len(people.persons) == 1


def test_picture_is_left_as_it_was(cut_out: Segmenter, astronaut: Srgb8) -> None:
    photo = prepared(astronaut.copy())

    cut_out([photo])

    assert np.array_equal(photo.proxy_srgb, astronaut)


def test_same_picture_twice_gives_the_same_matte(cut_out: Segmenter, astronaut: Srgb8) -> None:
    (first,) = cut_out([prepared(astronaut)])
    (second,) = cut_out([prepared(astronaut)])

    assert np.array_equal(first.matte, second.matte)


def test_batch_gives_what_one_by_one_gives(cut_out: Segmenter, astronaut: Srgb8) -> None:
    portrait = np.ascontiguousarray(astronaut[:, 60:380])
    batch = [prepared(astronaut), prepared(noise(90, 160)), prepared(portrait)]

    together = cut_out(batch)

    for people, photo in zip(together, batch, strict=True):
        (alone,) = cut_out([photo])
        assert _are_alike(people, alone)


def test_four_threads_give_the_same(cut_out: Segmenter, astronaut: Srgb8) -> None:
    (alone,) = cut_out([prepared(astronaut)])

    found = at_once(4, lambda: [cut_out([prepared(astronaut)])[0] for _ in range(3)])

    assert all(np.array_equal(one.matte, alone.matte) for each in found for one in each)


def _are_alike(one: People, other: People) -> bool:
    difference = cv2.absdiff(one.matte, other.matte)
    return bool((difference <= SAME_LEVELS).mean() >= SAME_SHARE)
