"""Every model that rates smiles, and every one that reads eyes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

import cv2
import numpy as np
import pytest

from smart_filter_shared.cards import TaskName
from smart_filter_shared.rating import SmileLevel
from smart_filter_tests.pictures import ODD_SIZES, noise
from smart_filter_tests.threads import at_once
from smart_filter_workers import catalogue, memory
from smart_filter_workers.loaded import LoadedModels
from smart_filter_workers.networks.coordinates import scaled
from smart_filter_workers.networks.face_mesh import LEFT_EYE, FaceMesh, FaceView, Mesh
from smart_filter_workers.results import Eyes, Face, Smile, Srgb8
from smart_filter_workers.stages.smile.models.base import EyeReader, SmileRater
from smart_filter_workers.stages.smile.sight import NOSE_TIP

FILES = catalogue.find().files
# As a detector finds it in the sample photo.
ASTRONAUTS_FACE = Face(
    box=(181.5, 58.2, 88.4, 119.6),
    score=0.93,
    landmarks=((203.2, 101.7), (247.0, 104.5), (223.3, 125.1), (203.4, 142.3), (241.3, 144.4)),
)
# Where it is in a picture of twice the size.
PORTRAITS_FACE = scaled(ASTRONAUTS_FACE, x=2, y=2)


class Profile(FaceView):
    """A face whose nose stands beyond its left eye, as a mesh draws a head turned away."""

    def mesh(self, network: FaceMesh) -> Mesh:
        """Return the mesh with its nose moved."""
        seen = super().mesh(network)
        points = seen.points.copy()
        points[NOSE_TIP] = points[LEFT_EYE[0]] + 5
        return Mesh(points, seen.presence)


def model(task: TaskName, name: str, weights_folder: Path) -> object:
    """Return a model as a worker calls it, its parameters at their defaults."""
    models = LoadedModels(catalogue.find(), weights_folder, room=memory.room(None))
    return models.of({task: name}, {})[task]


class FaceModel(Protocol):
    """Whatever answers once for each face."""

    def __call__(self, faces: Sequence[FaceView]) -> Sequence[Smile | Eyes]: ...


@pytest.fixture(scope="module", params=[name for task, name in FILES if task is TaskName.SMILE])
def rate(request: pytest.FixtureRequest, weights_folder: Path) -> SmileRater:
    return cast("SmileRater", model(TaskName.SMILE, request.param, weights_folder))


@pytest.fixture(scope="module", params=[name for task, name in FILES if task is TaskName.EYES])
def read(request: pytest.FixtureRequest, weights_folder: Path) -> EyeReader:
    return cast("EyeReader", model(TaskName.EYES, request.param, weights_folder))


@pytest.fixture(
    scope="module",
    params=[found for found in FILES if found[0] in {TaskName.SMILE, TaskName.EYES}],
    ids=lambda found: f"{found[0]}.{found[1]}",
)
def look(request: pytest.FixtureRequest, weights_folder: Path) -> FaceModel:
    return cast("FaceModel", model(*request.param, weights_folder))


@pytest.fixture(scope="module")
def portrait(astronaut: Srgb8) -> Srgb8:
    """The astronaut at twice the size: large enough for every reader of eyes."""
    return np.asarray(cv2.resize(astronaut, None, fx=2, fy=2), dtype=np.uint8)


def test_astronaut_smiles_hugely(rate: SmileRater, astronaut: Srgb8) -> None:
    (smile,) = rate([FaceView(astronaut, ASTRONAUTS_FACE)])

    assert smile.level is SmileLevel.HUGE
    assert smile.score > 0.8


def test_astronaut_has_both_eyes_open(read: EyeReader, portrait: Srgb8) -> None:
    (eyes,) = read([FaceView(portrait, PORTRAITS_FACE)])

    assert eyes == Eyes(left_open=True, right_open=True)


def test_eyes_of_a_few_pixels_are_unknown(read: EyeReader, astronaut: Srgb8) -> None:
    tiny = np.ascontiguousarray(astronaut[::8, ::8])

    (eyes,) = read([FaceView(tiny, scaled(ASTRONAUTS_FACE, x=1 / 8, y=1 / 8))])

    assert eyes == Eyes(left_open=None, right_open=None)


def test_eyes_behind_dark_glasses_are_unknown(read: EyeReader, portrait: Srgb8) -> None:
    glasses = portrait.copy()
    for x, y in PORTRAITS_FACE.landmarks[:2]:
        cv2.ellipse(glasses, (round(x), round(y) + 6), (38, 32), 0, 0, 360, (15, 15, 18), -1)

    (eyes,) = read([FaceView(glasses, PORTRAITS_FACE)])

    assert eyes == Eyes(left_open=None, right_open=None)


def test_eyes_of_a_profile_are_unknown(read: EyeReader, portrait: Srgb8) -> None:
    (eyes,) = read([Profile(portrait, PORTRAITS_FACE)])

    assert eyes == Eyes(left_open=None, right_open=None)


def test_eyes_beyond_the_edge_of_the_picture_are_unknown(read: EyeReader, astronaut: Srgb8) -> None:
    mouth = np.ascontiguousarray(astronaut[115:])

    (eyes,) = read([FaceView(mouth, _lower(ASTRONAUTS_FACE, -115))])

    assert eyes == Eyes(left_open=None, right_open=None)


@pytest.mark.parametrize("size", ODD_SIZES, ids=str)
def test_any_picture_is_answered_in_range(rate: SmileRater, size: tuple[int, int]) -> None:
    height, width = size
    picture = noise(height, width)

    (smile,) = rate([FaceView(picture, _filling(width, height))])

    assert 0 <= smile.score <= 1
    assert isinstance(smile.level, SmileLevel)


@pytest.mark.parametrize("size", ODD_SIZES, ids=str)
def test_eyes_in_any_picture_are_true_false_or_unknown(
    read: EyeReader, size: tuple[int, int]
) -> None:
    height, width = size

    (eyes,) = read([FaceView(noise(height, width), _filling(width, height))])

    assert {eyes.left_open, eyes.right_open} <= {True, False, None}


def test_face_without_size_is_answered(look: FaceModel, astronaut: Srgb8) -> None:
    point = Face(box=(9.0, 9.0, 0.0, 0.0), score=0.5, landmarks=((9.0, 9.0),) * 5)

    assert len(look([FaceView(astronaut, point)])) == 1


def test_no_faces_give_no_answers(look: FaceModel) -> None:
    assert list(look([])) == []


def test_same_face_twice_gives_the_same_answer(look: FaceModel, astronaut: Srgb8) -> None:
    faces = [FaceView(astronaut, ASTRONAUTS_FACE), FaceView(astronaut, ASTRONAUTS_FACE)]

    first, second = look(faces)

    assert first == second


def test_order_of_answers_is_that_of_faces(look: FaceModel, astronaut: Srgb8) -> None:
    noisy = FaceView(noise(200, 200), _filling(200, 200))
    hers = FaceView(astronaut, ASTRONAUTS_FACE)

    together = look([noisy, hers])

    assert list(together) == [*look([noisy]), *look([hers])]


def test_four_threads_give_the_same(look: FaceModel, astronaut: Srgb8) -> None:
    alone = list(look([FaceView(astronaut, ASTRONAUTS_FACE)]))

    found = at_once(4, lambda: list(look([FaceView(astronaut, ASTRONAUTS_FACE)] * 3)))

    assert found == [alone * 3] * 4


def _lower(face: Face, down_px: float) -> Face:
    left, top, width, height = face.box
    a, b, c, d, e = ((x, y + down_px) for x, y in face.landmarks)
    return Face((left, top + down_px, width, height), face.score, (a, b, c, d, e))


def _filling(width: int, height: int) -> Face:
    """Return a face as large as the picture."""
    right_eye, left_eye = (0.3 * width, 0.4 * height), (0.7 * width, 0.4 * height)
    nose = (0.5 * width, 0.6 * height)
    right_mouth, left_mouth = (0.35 * width, 0.8 * height), (0.65 * width, 0.8 * height)
    return Face(
        box=(0.0, 0.0, float(width), float(height)),
        score=0.9,
        landmarks=(right_eye, left_eye, nose, right_mouth, left_mouth),
    )
