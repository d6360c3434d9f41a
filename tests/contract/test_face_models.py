"""Every model that finds faces: the detectors of `face`, and the light ones of `prepare`."""

import shutil
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from smart_filter_shared.catalog.scalars import Scalar
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.results import Face
from smart_filter_tests.pictures import ODD_SIZES, noise
from smart_filter_tests.threads import run_in_threads
from smart_filter_workers.models import catalog
from smart_filter_workers.models.cache import ModelCache
from smart_filter_workers.networks.faces.centerface import CenterFace
from smart_filter_workers.networks.runtimes import onnx_network
from smart_filter_workers.networks.runtimes.cascades import Cascade
from smart_filter_workers.results import Srgb8
from smart_filter_workers.stages.face.models import haar, res10
from smart_filter_workers.stages.face.models.base import FaceDetector

# Models that need only the two weights packages, with default parameters.
FOUND = [
    (card.task, card.name)
    for card in catalog.discover_models().cards
    if card.task in {TaskName.FACE, TaskName.PREPARE} and card.everywhere
]
# Pixels: a batch may add in another order than a single picture.
TOLERANCE_PX = 0.1
ROUNDING_PX = 1e-6


@pytest.fixture(scope="module", params=FOUND, ids=lambda found: f"{found[0]}.{found[1]}")
def detect(request: pytest.FixtureRequest, models: ModelCache) -> FaceDetector:
    task, name = request.param
    return cast("FaceDetector", models.for_stage({task: name}, {})[task])


def test_face_is_found_at_its_place(detect: FaceDetector, astronaut: Srgb8) -> None:
    ((face,),) = detect([astronaut])

    left, top, width, height = face.box
    # BlazeFace draws squares, which are wider than a face.
    assert (left, top) == pytest.approx((182, 58), abs=16)
    assert (left + width, top + height) == pytest.approx((270, 178), abs=16)
    # The person's own right and left.
    landmarks = ((203, 102), (247, 104), (223, 125), (203, 142), (241, 144))
    assert np.allclose(face.landmarks, landmarks, atol=6)


def test_no_picture_and_no_face_give_no_answer(detect: FaceDetector) -> None:
    wall = np.full((300, 400, 3), 128, np.uint8)

    assert list(detect([])) == []
    assert list(detect([wall])) == [()]


@pytest.mark.parametrize("size", ODD_SIZES, ids=str)
def test_any_size_is_answered_within_the_picture(
    detect: FaceDetector, size: tuple[int, int]
) -> None:
    height, width = size

    (faces,) = detect([noise(height, width)])

    assert all(0 <= face.score <= 1 for face in faces)
    for face in faces:
        left, top, face_width, face_height = face.box
        assert min(left, top) >= 0
        assert left + face_width <= width + ROUNDING_PX
        assert top + face_height <= height + ROUNDING_PX


def test_batch_finds_what_one_by_one_finds(detect: FaceDetector, astronaut: Srgb8) -> None:
    pictures = [astronaut, noise(120, 80), np.ascontiguousarray(astronaut[:, ::-1])]

    together = detect(pictures)

    for picture, faces in zip(pictures, together, strict=True):
        (alone,) = detect([picture])
        assert len(faces) == len(alone)
        for face, other in zip(faces, alone, strict=True):
            assert np.allclose(face.box, other.box, atol=TOLERANCE_PX)
            assert np.allclose(face.landmarks, other.landmarks, atol=TOLERANCE_PX)


def test_four_threads_find_the_same(detect: FaceDetector, astronaut: Srgb8) -> None:
    alone = detect([astronaut])

    answers = run_in_threads(4, lambda: [detect([astronaut]) for _ in range(3)])

    assert answers == [[alone] * 3] * 4


