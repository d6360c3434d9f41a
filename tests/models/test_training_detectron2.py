"""Fine-tuning of detectron2's detectors on drawn faces and persons, where detectron2 is there."""

import importlib
import importlib.util
import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from smart_filter_tests.annotated import folder_of
from smart_filter_training import recipes
from smart_filter_training.annotations import outlines, pictures
from smart_filter_training.annotations.splits import Splits
from smart_filter_training.detectors.configuration import Configuration
from smart_filter_training.detectors.training import Detector
from smart_filter_training.record import Record

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("detectron2") is None,
        reason="detectron2 is not installed: docs/detectron2.md says how",
    ),
    # torch's and detectron2's own, about each other.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
    pytest.mark.timeout(900),
]

# A network of a few MB that sees thumbnails.
SMALL = Configuration(
    batch_size=2,
    learning_rate=0.002,
    warmup=10,
    depth=18,
    channels=32,
    head_channels=64,
    short_side=96,
    long_side=128,
    checkpoint_every=2,
)
ITERATIONS = 4
KINDS = (
    ("detectron2_faces", "faster_rcnn"),
    ("detectron2_faces", "retinanet"),
    ("detectron2_persons", "mask_rcnn"),
)


class Killed(Exception):
    """What ends a run here."""


class Fragile(Record):
    """A record whose run is killed before its last checkpoint."""

    def scalar(self, name: str, value: float, step: int) -> None:
        """Note nothing, and end the run."""
        del name, value
        if step == ITERATIONS:
            raise Killed


@dataclass(frozen=True)
class Run:
    """A recipe's name, what it was told, its pictures, and the network that came of it."""

    name: str
    told: Configuration
    read: Splits
    detector: Detector


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Its threads wait by spinning: beside other tests that takes three times as long.
    importlib.import_module("torch").set_num_threads(1)
    return folder_of(tmp_path_factory.mktemp("detectors") / "data", train=24, validation=8)


def a_run(name: str, folder: Path, told: Configuration, into: Path) -> tuple[Detector, Splits]:
    recipe = recipes.find_one(name)
    read = recipe.data.read(folder, told)
    return recipe.train.train(read, told, Record(into, {})), read


def state_of(detector: Detector) -> dict[str, Any]:
    return dict(detector.built.model.state_dict())


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind[1])
def run(request: pytest.FixtureRequest, folder: Path) -> Run:
    """A run of each kind that nobody stopped."""
    name, architecture = request.param
    told = replace(SMALL, architecture=architecture, iterations=ITERATIONS)
    read = recipes.find_one(name).data.read(folder, told)
    with tempfile.TemporaryDirectory() as scratch:
        detector = recipes.find_one(name).train.train(read, told, Record(Path(scratch), {}))
    return Run(name, told, read, detector)


def test_run_that_was_killed_ends_as_one_that_was_not(run: Run, tmp_path: Path) -> None:
    if run.told.architecture == "retinanet":
        pytest.xfail("open defect: a resumed RetinaNet differs (docs/training-detectors.md)")
    train = recipes.find_one(run.name).train.train
    with pytest.raises(Killed):
        train(run.read, run.told, Fragile(tmp_path, {}))

    resumed = train(run.read, run.told, Record(tmp_path, {}))

    states = state_of(run.detector), state_of(resumed)
    torch = importlib.import_module("torch")
    unlike = [one for one in states[0] if not torch.equal(states[0][one], states[1][one])]
    assert unlike == []


def test_exported_files_are_let_in_and_run_by_the_product(run: Run, tmp_path: Path) -> None:
    recipe = recipes.find_one(run.name)
    known = with_answers(run.read, tmp_path / "known")

    exported = recipe.export.export(run.detector, run.read, tmp_path)
    measured = recipe.evaluate.measured(exported.file, known)

    assert exported.parity <= 1e-3
    assert exported.file.with_suffix(".yaml").read_text() == run.detector.text
    assert ("f1" if recipe.task == "face" else "iou") in measured


def test_faces_are_learnt(folder: Path, tmp_path: Path) -> None:
    told = replace(SMALL, iterations=250, warmup=20, checkpoint_every=250)

    detector, read = a_run("detectron2_faces", folder, told, tmp_path / "run")

    figures = recipes.find_one("detectron2_faces").evaluate.figures(detector, read)
    # 0.75 where it was tried: in so few iterations from nothing, boxes are not yet exact.
    assert figures["f1"].value > 0.5


def with_answers(read: Splits, folder: Path) -> Path:
    """Write the validation pictures as `smart-filter eval` takes them; return the folder."""
    boxes: dict[str, Any] = {}
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for picture in read.validation:
        Image.fromarray(pictures.load(picture)).save(folder / "images" / picture.path.name)
        inside = np.zeros((picture.height, picture.width), np.bool_)
        told = []
        for mark in picture.marks:
            inside |= outlines.pixels(mark, picture.width, picture.height)
            left, top, right, bottom = mark.box
            told.append({"x": left, "y": top, "w": right - left, "h": bottom - top})
        Image.fromarray(np.where(inside, 255, 0).astype(np.uint8)).save(
            folder / "masks" / picture.path.name
        )
        size = {"width": picture.width, "height": picture.height}
        boxes[picture.path.name] = {**size, "boxes": told}
    (folder / "boxes.json").write_text(json.dumps(boxes))
    return folder
