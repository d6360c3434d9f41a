"""Networks of faces, expressions and eyes, trained for seconds on drawn pictures."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest

from smart_filter_tests import drawn_eyes, drawn_faces
from smart_filter_training import run, run_record, trainable_models
from smart_filter_workers.networks.faces.expression import ExpressionNetwork
from smart_filter_workers.networks.faces.eyes import PATCH_PX, EyePatchNetwork

SETTINGS = ("batch_size=32", "learning_rate=0.004", "half_precision=false", "dropout=0.1")

pytest.importorskip("keras", reason="no Keras here: the extra train brings it")
pytestmark = [
    # A warning of Keras 3.15 with NumPy 2.4 on saving.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.timeout(600),
]


@dataclass(frozen=True)
class Recipe:
    """A network, its drawn pictures and the number of epochs.

    learned: the minimum metrics on unseen pictures.
    """

    name: str
    draw: Callable[..., Path]
    pictures: int
    epochs: int
    learned: dict[str, float]

    def train(self, folder: Path, run_folder: Path, *settings: str) -> run.Outcome:
        model = trainable_models.find_model(self.name)
        configuration = model.configure([*SETTINGS, f"epochs={self.epochs}", *settings])
        return run.run(model, folder, run_folder, configuration, tell=lambda _: None)


EXPRESSION = Recipe(
    "expression", drawn_faces.folder, 320, 8, {"auc": 0.95, "emotion_accuracy": 0.85}
)
EYES = Recipe("eyes", drawn_eyes.folder, 160, 3, {"auc": 0.98, "accuracy": 0.9})


@dataclass(frozen=True)
class Trained:
    """An uninterrupted run of a recipe, and the folder of its pictures."""

    recipe: Recipe
    folder: Path
    run: run.Outcome


def trained_by(recipe: Recipe, factory: pytest.TempPathFactory) -> Trained:
    folder = recipe.draw(factory.mktemp("drawn") / "pictures", recipe.pictures)
    return Trained(recipe, folder, recipe.train(folder, factory.mktemp("runs") / "whole"))


@pytest.fixture(scope="module")
def expression(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained_by(EXPRESSION, tmp_path_factory)


@pytest.fixture(scope="module")
def eyes(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained_by(EYES, tmp_path_factory)


@pytest.fixture(params=["expression", "eyes"])
def trained(request: pytest.FixtureRequest) -> Trained:
    chosen: Trained = request.getfixturevalue(request.param)
    return chosen


def test_drawn_pictures_are_learned(trained: Trained, tmp_path: Path) -> None:
    unseen = trained.recipe.draw(tmp_path / "unseen", 100, seed=1)

    figures = trainable_models.find_model(trained.recipe.name).code.measure(
        trained.run.file, unseen
    )

    learned = trained.recipe.learned
    assert {name: figures[name].value > least for name, least in learned.items()} == dict.fromkeys(
        learned, True
    )


def test_product_opens_both_networks(expression: Trained, eyes: Trained) -> None:
    faces = ExpressionNetwork(expression.run.file.read_bytes())(np.zeros((3, 48, 48), np.uint8))
    network = EyePatchNetwork(eyes.run.file.read_bytes())
    patches = np.random.default_rng(0).random((5, PATCH_PX, PATCH_PX), np.float32)

    assert faces.emotion.shape == (3, 8)
    assert np.allclose(faces.emotion.sum(axis=1), 1, atol=1e-5)
    assert network(patches).shape == (5,)
    assert 0 <= network.cuts.shut_below <= network.cuts.open_above <= 1


def test_killed_run_has_the_weights_of_an_uninterrupted_one(
    trained: Trained, tmp_path: Path
) -> None:
    recipe, folder = trained.recipe, trained.folder
    whole = recipe.train(folder, tmp_path / "whole", "epochs=2")
    kill_after_an_epoch(recipe.name, folder, tmp_path / "killed", (*SETTINGS, "epochs=2"))

    resumed = recipe.train(folder, tmp_path / "killed", "epochs=2")

    assert run_record.read_record(tmp_path / "killed")["resumed"] == 1
    assert weights_of(resumed.file) == weights_of(whole.file)


def weights_of(file: Path) -> list[bytes]:
    return sorted(tensor.raw_data for tensor in onnx.load(file).graph.initializer)


def kill_after_an_epoch(
    model: str, folder: Path, run_folder: Path, settings: Iterable[str]
) -> None:
    """Start `smart-filter train`, and kill it once its first checkpoint exists."""
    options = [part for setting in settings for part in ("--set", setting)]
    command = [Path(sys.executable).parent / "smart-filter", "train", model]
    process = subprocess.Popen(
        [*command, "--data", folder, "--run", run_folder, *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ,
    )
    try:
        while not list((run_folder / "checkpoint").glob("step-*")):
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.05)
    finally:
        process.kill()
        process.wait()
