"""The face detectors of OpenCV: what their parameters change, and how their files are read."""

from pathlib import Path

import numpy as np
import pytest

from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.parameters import Scalar
from smart_filter_workers.networks.cascades import Cascade
from smart_filter_workers.results import Face, Srgb8
from smart_filter_workers.stages.face.models import haar


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


def test_face_below_the_least_share_is_not_looked_for(cascade: haar.Haar, astronaut: Srgb8) -> None:
    assert len(by_haar(cascade, astronaut, least_share=0.15)) == 1
    assert by_haar(cascade, astronaut, least_share=0.25) == ()


def test_more_neighbours_than_windows_find_nothing(cascade: haar.Haar, astronaut: Srgb8) -> None:
    assert by_haar(cascade, astronaut, neighbours=50, scale_factor=1.3) == ()


def test_what_the_mesh_does_not_take_for_a_face_is_left_out(
    cascade: haar.Haar, astronaut: Srgb8
) -> None:
    found = by_haar(cascade, astronaut, neighbours=1, threshold=0.0)

    kept = by_haar(cascade, astronaut, neighbours=1)

    assert len(kept) == 1
    assert set(kept) == {face for face in found if face.score >= 0.5}


def test_face_on_its_side_is_not_seen_by_haar(cascade: haar.Haar, astronaut: Srgb8) -> None:
    assert by_haar(cascade, np.ascontiguousarray(np.rot90(astronaut))) == ()


def test_cascade_that_this_opencv_lacks_is_named_with_the_remedy() -> None:
    with pytest.raises(SetupFailed, match=r"haarcascade_unicorn\.xml is missing: install opencv"):
        Cascade("haarcascade_unicorn")
