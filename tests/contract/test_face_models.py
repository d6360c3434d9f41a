"""Every model that finds faces: the detectors of `face`, and the light ones of `prepare`."""

import shutil
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from smart_filter_shared.cards import TaskName
from smart_filter_tests.pictures import ODD_SIZES, noise
from smart_filter_tests.threads import at_once
from smart_filter_workers import catalogue, weights
from smart_filter_workers.loaded import LoadedModels
from smart_filter_workers.networks import onnx_runtime
from smart_filter_workers.networks.centerface import CenterFace
from smart_filter_workers.results import Srgb8
from smart_filter_workers.stages.face.models.base import FaceDetector

PACKED = set(weights.brought())
# Those that need nothing beside the two packages of weights, as recipes leave them.
FOUND = [
    (card.task, card.name)
    for card in catalogue.find().cards
    if card.task in {TaskName.FACE, TaskName.PREPARE} and card.everywhere
    if PACKED.issuperset(card.weights)
]
# Pixels: a batch may be computed in another order of additions than one picture alone.
TOLERANCE_PX = 0.1
ROUNDING_PX = 1e-6


@pytest.fixture(scope="module", params=FOUND, ids=lambda found: f"{found[0]}.{found[1]}")
def detect(request: pytest.FixtureRequest, models: LoadedModels) -> FaceDetector:
    task, name = request.param
    return cast("FaceDetector", models.of({task: name}, {})[task])


def test_face_is_found_where_it_is(detect: FaceDetector, astronaut: Srgb8) -> None:
    ((face,),) = detect([astronaut])

    left, top, width, height = face.box
    assert (left, top) == pytest.approx((182, 58), abs=12)
    assert (left + width, top + height) == pytest.approx((270, 178), abs=12)
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


def test_face_of_an_enlarged_picture_is_found_in_its_pixels(
    detect: FaceDetector, astronaut: Srgb8
) -> None:
    large = np.ascontiguousarray(astronaut.repeat(3, axis=0).repeat(3, axis=1))

    ((face,),) = detect([large])

    assert face.box[0] == pytest.approx(3 * 182, abs=36)


def test_batch_finds_what_one_by_one_finds(detect: FaceDetector, astronaut: Srgb8) -> None:
    pictures = [astronaut, noise(120, 80), np.ascontiguousarray(astronaut[:, ::-1])]

    together = detect(pictures)

    for picture, faces in zip(pictures, together, strict=True):
        (alone,) = detect([picture])
        assert len(faces) == len(alone)
        for one, other in zip(faces, alone, strict=True):
            assert np.allclose(one.box, other.box, atol=TOLERANCE_PX)
            assert np.allclose(one.landmarks, other.landmarks, atol=TOLERANCE_PX)


def test_four_threads_find_the_same(detect: FaceDetector, astronaut: Srgb8) -> None:
    alone = detect([astronaut])

    found = at_once(4, lambda: [detect([astronaut]) for _ in range(3)])

    assert found == [[alone] * 3] * 4


def test_models_that_look_for_faces_share_one_network(
    weights_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "weights"  # no other test has opened this one
    shutil.copytree(weights_folder, folder)
    opened: list[object] = []
    onnxruntime = onnx_runtime.load()
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
