"""Persons whom faces and bodies miss: found in boxes, by the network as it is converted."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from smart_filter_shared.errors import SetupFailed
from smart_filter_tests.pictures import ODD_SIZES, noise
from smart_filter_workers.networks.pose import MoveNet
from smart_filter_workers.results import Srgb8
from smart_filter_workers.stages.segmentation.people.person_boxes import PersonBoxes
from smart_filter_workers.stages.segmentation.people.persons import PersonFinder

GRAY = 120


@pytest.fixture(scope="module")
def pair(astronaut: Srgb8) -> Srgb8:
    """Two persons in a photo, 480 × 960, with a gap between them."""
    person = cv2.resize(astronaut, (360, 360), interpolation=cv2.INTER_AREA)
    wide = np.full((480, 960, 3), GRAY, np.uint8)
    wide[120:, 40:400] = person
    wide[120:, 560:920] = person[:, ::-1]
    return wide


def test_each_of_two_persons_has_a_box(weights_folder: Path, pair: Srgb8) -> None:
    find = MoveNet(weights_folder, longest_side_px=256, threshold=0.3)

    boxes = sorted(box.box for box in find(pair))

    middles = [(left + right) / 2 for left, _, right, _ in boxes]
    assert len(boxes) == 2
    assert 40 < middles[0] < 400
    assert 560 < middles[1] < 920


def test_boxes_find_the_same_two_persons_only_once(weights_folder: Path, pair: Srgb8) -> None:
    boxes = PersonBoxes(MoveNet(weights_folder, longest_side_px=256, threshold=0.3), pair)

    persons = PersonFinder(weights_folder)(pair, [], boxes)

    assert len(persons) == 2


@pytest.mark.parametrize(("height", "width"), ODD_SIZES)
def test_boxes_are_found_in_pictures_of_any_size(
    weights_folder: Path, height: int, width: int
) -> None:
    find = MoveNet(weights_folder, longest_side_px=256, threshold=0.01)

    for person in find(noise(height, width)):
        left, top, right, bottom = person.box
        assert 0 <= left <= right <= width
        assert 0 <= top <= bottom <= height


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupFailed, match=r"movenet\.onnx"):
        MoveNet(tmp_path, longest_side_px=256, threshold=0.3)
