"""Every model that finds the rotation which makes a photo upright."""

from pathlib import Path
from typing import cast

import cv2
import numpy as np
import pytest

from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.results import Face
from smart_filter_tests.pictures import ODD_SIZES, noise
from smart_filter_tests.threads import run_in_threads
from smart_filter_workers.models import catalog
from smart_filter_workers.models.cache import ModelCache
from smart_filter_workers.networks.orientation import best_upright_score
from smart_filter_workers.results import Srgb8
from smart_filter_workers.stages.prepare.models import light
from smart_filter_workers.stages.prepare.models.base import LightDetector, OrientationReader

FOUND = [name for task, name in catalog.discover_models().files if task is TaskName.ORIENTATION]


@pytest.fixture(scope="module", params=FOUND)
def read(request: pytest.FixtureRequest, models: ModelCache) -> OrientationReader:
    chosen = models.for_stage({TaskName.ORIENTATION: request.param}, {})
    return cast("OrientationReader", chosen[TaskName.ORIENTATION])


@pytest.fixture(scope="module")
def detect(weights_folder: Path) -> LightDetector:
    return light.load(weights_folder)


@pytest.mark.parametrize("given", range(4))
def test_photo_with_a_face_is_rotated_upright(
    read: OrientationReader, detect: LightDetector, astronaut: Srgb8, given: int
) -> None:
    turned = turned_by(given, astronaut)

    (needed,) = read([turned], detect([turned]))

    assert needed == (4 - given) % 4


def test_face_tilted_by_a_fifth_of_a_turn_stays(
    read: OrientationReader, detect: LightDetector, astronaut: Srgb8
) -> None:
    tilted = tilted_by(35, astronaut)

    assert list(read([tilted], detect([tilted]))) == [0]


@pytest.mark.parametrize("given", range(4))
def test_photo_without_a_face_is_never_rotated_wrongly(
    read: OrientationReader, detect: LightDetector, astronaut: Srgb8, given: int
) -> None:
    # Her suit, the helmet and the shuttle below her chin.
    torso = turned_by(given, astronaut[200:])

    (needed,) = read([torso], detect([torso]))

    assert needed in {0, (4 - given) % 4}


@pytest.mark.parametrize("size", ODD_SIZES, ids=str)
def test_noise_of_any_size_is_not_rotated(read: OrientationReader, size: tuple[int, int]) -> None:
    assert list(read([], [])) == []
    assert list(read([noise(*size)], [()])) == [0]


def test_four_threads_answer_a_batch_in_its_order(
    read: OrientationReader, detect: LightDetector, astronaut: Srgb8
) -> None:
    pictures = [turned_by(given, astronaut) for given in (1, 0, 3, 2)]
    turns = detect(pictures)

    answers = run_in_threads(4, lambda: list(read(pictures, turns)))

    assert answers == [[3, 0, 1, 2]] * 4


def test_one_upright_face_counts_more_than_many_others() -> None:
    upright = face(eyes=((40, 40), (80, 40)), mouth=((45, 90), (75, 90)))
    on_its_side = face(eyes=((40, 40), (40, 80)), mouth=((90, 45), (90, 75)))
    askew = face(eyes=((40, 40), (80, 60)), mouth=((25, 90), (55, 105)))

    assert best_upright_score([upright]) == pytest.approx(0.9)
    assert best_upright_score([on_its_side]) == pytest.approx(0, abs=1e-6)
    assert (
        best_upright_score([askew] * 5) < best_upright_score([askew, upright]) == pytest.approx(0.9)
    )


def turned_by(quarters: int, picture: Srgb8) -> Srgb8:
    return np.ascontiguousarray(np.rot90(picture, quarters))


def tilted_by(degrees: float, picture: Srgb8) -> Srgb8:
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    return np.asarray(cv2.warpAffine(picture, turn, (width, height)), dtype=np.uint8)


def face(
    *,
    eyes: tuple[tuple[float, float], tuple[float, float]],
    mouth: tuple[tuple[float, float], tuple[float, float]],
) -> Face:
    return Face((30.0, 20.0, 60.0, 90.0), 0.9, (*eyes, (60.0, 65.0), *mouth))
