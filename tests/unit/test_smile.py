import numpy as np
import pytest
from numpy.typing import NDArray

from smart_filter_shared.rating import SmileLevel
from smart_filter_tests.pictures import noise, prepared
from smart_filter_workers.networks.eye_contours import EyeContour
from smart_filter_workers.networks.face_mesh import LEFT_EYE, RIGHT_EYE, Mesh
from smart_filter_workers.results import Eyes, Face, Faces, Smile, Srgb8
from smart_filter_workers.stages.smile import sight, stage
from smart_filter_workers.stages.smile.models.geometry import level_of
from smart_filter_workers.stages.smile.models.iris import verdict
from smart_filter_workers.stages.smile.sight import Sight
from smart_filter_workers.stages.smile.stage import Inputs


def points(shape: dict[int, tuple[float, float]]) -> NDArray[np.float32]:
    mesh = np.zeros((468, 2), np.float32)
    for index, point in shape.items():
        mesh[index] = point
    return mesh


def eye(lift: float, *, iris: float = 0.35) -> EyeContour:
    """Return an eye 1 unit long whose upper lid stands `lift` above the corners."""
    along = np.linspace(0, 1, 9)
    lower = np.stack([along, np.zeros(9)], axis=1)
    upper = np.stack([along[1:8], np.full(7, -lift)], axis=1)
    sides = [(0, 0), (iris / 2, 0), (0, -iris / 2), (-iris / 2, 0), (0, iris / 2)]
    return EyeContour(
        lids=np.concatenate([lower, upper]).astype(np.float32),
        iris=np.asarray(sides, np.float32) + 0.5,
    )


def a_face(*, nose: float = 60, presence: float = 1.0) -> Mesh:
    """Return a face whose eyes are 20 pixels long, 40 and 80 from the left of the picture."""
    mesh = np.full((468, 2), 60, np.float32)
    mesh[:, 1] = 70
    mesh[list(RIGHT_EYE)] = (30, 50), (50, 50)
    mesh[list(LEFT_EYE)] = (90, 50), (70, 50)
    mesh[list(sight.BELOW_RIGHT_EYE)], mesh[list(sight.BELOW_LEFT_EYE)] = (40, 55), (80, 55)
    mesh[list(sight.RIGHT_CHEEK)], mesh[list(sight.LEFT_CHEEK)] = (40, 75), (80, 75)
    mesh[sight.NOSE_TIP] = (nose, 70)
    mesh[10], mesh[152] = (60, 20), (60, 100)
    return Mesh(mesh, presence)


def shifted(mesh: Mesh, right_px: float) -> Mesh:
    return Mesh(mesh.points + np.array([right_px, 0], np.float32), mesh.presence)


def skin() -> Srgb8:
    return np.full((120, 120, 3), (200, 160, 140), np.uint8)


def test_level_is_cut_from_the_score() -> None:
    levels = [level_of(score) for score in (0.0, 0.349, 0.35, 0.5, 0.65, 1.0)]

    assert levels == "none none mild moderate huge huge".split()


@pytest.mark.parametrize(
    ("in_the_dark", "likelihoods", "verdicts"),
    [(False, (0.1, 0.45, 0.9), [False, None, True]), (True, (0.0, 0.9, 0.999), [None, None, True])],
)
def test_eye_is_open_shut_or_unknown_and_in_the_dark_never_shut(
    likelihoods: tuple[float, ...], verdicts: list[bool | None], *, in_the_dark: bool
) -> None:
    assert [verdict(likely, in_the_dark=in_the_dark) for likely in likelihoods] == verdicts


TURNED = a_face()
TURNED.points[LEFT_EYE[0]] = (79, 50)


@pytest.mark.parametrize(
    ("srgb", "face", "right", "left"),
    [
        (skin(), a_face(), True, True),
        (skin(), a_face(presence=0.4), False, False),
        (skin(), a_face(nose=29), False, False),
        (skin(), a_face(nose=91), False, False),
        (skin(), TURNED, True, False),
        (np.ascontiguousarray(skin()[:, 35:]), shifted(a_face(), -35), False, True),
    ],
    ids=["bare", "no face", "profile", "other profile", "turned", "beyond the edge"],
)
def test_eyes_that_show_can_be_judged(srgb: Srgb8, face: Mesh, *, right: bool, left: bool) -> None:
    assert sight.sight_of(srgb, face) == Sight(right=right, left=left, dark=False)


MODELS = {
    "smile": lambda views: [Smile(SmileLevel.NONE, view.face.box[0] / 100) for view in views],
    "eyes": lambda views: [Eyes(view.face.box[0] == 2, None) for view in views],
}


def test_each_face_gets_its_own_smile_and_eyes_in_order() -> None:
    batch = [_inputs(lefts=(1, 2)), _inputs(lefts=()), _inputs(lefts=(3,))]

    first, second, third = stage.run(MODELS, batch)

    assert [smile.score for smile in first.smiles] == [0.01, 0.02]
    assert [eyes.left_open for eyes in first.eyes] == [False, True]
    assert (second.smiles, second.eyes) == ((), ())
    assert [smile.score for smile in third.smiles] == [0.03]


def _inputs(*, lefts: tuple[int, ...]) -> Inputs:
    eye = (5.0, 5.0)
    faces = (
        Face(box=(float(left), 0.0, 8.0, 8.0), score=0.9, landmarks=(eye, eye, eye, eye, eye))
        for left in lefts
    )
    return Inputs(prepared(noise(32, 64)), Faces(tuple(faces)))
