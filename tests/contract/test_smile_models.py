"""Every model that rates smiles, and every one that reads eyes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

import cv2
import numpy as np
import pytest

from smart_filter_shared.catalog.scalars import Scalar
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.rating import SmileLevel
from smart_filter_shared.results import Face, Smile
from smart_filter_tests.pictures import ODD_SIZES, noise
from smart_filter_tests.portrait import ASTRONAUTS_FACE
from smart_filter_tests.threads import run_in_threads
from smart_filter_wire.findings import Eyes
from smart_filter_workers.models import catalog
from smart_filter_workers.models.cache import ModelCache
from smart_filter_workers.networks.coordinates import scale_face
from smart_filter_workers.networks.faces.face_mesh import LEFT_EYE, FaceMesh, FaceView, Mesh
from smart_filter_workers.results import Srgb8
from smart_filter_workers.stages.smile.models import haar_eyes
from smart_filter_workers.stages.smile.models.base import NOSE_TIP, EyeReader, SmileRater

FILES = catalog.discover_models().files
# The place of the face in a picture of twice the size.
PORTRAITS_FACE = scale_face(ASTRONAUTS_FACE, x=2, y=2)
SKIN = (205, 150, 130)
OPEN, SHUT, UNKNOWN = (
    Eyes(left_open=are_open, right_open=are_open) for are_open in (True, False, None)
)


class Profile(FaceView):
    """A face whose nose is beyond its left eye: the mesh of a head turned away."""

    def mesh(self, network: FaceMesh) -> Mesh:
        seen = super().mesh(network)
        points = seen.points.copy()
        points[NOSE_TIP] = points[LEFT_EYE[0]] + 5
        return Mesh(points, seen.presence)


class FaceModel(Protocol):
    """A model that answers once for each face."""

    def __call__(self, faces: Sequence[FaceView]) -> Sequence[Smile | Eyes]: ...


@pytest.fixture(scope="module", params=[name for task, name in FILES if task is TaskName.SMILE])
def rate(request: pytest.FixtureRequest, models: ModelCache) -> SmileRater:
    return cast("SmileRater", models.for_stage({TaskName.SMILE: request.param}, {})[TaskName.SMILE])


@pytest.fixture(scope="module", params=[name for task, name in FILES if task is TaskName.EYES])
def read(request: pytest.FixtureRequest, models: ModelCache) -> EyeReader:
    return cast("EyeReader", models.for_stage({TaskName.EYES: request.param}, {})[TaskName.EYES])


@pytest.fixture(
    scope="module",
    params=[file for file in FILES if file[0] in {TaskName.SMILE, TaskName.EYES}],
    ids=lambda found: f"{found[0]}.{found[1]}",
)
def look(request: pytest.FixtureRequest, models: ModelCache) -> FaceModel:
    task, name = request.param
    return cast("FaceModel", models.for_stage({task: name}, {})[task])


@pytest.fixture(scope="module")
def haar(weights_folder: Path) -> haar_eyes.HaarEyes:
    return haar_eyes.load(weights_folder)


@pytest.fixture
def portrait(astronaut: Srgb8) -> Srgb8:
    """The astronaut at twice the size: large enough for every reader of eyes."""
    return np.asarray(cv2.resize(astronaut, None, fx=2, fy=2), dtype=np.uint8)


@pytest.mark.parametrize("name", [name for task, name in FILES if task is TaskName.SMILE])
def test_model_reads_emotions_only_as_its_card_says(
    models: ModelCache, name: str, portrait: Srgb8
) -> None:
    rate = cast("SmileRater", models.for_stage({TaskName.SMILE: name}, {})[TaskName.SMILE])

    (smile,) = rate([FaceView(portrait, PORTRAITS_FACE)])

    assert (smile.emotion is not None) is FILES[TaskName.SMILE, name].CARD.emotions


def test_astronaut_smiles_broadly(rate: SmileRater, astronaut: Srgb8) -> None:
    (smile,) = rate([FaceView(astronaut, ASTRONAUTS_FACE)])

    assert smile.level is SmileLevel.HUGE
    assert smile.score > 0.8


def test_astronaut_has_both_eyes_open(read: EyeReader, portrait: Srgb8) -> None:
    (eyes,) = read([FaceView(portrait, PORTRAITS_FACE)])

    assert eyes == OPEN


def test_hidden_eyes_are_unknown(read: EyeReader, portrait: Srgb8, astronaut: Srgb8) -> None:
    tiny = np.ascontiguousarray(astronaut[::8, ::8])
    glasses = portrait.copy()
    for x, y in PORTRAITS_FACE.landmarks[:2]:
        cv2.ellipse(glasses, (round(x), round(y) + 6), (38, 32), 0, 0, 360, (15, 15, 18), -1)
    mouth = np.ascontiguousarray(astronaut[115:])

    eyes = {
        "of a few pixels": FaceView(tiny, scale_face(ASTRONAUTS_FACE, x=1 / 8, y=1 / 8)),
        "behind dark glasses": FaceView(glasses, PORTRAITS_FACE),
        "in a profile": Profile(portrait, PORTRAITS_FACE),
        "beyond the edge": FaceView(mouth, _lower(ASTRONAUTS_FACE, -115)),
    }

    assert {name: read([view])[0] for name, view in eyes.items()} == dict.fromkeys(eyes, UNKNOWN)


@pytest.mark.parametrize("size", ODD_SIZES, ids=str)
def test_face_in_any_picture_is_answered_in_range(look: FaceModel, size: tuple[int, int]) -> None:
    height, width = size

    (answer,) = look([FaceView(noise(height, width), _filling(width, height))])

    if isinstance(answer, Smile):
        assert 0 <= answer.score <= 1
        assert isinstance(answer.level, SmileLevel)
    else:
        assert {answer.left_open, answer.right_open} <= {True, False, None}


def test_each_face_has_an_answer_even_without_size(look: FaceModel, astronaut: Srgb8) -> None:
    point = Face(box=(9.0, 9.0, 0.0, 0.0), score=0.5, landmarks=((9.0, 9.0),) * 5)

    assert list(look([])) == []
    assert len(look([FaceView(astronaut, point)])) == 1


def test_answers_have_the_order_of_the_faces(look: FaceModel, astronaut: Srgb8) -> None:
    noisy = FaceView(noise(200, 200), _filling(200, 200))
    hers = FaceView(astronaut, ASTRONAUTS_FACE)

    together = look([noisy, hers])

    assert list(together) == [*look([noisy]), *look([hers])]


def test_four_threads_give_the_same(look: FaceModel, astronaut: Srgb8) -> None:
    alone = list(look([FaceView(astronaut, ASTRONAUTS_FACE)]))

    answers = run_in_threads(4, lambda: list(look([FaceView(astronaut, ASTRONAUTS_FACE)] * 3)))

    assert answers == [alone * 3] * 4


def test_cascades_report_a_covered_eye_as_shut(haar: haar_eyes.HaarEyes, portrait: Srgb8) -> None:
    x, y = (round(side) for side in PORTRAITS_FACE.landmarks[0])
    cv2.ellipse(portrait, (x, y), (34, 22), 0, 0, 360, SKIN, -1)

    (eyes,) = haar([FaceView(portrait, PORTRAITS_FACE)], parameters=haar_eyes.CARD.completed({}))

    assert eyes == Eyes(left_open=True, right_open=False)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"cascade": "eye"}, OPEN),
        ({"cascade": "eye_tree_eyeglasses"}, OPEN),
        ({"least_px": 90}, UNKNOWN),
        ({"neighbors": 50, "scale_factor": 1.5}, SHUT),
    ],
    ids=str,
)
def test_parameters_of_the_cascades_decide_which_eyes_are_found(
    haar: haar_eyes.HaarEyes, portrait: Srgb8, given: dict[str, Scalar], expected: Eyes
) -> None:
    parameters = haar_eyes.CARD.completed(given)

    (eyes,) = haar([FaceView(portrait, PORTRAITS_FACE)], parameters=parameters)

    assert eyes == expected


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
