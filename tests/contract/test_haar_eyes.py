"""The eye reader of OpenCV's cascades: what it calls shut, and what its parameters change."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from smart_filter_shared.parameters import Scalar
from smart_filter_workers.networks.coordinates import scaled
from smart_filter_workers.networks.face_mesh import FaceView
from smart_filter_workers.results import Eyes, Face, Srgb8
from smart_filter_workers.stages.smile.models import haar_eyes

# The astronaut's, in the sample photo at twice its size.
FACE = scaled(
    Face(
        box=(181.5, 58.2, 88.4, 119.6),
        score=0.93,
        landmarks=((203.2, 101.7), (247.0, 104.5), (223.3, 125.1), (203.4, 142.3), (241.3, 144.4)),
    ),
    x=2,
    y=2,
)
SKIN = (205, 150, 130)


@pytest.fixture(scope="module")
def reader(weights_folder: Path) -> haar_eyes.HaarEyes:
    return haar_eyes.load(weights_folder)


@pytest.fixture
def portrait(astronaut: Srgb8) -> Srgb8:
    return np.asarray(cv2.resize(astronaut, None, fx=2, fy=2), dtype=np.uint8)


def read(reader: haar_eyes.HaarEyes, picture: Srgb8, **given: Scalar) -> Eyes:
    (eyes,) = reader([FaceView(picture, FACE)], parameters=haar_eyes.CARD.completed(given))
    return eyes


def test_eye_that_is_not_found_is_shut(reader: haar_eyes.HaarEyes, portrait: Srgb8) -> None:
    x, y = (round(side) for side in FACE.landmarks[0])
    cv2.ellipse(portrait, (x, y), (34, 22), 0, 0, 360, SKIN, -1)

    eyes = read(reader, portrait)

    assert eyes == Eyes(left_open=True, right_open=False)


def test_eye_below_the_least_width_is_unknown(reader: haar_eyes.HaarEyes, portrait: Srgb8) -> None:
    assert read(reader, portrait, least_px=90) == Eyes(left_open=None, right_open=None)


@pytest.mark.parametrize("cascade", ["eye", "eye_tree_eyeglasses"])
def test_each_cascade_finds_open_eyes(
    reader: haar_eyes.HaarEyes, portrait: Srgb8, cascade: str
) -> None:
    assert read(reader, portrait, cascade=cascade) == Eyes(left_open=True, right_open=True)


def test_more_neighbours_than_windows_find_no_eye(
    reader: haar_eyes.HaarEyes, portrait: Srgb8
) -> None:
    eyes = read(reader, portrait, neighbours=50, scale_factor=1.5)

    assert eyes == Eyes(left_open=False, right_open=False)