def test_models_that_look_for_faces_share_one_network(
    weights_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "weights"  # no other test has opened this one
    shutil.copytree(weights_folder, folder)
    opened: list[object] = []
    onnxruntime = onnx_network.load_library()
    session = onnxruntime.InferenceSession

    def counting(*args: object, **options: object) -> object:
        opened.append(args)
        return session(*args, **options)

    monkeypatch.setattr(onnxruntime, "InferenceSession", counting)

    kept = [CenterFace(folder, longest_side_px=side, threshold=0.5) for side in (320, 640)]
    assert len(opened) == 1

    kept.clear()
    CenterFace(folder, longest_side_px=320, threshold=0.5)
    assert len(opened) == 2, "the first went with those who used it"


# A network in Caffe's format whose one face has its input's first channel as score, by 255.
BLUE_FIRST = """
input: "data"  input_dim: 1  input_dim: 3  input_dim: 300  input_dim: 300
layer { name: "mean" type: "Pooling" bottom: "data" top: "mean"
        pooling_param { pool: AVE global_pooling: true } }
layer { name: "parts" type: "Slice" bottom: "mean" top: "blue" top: "others"
        slice_param { axis: 1 slice_point: 1 } }
layer { name: "score" type: "Power" bottom: "blue" top: "score"
        power_param { scale: 0.003921569 } }
%s
layer { name: "row" type: "Concat" bottom: "picture" bottom: "class" bottom: "score"
        bottom: "x1" bottom: "y1" bottom: "x2" bottom: "y2" top: "row"
        concat_param { axis: 1 } }
layer { name: "rows" type: "Reshape" bottom: "row" top: "rows"
        reshape_param { shape { dim: 1 dim: 1 dim: 1 dim: 7 } } }
"""
BLUE = np.full((40, 80, 3), (10, 20, 250), np.uint8)
PLANTED = {"picture": 0, "class": 1, "x1": 0.1, "y1": 0.2, "x2": 0.5, "y2": 0.8}
CONSTANT = """layer { name: "%s" type: "Power" bottom: "blue" top: "%s"
        power_param { scale: 0 shift: %s } }"""


@pytest.fixture
def blue_channel_model(tmp_path: Path) -> res10.Res10:
    """A model with files written by this test: layers without weights, and no weights."""
    constants = "\n".join(CONSTANT % (name, name, value) for name, value in PLANTED.items())
    (tmp_path / res10.LAYERS.name).write_text(BLUE_FIRST % constants, encoding="utf-8")
    # A NetParameter with a name, as protobuf writes it.
    (tmp_path / res10.WEIGHTS.name).write_bytes(b"\x0a\x01a")
    return res10.load(tmp_path)


@pytest.fixture(scope="module")
def cascade(weights_folder: Path) -> haar.Haar:
    return haar.load(weights_folder)


def by_haar(cascade: haar.Haar, picture: Srgb8, **given: Scalar) -> tuple[Face, ...]:
    (faces,) = cascade([picture], parameters=haar.CARD.completed(given))
    return faces


def test_two_faces_side_by_side_are_found_by_haar(cascade: haar.Haar, astronaut: Srgb8) -> None:
    two = np.hstack([astronaut, astronaut])

    faces = by_haar(cascade, two)

    assert sorted(round(face.box[0] / 512) for face in faces) == [0, 1]


@pytest.mark.parametrize(
    ("given", "count"),
    [
        ({"least_share": 0.15}, 1),
        ({"least_share": 0.25}, 0),
        ({"neighbors": 50, "scale_factor": 1.3}, 0),
    ],
    ids=str,
)
def test_parameters_of_haar_decide_whether_the_face_is_found(
    cascade: haar.Haar, astronaut: Srgb8, given: dict[str, Scalar], count: int
) -> None:
    assert len(by_haar(cascade, astronaut, **given)) == count


def test_face_that_the_mesh_rejects_is_left_out(cascade: haar.Haar, astronaut: Srgb8) -> None:
    faces = by_haar(cascade, astronaut, neighbors=1, threshold=0.0)

    kept = by_haar(cascade, astronaut, neighbors=1)

    assert len(kept) == 1
    assert set(kept) == {face for face in faces if face.score >= 0.5}


def test_cascade_missing_in_this_opencv_is_named_with_the_remedy() -> None:
    with pytest.raises(SetupFailed, match=r"haarcascade_unicorn\.xml is missing: install opencv"):
        Cascade("haarcascade_unicorn")


def test_res10_reads_caffe_files_with_blue_as_the_first_channel(
    blue_channel_model: res10.Res10,
) -> None:
    red = np.ascontiguousarray(BLUE[:, :, ::-1])

    of_blue, of_red = blue_channel_model([BLUE, red], parameters=res10.CARD.completed({}))

    assert of_red == ()
    (face,) = of_blue
    # The network's score is its first channel minus the mean of blue, divided by 255.
    assert face.score == pytest.approx((250 - 104) / 255, abs=1e-3)
    # Corners become width and height.
    assert face.box == pytest.approx((8, 8, 32, 24), abs=1e-3)
    right_eye, left_eye, *_ = face.landmarks
    assert 8 < right_eye[0] < left_eye[0] < 40


def test_rows_of_res10_become_faces_best_first_cut_at_the_edges() -> None:
    rows = np.array(
        [
            [0, 1, 0.6, 0.5, 0.5, 1.2, 1.1],
            [0, 1, 0.9, -0.1, 0.0, 0.25, 0.5],
            [0, 0, 0.99, 0.1, 0.1, 0.2, 0.2],
            [0, 1, 0.7, 0.4, 0.4, 0.4, 0.9],
            [0, 1, 0.4, 0.1, 0.1, 0.2, 0.2],
        ],
        np.float32,
    )

    faces = list(res10.decode_faces(rows[None, None], width=200, height=100, threshold=0.5))

    assert [face.box for face in faces] == [(0.0, 0.0, 50.0, 50.0), (100.0, 50.0, 100.0, 50.0)]
