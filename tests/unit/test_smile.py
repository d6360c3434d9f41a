import numpy as np
import pytest
from numpy.typing import NDArray

from smart_filter_shared.rating import SmileLevel
from smart_filter_tests.pictures import noise, prepared
from smart_filter_workers.networks.face_mesh import FaceView
from smart_filter_workers.results import Eyes, Face, Faces, Smile
from smart_filter_workers.stages.smile import stage
from smart_filter_workers.stages.smile.models.eyelids import openness, verdict
from smart_filter_workers.stages.smile.models.geometry import happiness, level_of
from smart_filter_workers.stages.smile.stage import Inputs

# Points of the mesh that the formula reads, on a straight face 1 unit between the outer eyes.
STRAIGHT = {
    33: (0.0, 0.0),
    263: (1.0, 0.0),
    61: (0.24, 0.8),
    291: (0.76, 0.8),
    13: (0.5, 0.8),
    14: (0.5, 0.81),
    0: (0.5, 0.73),
    2: (0.5, 0.57),
}
SMILING = {**STRAIGHT, 61: (0.15, 0.73), 291: (0.85, 0.73), 0: (0.5, 0.7)}


def points(shape: dict[int, tuple[float, float]]) -> NDArray[np.float32]:
    mesh = np.zeros((468, 2), np.float32)
    for index, point in shape.items():
        mesh[index] = point
    return mesh


def contour(gap: float) -> NDArray[np.float32]:
    """Return an eye 1 unit long whose lids are `gap` apart."""
    along = np.linspace(0, 1, 9)
    lower = np.stack([along, np.full(9, gap / 2)], axis=1)
    lower[[0, 8], 1] = 0
    upper = np.stack([along[1:8], np.full(7, -gap / 2)], axis=1)
    return np.concatenate([lower, upper, np.zeros((55, 2))]).astype(np.float32)


def test_smiling_mouth_scores_high_and_a_straight_one_low() -> None:
    assert happiness(points(SMILING)) > 0.8
    assert happiness(points(STRAIGHT)) < 0.2


def test_score_does_not_depend_on_size_place_or_turn_of_the_face() -> None:
    turn = np.deg2rad(30)
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    moved = (points(SMILING) @ matrix * 70 + (300, 200)).astype(np.float32)

    assert happiness(moved) == pytest.approx(happiness(points(SMILING)), abs=1e-3)


def test_open_mouth_lowers_the_score() -> None:
    surprised = {**STRAIGHT, 13: (0.5, 0.7), 14: (0.5, 0.91)}

    assert happiness(points(surprised)) < happiness(points(STRAIGHT))


def test_points_that_fall_together_have_a_score() -> None:
    assert 0 <= happiness(np.zeros((468, 2), np.float32)) <= 1


@pytest.mark.parametrize(
    ("score", "level"),
    [
        (0.0, SmileLevel.NONE),
        (0.349, SmileLevel.NONE),
        (0.35, SmileLevel.MILD),
        (0.5, SmileLevel.MODERATE),
        (0.65, SmileLevel.HUGE),
        (1.0, SmileLevel.HUGE),
    ],
)
def test_level_is_cut_from_the_score(score: float, level: SmileLevel) -> None:
    assert level_of(score) is level


def test_openness_is_the_gap_of_the_lids_over_the_length_of_the_eye() -> None:
    assert openness(contour(0.25) * 40) == pytest.approx(0.25, abs=1e-5)


def test_eye_without_length_has_an_openness() -> None:
    assert openness(np.zeros((71, 2), np.float32)) == 0


def test_eye_is_open_shut_or_not_told() -> None:
    assert [verdict(gap) for gap in (0.05, 0.16, 0.25)] == [False, None, True]


def test_each_face_gets_its_own_smile_and_eyes_in_order() -> None:
    batch = [_inputs(lefts=(1, 2)), _inputs(lefts=()), _inputs(lefts=(3,))]

    first, second, third = stage.run(
        {
            "smile": lambda views: [
                Smile(SmileLevel.NONE, view.face.box[0] / 10) for view in views
            ],
            "eyes": lambda views: [Eyes(view.face.box[0] == 2, None) for view in views],
        },
        batch,
    )

    assert [smile.score for smile in first.smiles] == [0.1, 0.2]
    assert [eyes.left_open for eyes in first.eyes] == [False, True]
    assert (second.smiles, second.eyes) == ((), ())
    assert [smile.score for smile in third.smiles] == [0.3]


def test_faces_are_looked_at_in_pixels_of_the_proxy() -> None:
    (result,) = stage.run(
        {
            "smile": lambda views: [Smile(SmileLevel.NONE, left_of(view) / 100) for view in views],
            "eyes": lambda views: [Eyes(None, None) for _ in views],
        },
        [_inputs(lefts=(100,), width=2048)],
    )

    assert result.smiles[0].score == 0.5


def left_of(view: FaceView) -> float:
    return view.face.box[0]


def _inputs(*, lefts: tuple[int, ...], width: int = 64) -> Inputs:
    eye = (5.0, 5.0)
    faces = (
        Face(box=(float(left), 0.0, 8.0, 8.0), score=0.9, landmarks=(eye, eye, eye, eye, eye))
        for left in lefts
    )
    return Inputs(prepared(noise(32, width)), Faces(tuple(faces)))
