from pathlib import Path

import numpy as np
import onnx
import pytest

from smart_filter_shared.errors import SetupFailed
from smart_filter_tests import drawn_eyes
from smart_filter_tests.killed_training import kill_after_an_epoch
from smart_filter_training import recipes, record, running
from smart_filter_workers.networks.eye_patches import SIZE_PX, EyePatches

SETTINGS = (
    "epochs=3",
    "batch_size=32",
    "learning_rate=0.004",
    "half_precision=false",
    "dropout=0.1",
)

pytest.importorskip("keras", reason="no Keras here: the extra train brings it")
# What Keras 3.15 does with NumPy 2.4 when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def train(folder: Path, run_folder: Path, *settings: str) -> running.Outcome:
    recipe = recipes.find_one("eyes")
    configuration = recipe.configuration([*SETTINGS, *settings])
    return running.run(recipe, folder, run_folder, configuration, tell=lambda _: None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn_eyes.folder(tmp_path_factory.mktemp("drawn") / "eyes", 160)


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> running.Outcome:
    return train(folder, tmp_path_factory.mktemp("runs") / "whole")


def test_drawn_eyes_are_learnt_and_told_where_never_seen(
    trained: running.Outcome, tmp_path: Path
) -> None:
    unseen = drawn_eyes.folder(tmp_path / "unseen", 60, seed=1)

    figures = recipes.find_one("eyes").evaluate.measured(trained.file, unseen)

    assert figures["auc"].value > 0.98
    assert figures["accuracy"].value > 0.9


def test_the_file_answers_as_the_network_did(trained: running.Outcome) -> None:
    facts = record.read(trained.file.parent)

    assert facts["state"] == "done"
    assert facts["parity"] < 1e-3
    assert trained.file.stat().st_size < 1_000_000


def test_the_file_takes_any_number_of_eyes_and_tells_its_cuts(trained: running.Outcome) -> None:
    network = EyePatches(trained.file.read_bytes())

    said = network(np.random.default_rng(0).random((5, SIZE_PX, SIZE_PX), np.float32))

    assert said.shape == (5,)
    assert 0 <= network.cuts.shut_below <= network.cuts.open_above <= 1


def test_a_killed_run_ends_with_the_weights_of_one_that_was_not(
    trained: running.Outcome, folder: Path, tmp_path: Path
) -> None:
    kill_after_an_epoch("eyes", folder, tmp_path / "killed", SETTINGS)

    resumed = train(folder, tmp_path / "killed")

    assert record.read(tmp_path / "killed")["resumed"] == 1
    assert weights_of(resumed.file) == weights_of(trained.file)


def test_a_file_to_begin_with_that_is_none_is_told(folder: Path, tmp_path: Path) -> None:
    start = tmp_path / "start.weights.h5"
    start.write_bytes(b"no weights")

    with pytest.raises(SetupFailed, match="has no weights of this network"):
        train(folder, tmp_path / "run", f"start={start}")


def weights_of(file: Path) -> list[bytes]:
    return [tensor.raw_data for tensor in onnx.load(file).graph.initializer]
