"""Detectors' training, as far as it needs neither torch nor detectron2."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from smart_filter_shared.errors import SetupFailed
from smart_filter_tests.annotated import FACE_SRGB, folder_of
from smart_filter_training import recipes
from smart_filter_training.annotations import splits
from smart_filter_training.annotations.splits import Splits
from smart_filter_training.detectors import batches, configuration
from smart_filter_training.detectors.batches import Batches
from smart_filter_training.detectors.configuration import Configuration
from smart_filter_workers.networks.detectron2 import documents, keys

SMALL = Configuration(batch_size=3, short_side=64, long_side=96)


@pytest.fixture
def faces(tmp_path: Path) -> Splits:
    folder = folder_of(tmp_path / "data", train=4, validation=1)
    return splits.read(folder, SMALL.where("face"))


def of(faces: Splits, told: Configuration = SMALL, start: int = 0) -> Batches:
    return Batches(faces.train, faces.labels, told, order="RGB", masks=False, start=start)


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("weights", ["", "start.pkl"])
@pytest.mark.parametrize("architecture", ["faster_rcnn", "mask_rcnn", "retinanet"])
def test_network_is_one_that_the_product_lets_in(
    architecture: str, weights: str, depth: int
) -> None:
    told = configuration.text(Configuration(depth=depth, weights=weights), architecture, 1)

    document = documents.parsed(told, "made here")

    keys.check(document, "made here")
    assert not set(document) & set(documents.OF_TRAINING)


def test_unknown_architecture_is_one_line() -> None:
    with pytest.raises(SetupFailed, match="'yolo' is no architecture that is trained here"):
        configuration.text(Configuration(), "yolo", 1)


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ("seed=-1", "expected a number 0 or more"),
        ("iterations=0", "expected a number above 0"),
        ("batch_size=-3", "expected a number above 0"),
        ("learning_rate=0", "expected a number above 0"),
        ("learning_rate=nan", "expected a number above 0"),
        ("clip=-1", "expected a number 0 or more"),
        ("freeze=-2", "expected a number -1 or more"),
        ("short_side=1", "set at least 32"),
    ],
)
@pytest.mark.parametrize("model", ["detectron2_faces", "detectron2_persons"])
def test_wrong_setting_is_named_with_its_bound(model: str, setting: str, why: str) -> None:
    name, _, value = setting.partition("=")

    with pytest.raises(SetupFailed, match=f"{name}(={value}:| is {value}:) {why}"):
        recipes.find_one(model).configuration([setting])


def test_random_backbone_is_never_frozen_by_default() -> None:
    pretrained = Configuration(weights="start.pkl")

    frozen = [
        one.frozen_stages
        for one in (
            *(Configuration(), Configuration(freeze=3), pretrained),
            dataclasses.replace(pretrained, freeze=0),
        )
    ]

    assert frozen == [0, 3, 2, 0]


@pytest.mark.parametrize("mirrored", [False, True])
def test_boxes_stay_on_what_they_mark(faces: Splits, mirrored: bool) -> None:  # noqa: FBT001 - a case
    found = batches.example(
        faces.train[0],
        faces.labels,
        short_side_px=48,
        long_side_px=64,
        mirrored=mirrored,
        masks=False,
    )

    assert found.srgb.shape == (48, 64, 3)
    for left, top, right, bottom in found.boxes:
        middle = found.srgb[int((top + bottom) / 2), int((left + right) / 2)].astype(np.int64)
        assert np.abs(middle - FACE_SRGB).max() < 3


def test_batch_depends_on_the_seed_and_its_number_alone(faces: Splits) -> None:
    other_seed = dataclasses.replace(SMALL, seed=1)

    first, again, other = (
        [(one.srgb.tobytes(), one.boxes.tobytes()) for one in examples]
        for examples in (
            of(faces).examples(5),
            of(faces, start=2).examples(5),
            of(faces, other_seed).examples(5),
        )
    )

    assert first == again
    assert first != other
