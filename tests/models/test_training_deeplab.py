"""DeepLabV3+ trained for some seconds on drawn persons: the loop, and its result."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from smart_filter_shared.errors import SetupFailed
from smart_filter_tests.annotated_pictures import write_folder
from smart_filter_training.annotations import pictures
from smart_filter_training.models.deeplab import train as deeplab
from smart_filter_training.models.deeplab.train import PERSON, Configuration, Data, Network
from smart_filter_training.run_record import RunRecord

pytestmark = pytest.mark.timeout(300)

SMALL = Configuration(
    iterations=40,
    batch_size=4,
    learning_rate=0.05,
    checkpoint_every=5,
    width=8,
    blocks=1,
    channels=16,
    crop=64,
)


class Killed(Exception):
    """Ends a run in these tests."""


class Fragile(RunRecord):
    """A record whose run is killed when it notes an iteration."""

    killed_at = 10

    def scalar(self, name: str, value: float, step: int) -> None:
        """Write nothing, and end the run."""
        del name, value
        if step == self.killed_at:
            raise Killed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # OpenMP threads wait by spinning: next to other tests that takes three times as long.
    torch.set_num_threads(1)
    return write_folder(tmp_path_factory.mktemp("deeplab") / "data", train=24, validation=8)


@pytest.fixture(scope="module")
def persons(folder: Path) -> Data:
    return deeplab.read_folder(folder, SMALL)


@pytest.fixture(scope="module")
def trained(persons: Data, tmp_path_factory: pytest.TempPathFactory) -> Network:
    return deeplab.train(persons, SMALL, RunRecord(tmp_path_factory.mktemp("run"), {}))


def test_persons_are_learned(trained: Network, persons: Data) -> None:
    before = Network(deeplab.build_network(SMALL).eval(), SMALL)

    learned = deeplab.compute_figures(trained, persons)["iou"]

    assert learned.low > 0.7
    assert deeplab.compute_figures(before, persons)["iou"].high < learned.low


def test_exported_file_runs_in_the_product_with_the_same_quality(
    trained: Network, persons: Data, tmp_path: Path
) -> None:
    known = tmp_path / "known"
    for name in ("images", "masks"):
        (known / name).mkdir(parents=True)
    for picture in persons.validation:
        classes = deeplab.draw_classes(picture, persons.labels)
        Image.fromarray(pictures.load(picture)).save(known / "images" / picture.path.name)
        Image.fromarray(np.where(classes == PERSON, 255, 0).astype(np.uint8)).save(
            known / "masks" / picture.path.name
        )

    exported = deeplab.export(trained, persons, tmp_path / "run")
    measured = deeplab.measure(exported.file, known)

    assert exported.parity <= 1e-3
    assert measured["iou"].value > deeplab.compute_figures(trained, persons)["iou"].value - 0.03
    assert json.loads(exported.file.with_suffix(".json").read_text())["width"] == SMALL.crop


def test_killed_run_ends_like_an_uninterrupted_one(persons: Data, tmp_path: Path) -> None:
    config = replace(SMALL, iterations=12)
    whole = deeplab.train(persons, config, RunRecord(tmp_path / "whole", {}))

    with pytest.raises(Killed):
        deeplab.train(persons, config, Fragile(tmp_path / "killed", {}))
    kept = [path.name for path in (tmp_path / "killed" / "checkpoint").iterdir()]
    resumed = deeplab.train(persons, config, RunRecord(tmp_path / "killed", {}))

    assert kept == ["step-00000005"]
    for name, value in whole.module.state_dict().items():
        assert torch.equal(value, resumed.module.state_dict()[name]), name


def test_checkpoint_that_is_damaged_or_holds_code_is_refused(persons: Data, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint" / "step-00000001"
    checkpoint.parent.mkdir()
    torch.save({"module": Path("program")}, checkpoint)

    for content in (checkpoint.read_bytes(), b"", b"no checkpoint", b"PK\x03\x04"):
        checkpoint.write_bytes(content)
        with pytest.raises(SetupFailed, match="not a checkpoint"):
            deeplab.train(persons, SMALL, RunRecord(tmp_path, {}))
