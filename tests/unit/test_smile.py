import numpy as np
import pytest
from numpy.typing import NDArray

from smart_filter_shared.rating import SmileLevel
from smart_filter_tests.pictures import noise, prepared
from smart_filter_workers.networks.eye_contours import EyeContour
from smart_filter_workers.networks.face_mesh import LEFT_EYE, RIGHT_EYE, FaceView, Mesh
from smart_filter_workers.results import Eyes, Face, Faces, Smile, Srgb8
from smart_filter_workers.stages.smile import sight, stage
from smart_filter_workers.stages.smile.models.geometry import happiness, level_of
from smart_filter_workers.stages.smile.models.iris import openness, verdict
from smart_filter_workers.stages.smile.sight import Sight
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


def moved(contour: EyeContour, *, degrees: float = 0, size: float = 1) -> EyeContour:
    turn = np.deg2rad(degrees)
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) * size
    lids, iris = (
        (points @ matrix + 20).astype(np.float32) for points in (contour.lids, contour.iris)
    )
    return EyeContour(lids=lids, iris=iris)


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


def skin() -> Srgb8:
    return np.full((120, 120, 3), (200, 160, 140), np.uint8)


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


def test_eye_is_the_opener_the_higher_its_upper_lid() -> None:
    shut, squinting, wide = (openness(eye(lift), eye(lift)) for lift in (0.0, 0.07, 0.15))

    assert shut < 0.01 < squinting < 0.99 < wide


def test_drawings_that_disagree_make_an_eye_less_open() -> None:
    low, high = eye(0.04), eye(0.12)

    assert openness(low, high) < openness(eye(0.08), eye(0.08))


def test_openness_does_not_depend_on_size_place_or_turn_of_the_eye() -> None:
    plain = openness(eye(0.07), eye(0.08))

    turned = openness(moved(eye(0.07), degrees=40, size=31), moved(eye(0.08), degrees=40, size=31))

    assert turned == pytest.approx(plain, abs=1e-3)


def test_eye_without_length_has_an_openness() -> None:
    nothing = EyeContour(lids=np.zeros((16, 2), np.float32), iris=np.zeros((5, 2), np.float32))

    assert 0 <= openness(nothing, nothing) <= 1


def test_eye_is_open_shut_or_not_told() -> None:
    told = [verdict(likely, in_the_dark=False) for likely in (0.1, 0.45, 0.9)]

    assert told == [False, None, True]


def test_eye_in_the_dark_is_never_called_shut() -> None:
    told = [verdict(likely, in_the_dark=True) for likely in (0.0, 0.9, 0.999)]

    assert told == [None, None, True]


def test_eyes_of_a_bare_face_can_be_judged() -> None:
    assert sight.sight_of(skin(), a_face()) == Sight(right=True, left=True, dark=False)


def test_no_eye_can_be_judged_where_there_is_no_face() -> None:
    assert sight.sight_of(skin(), a_face(presence=0.4)) == Sight(
        right=False, left=False, dark=False
    )


@pytest.mark.parametrize("nose", [29, 91])
def test_no_eye_of_a_profile_can_be_judged(nose: float) -> None:
    seen = sight.sight_of(skin(), a_face(nose=nose))

    assert not seen.right
    assert not seen.left


def test_far_eye_of_a_turned_face_cannot_be_judged() -> None:
    face = a_face()
    face.points[LEFT_EYE[0]] = (79, 50)

    seen = sight.sight_of(skin(), face)

    assert (seen.right, seen.left) == (True, False)


def test_eye_beyond_the_edge_of_the_picture_cannot_be_judged() -> None:
    seen = sight.sight_of(np.ascontiguousarray(skin()[:, 35:]), shifted(a_face(), -35))

    assert (seen.right, seen.left) == (False, True)


def test_black_band_over_both_eyes_is_dark_and_over_one_is_not() -> None:
    both, one = skin(), skin()
    both[40:65] = 20
    one[40:65, :60] = 20

    assert sight.sight_of(both, a_face()).dark
    assert not sight.sight_of(one, a_face()).dark


def test_glasses_of_another_colour_are_dark_too() -> None:
    mirrored = skin()
    mirrored[40:65] = (60, 120, 230)

    assert sight.sight_of(mirrored, a_face()).dark


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


def shifted(mesh: Mesh, right_px: float) -> Mesh:
    return Mesh(mesh.points + np.array([right_px, 0], np.float32), mesh.presence)


def left_of(view: FaceView) -> float:
    return view.face.box[0]


def _inputs(*, lefts: tuple[int, ...], width: int = 64) -> Inputs:
    eye = (5.0, 5.0)
    faces = (
        Face(box=(float(left), 0.0, 8.0, 8.0), score=0.9, landmarks=(eye, eye, eye, eye, eye))
        for left in lefts
    )
    return Inputs(prepared(noise(32, width)), Faces(tuple(faces)))
