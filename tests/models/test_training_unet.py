import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from smart_filter_tests import drawn_people
from smart_filter_tests.killed_training import kill_after_an_epoch
from smart_filter_training import recipes, record, running
from smart_filter_training.models.unet import data, evaluate
from smart_filter_training.models.unet.configuration import Configuration
from smart_filter_workers.networks.litert import LiteRtNetwork
from smart_filter_workers.networks.selfie import GENERAL

SETTINGS = (
    "network=residual",
    "size_px=64",
    "width=6",
    "batch_size=8",
    "learning_rate=0.006",
    "validation_share=0.25",
)

pytest.importorskip("keras", reason="no Keras here: the extra train brings it")
# What Keras 3.15 does with NumPy 2.4 when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def train(folder: Path, run_folder: Path, *settings: str) -> running.Outcome:
    recipe = recipes.find_one("unet")
    configuration = recipe.configuration([*SETTINGS, *settings])
    return running.run(recipe, folder, run_folder, configuration, tell=lambda _: None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn_people.folder(tmp_path_factory.mktemp("drawn"), 64)


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> running.Outcome:
    return train(folder, tmp_path_factory.mktemp("runs") / "whole", "epochs=10")


def test_drawn_people_are_learnt_and_cut_out_where_never_seen(
    trained: running.Outcome, tmp_path: Path
) -> None:
    unseen = drawn_people.folder(tmp_path, 12, seed=1)

    figures = recipes.find_one("unet").evaluate.measured(
        trained.file.parent / "portrait.tflite", unseen
    )

    assert figures["iou"].value > 0.85


def test_record_holds_figures_curves_a_sheet_and_the_cost_of_every_file(
    trained: running.Outcome,
) -> None:
    run_folder = trained.file.parent
    facts = record.read(run_folder)
    files = json.loads((run_folder / "export.json").read_text())

    assert (facts["state"], facts["parity"] < 1e-3) == ("done", True)
    assert len(facts["data"]) == len(facts["sha256"]) == 64
    assert facts["figures"]["iou_drawn"]["low"] <= facts["figures"]["iou_drawn"]["value"]
    assert list((run_folder / "curves").iterdir())
    assert (run_folder / "sheet.png").read_bytes().startswith(b"\x89PNG")
    assert files["portrait.tflite"]["difference"] < 1e-3
    assert files["portrait.onnx"]["difference"] < 1e-3
    assert files["portrait_float16.tflite"]["bytes"] < files["portrait.tflite"]["bytes"]
    assert abs(files["portrait_int8.tflite"]["iou_difference"]) < 0.05


def test_runs_that_are_joined_are_measured_together(trained: running.Outcome, folder: Path) -> None:
    joined = recipes.find_one("unet").configuration([*SETTINGS, f"join={trained.file.parent}"])
    read = data.read(folder, joined)

    figures = evaluate.figures(evaluate.saved(trained.file.parent), read)

    assert figures["ensemble_iou"].value == pytest.approx(figures["iou"].value, abs=1e-6)


def test_killed_run_ends_with_the_weights_of_one_that_was_not(folder: Path, tmp_path: Path) -> None:
    whole = trained_alone(folder, tmp_path / "whole", "epochs=2")
    kill_after_an_epoch("unet", folder, tmp_path / "killed", (*SETTINGS, "epochs=2"))

    resumed = trained_alone(folder, tmp_path / "killed", "epochs=2")

    assert record.read(tmp_path / "killed")["resumed"] == 1
    assert all((one == other).all() for one, other in zip(resumed, whole, strict=True))


def test_carried_network_answers_as_its_file_does(weights_folder: Path) -> None:
    from smart_filter_training.models.unet.network import grown  # noqa: PLC0415 - needs Keras
    from smart_filter_training.models.unet.train import begun  # noqa: PLC0415 - needs Keras

    photo, _ = drawn_people.one(np.random.default_rng(0))
    picture = evaluate.augmentation.stretched(photo, 256)[np.newaxis] / np.float32(255)
    known = begun(Configuration(network="carried", weights=str(weights_folder)))

    wanted = LiteRtNetwork(weights_folder / GENERAL.name)(picture)
    logits = np.asarray(known(picture))

    assert np.abs(evaluate.probability(logits) - next(iter(wanted.values()))).max() < 1e-3
    assert (np.asarray(grown(known)(picture)) == logits).all()


def trained_alone(folder: Path, run_folder: Path, *settings: str) -> list[np.ndarray]:
    """Train, or go on, as a run does, and return the weights; nothing is exported."""
    recipe = recipes.find_one("unet")
    configuration = recipe.configuration([*SETTINGS, *settings])
    read = recipe.data.read(folder, configuration)
    kept = record.begin(
        run_folder, model="unet", configuration=dataclasses.asdict(configuration), data=read.digest
    )
    return list(recipe.train.train(read, configuration, kept).get_weights())
