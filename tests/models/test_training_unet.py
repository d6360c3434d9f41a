import json
from pathlib import Path

import numpy as np
import pytest

from smart_filter_tests import drawn_people
from smart_filter_training import run, run_record, trainable_models
from smart_filter_training.models.unet import augmentation
from smart_filter_training.models.unet import train as unet
from smart_filter_workers.networks.coverage.selfie import GENERAL_WEIGHTS
from smart_filter_workers.networks.runtimes.litert import LiteRtNetwork

SETTINGS = (
    "network=residual",
    "size_px=64",
    "width=6",
    "batch_size=8",
    "learning_rate=0.006",
    "validation_share=0.25",
)

pytest.importorskip("keras", reason="no Keras here: the extra train brings it")
# A warning of Keras 3.15 with NumPy 2.4 on saving.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def train(folder: Path, run_folder: Path, *settings: str) -> run.Outcome:
    model = trainable_models.find_model("unet")
    configuration = model.configure([*SETTINGS, *settings])
    return run.run(model, folder, run_folder, configuration, tell=lambda _: None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn_people.folder(tmp_path_factory.mktemp("drawn"), 64)


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> run.Outcome:
    return train(folder, tmp_path_factory.mktemp("runs") / "whole", "epochs=10")


def test_drawn_people_are_learned_and_cut_out_of_unseen_pictures(
    trained: run.Outcome, tmp_path: Path
) -> None:
    unseen = drawn_people.folder(tmp_path, 12, seed=1)

    figures = unet.measure(trained.file.parent / "portrait.tflite", unseen)

    assert figures["iou"].value > 0.85


def test_record_contains_metrics_curves_a_sheet_and_the_cost_of_every_file(
    trained: run.Outcome,
) -> None:
    run_folder = trained.file.parent
    facts = run_record.read_record(run_folder)
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


def test_joined_runs_are_measured_together(trained: run.Outcome, folder: Path) -> None:
    model = trainable_models.find_model("unet")
    joined = model.configure([*SETTINGS, f"join={trained.file.parent}"])
    read = unet.read_folder(folder, joined)

    figures = unet.compute_figures(unet.load_network(trained.file.parent), read)

    assert figures["ensemble_iou"].value == pytest.approx(figures["iou"].value, abs=1e-6)


def test_converted_network_answers_like_its_file(weights_folder: Path) -> None:
    from smart_filter_training.models.unet.network import grow  # noqa: PLC0415 - needs Keras

    photo, _ = drawn_people.draw_person(np.random.default_rng(0))
    picture = augmentation.stretch(photo, 256)[np.newaxis] / np.float32(255)
    known = unet.build_network(unet.Configuration(network="carried", weights=str(weights_folder)))

    wanted = LiteRtNetwork(weights_folder / GENERAL_WEIGHTS.name)(picture)
    logits = np.asarray(known(picture))

    assert np.abs(unet.to_probability(logits) - next(iter(wanted.values()))).max() < 1e-3
    assert (np.asarray(grow(known)(picture)) == logits).all()
