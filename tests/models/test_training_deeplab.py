"""DeepLabV3+ trained for some seconds on drawn persons: the loop, and what becomes of it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from smart_filter_shared.errors import SetupFailed
from smart_filter_tests.annotated import folder_of
from smart_filter_training import torch_checkpoints
from smart_filter_training.annotations import pictures
from smart_filter_training.models.deeplab import batches, data, evaluate, export, train
from smart_filter_training.models.deeplab.configuration import Configuration
from smart_filter_training.models.deeplab.data import Data
from smart_filter_training.models.deeplab.network import PERSON
from smart_filter_training.models.deeplab.train import Network
from smart_filter_training.record import Record

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
    """What ends a run here."""


class Fragile(Record):
    """A record whose run is killed when it notes an iteration."""

    killed_at = 10

    def scalar(self, name: str, value: float, step: int) -> None:
        """Note nothing, and end the run."""
        del name, value
        if step == self.killed_at:
            raise Killed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Its threads wait by spinning: beside other tests that takes three times as long.
    torch.set_num_threads(1)
    return folder_of(tmp_path_factory.mktemp("deeplab") / "data", train=24, validation=8)


@pytest.fixture(scope="module")
def persons(folder: Path) -> Data:
    return data.read(folder, SMALL)


@pytest.fixture(scope="module")
def trained(persons: Data, tmp_path_factory: pytest.TempPathFactory) -> Network:
    return train.train(persons, SMALL, Record(tmp_path_factory.mktemp("run"), {}))


def test_persons_are_learnt(trained: Network, persons: Data) -> None:
    before = Network(train.untrained(SMALL).eval(), SMALL)

    learnt = evaluate.figures(trained, persons)["iou"]

    assert learnt.low > 0.7
    assert evaluate.figures(before, persons)["iou"].high < learnt.low


def test_exported_file_is_what_the_product_runs_as_well(
    trained: Network, persons: Data, tmp_path: Path
) -> None:
    known = tmp_path / "known"
    for name in ("images", "masks"):
        (known / name).mkdir(parents=True)
    for picture in persons.validation:
        classes = batches.classes_of(picture, persons.labels)
        Image.fromarray(pictures.load(picture)).save(known / "images" / picture.path.name)
        Image.fromarray(np.where(classes == PERSON, 255, 0).astype(np.uint8)).save(
            known / "masks" / picture.path.name
        )

    exported = export.export(trained, persons, tmp_path / "run")
    measured = evaluate.measured(exported.file, known)

    assert exported.parity <= 1e-3
    assert measured["iou"].value > evaluate.figures(trained, persons)["iou"].value - 0.03
    assert json.loads(exported.file.with_suffix(".json").read_text())["width"] == SMALL.crop


def test_run_that_was_killed_ends_as_one_that_was_not(persons: Data, tmp_path: Path) -> None:
    told = replace(SMALL, iterations=12)
    whole = train.train(persons, told, Record(tmp_path / "whole", {}))

    with pytest.raises(Killed):
        train.train(persons, told, Fragile(tmp_path / "killed", {}))
    kept = torch_checkpoints.load(tmp_path / "killed" / "checkpoint", repr((told, persons.digest)))
    resumed = train.train(persons, told, Record(tmp_path / "killed", {}))

    assert kept is not None
    assert kept["done"] == 5
    for name, value in whole.module.state_dict().items():
        assert torch.equal(value, resumed.module.state_dict()[name]), name


def test_checkpoint_of_another_run_or_with_a_program_in_it_is_refused(tmp_path: Path) -> None:
    torch_checkpoints.save(tmp_path, "one", {"done": 1})
    with pytest.raises(SetupFailed, match="with other settings or pictures"):
        torch_checkpoints.load(tmp_path, "other")

    torch.save({"run": Path("program")}, tmp_path / torch_checkpoints.NAME)
    program = (tmp_path / torch_checkpoints.NAME).read_bytes()
    for content in (program, b"", b"no checkpoint", b"PK\x03\x04"):
        (tmp_path / torch_checkpoints.NAME).write_bytes(content)
        with pytest.raises(SetupFailed, match="no checkpoint"):
            torch_checkpoints.load(tmp_path, "run")
