from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from smart_filter_shared.errors import SetupFailed
from smart_filter_tests import drawn_faces
from smart_filter_tests.killed_training import kill_after_an_epoch
from smart_filter_training import recipes, record, running
from smart_filter_workers.networks.expression import ExpressionNetwork

SETTINGS = (
    "epochs=4",
    "batch_size=32",
    "learning_rate=0.004",
    "half_precision=false",
    "dropout=0.1",
)

pytest.importorskip("keras", reason="no Keras here: the extra train brings it")
# What Keras 3.15 does with NumPy 2.4 when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def train(folder: Path, run_folder: Path, *settings: str) -> running.Outcome:
    recipe = recipes.find_one("expression")
    configuration = recipe.configuration([*SETTINGS, *settings])
    return running.run(recipe, folder, run_folder, configuration, tell=lambda _: None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn_faces.folder(tmp_path_factory.mktemp("drawn"), 320)


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> running.Outcome:
    return train(folder, tmp_path_factory.mktemp("runs") / "whole", "epochs=8")


def test_drawn_smiles_are_learnt_and_told_on_faces_never_seen(
    trained: running.Outcome, tmp_path: Path
) -> None:
    unseen = drawn_faces.folder(tmp_path, 100, seed=1)

    figures = recipes.find_one("expression").evaluate.measured(trained.file, unseen)

    assert figures["auc"].value > 0.95
    assert figures["emotion_accuracy"].value > 0.85


def test_the_record_names_what_made_the_file(trained: running.Outcome) -> None:
    facts = record.read(trained.file.parent)

    assert facts["state"] == "done"
    assert facts["configuration"]["epochs"] == 8
    assert facts["parity"] < 1e-3
    assert len(facts["data"]) == len(facts["sha256"]) == 64
    assert facts["figures"]["auc"]["low"] <= facts["figures"]["auc"]["value"]
    assert list((trained.file.parent / "curves").iterdir())


def test_the_file_is_a_network_that_the_product_opens(trained: running.Outcome) -> None:
    network = ExpressionNetwork(trained.file.read_bytes())

    said = network(np.zeros((3, 48, 48), np.uint8))

    assert said.emotion.shape == (3, 8)
    assert np.allclose(said.emotion.sum(axis=1), 1, atol=1e-5)
    assert onnx.load(trained.file).graph.input[0].type.tensor_type.shape.dim[0].dim_param


def test_a_killed_run_ends_with_the_network_of_one_that_was_not(
    folder: Path, tmp_path: Path
) -> None:
    whole = train(folder, tmp_path / "whole", "epochs=2")
    kill_after_an_epoch("expression", folder, tmp_path / "killed", (*SETTINGS, "epochs=2"))

    resumed = train(folder, tmp_path / "killed", "epochs=2")

    assert record.read(tmp_path / "killed")["resumed"] == 1
    assert (said_by(resumed.file) == said_by(whole.file)).all()


def test_a_run_with_other_settings_does_not_go_on_with_it(
    trained: running.Outcome, folder: Path
) -> None:
    with pytest.raises(SetupFailed, match="other configuration"):
        train(folder, trained.file.parent, "epochs=9")


def said_by(file: Path) -> NDArray[np.float32]:
    """Return what a file says of drawn faces; its bytes tell the order of names too."""
    rng = np.random.default_rng(5)
    crops = np.stack([drawn_faces.crop(rng, happy=number % 2 == 0) for number in range(20)])
    return ExpressionNetwork(file.read_bytes())(crops).emotion
