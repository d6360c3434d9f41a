"""Models of an operator: admitted, offered, measured; trained, promoted and rolled back."""

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import pytest
from PIL import Image

from smart_filter_shared.config import settings
from smart_filter_shared.db import sessions
from smart_filter_shared.model_registry.weight_versions import WeightVersion
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.storage.opening import open_store
from smart_filter_tests import networks, trainable_model
from smart_filter_tests.bench import settings_of
from smart_filter_tests.commands import Command
from smart_filter_tests.full_stack import KEY, PHOTO, RunningStack
from smart_filter_workers.learning import register
from smart_filter_workers.learning.register import RegistrationContext, TrainingInfo
from smart_filter_workers.models import catalog

# Of 255 levels of coverage.
SURE = 200
BETTER = {**trainable_model.BETTER, "against": None}
OWN = trainable_model.digest_of(trainable_model.OWN)


@pytest.fixture
def local(
    weights_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Command:
    (tmp_path / "weights").symlink_to(weights_folder)
    monkeypatch.setenv("SMART_FILTER_DATA", str(tmp_path))
    return Command(capsys)


def test_admitted_network_is_served_at_once_and_cuts_out_a_photo(
    running_stack: RunningStack, local: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMART_FILTER_DATA", str(running_stack.stack.folder.path))
    path = tmp_path / "My Red.onnx"
    path.write_bytes(networks.red_matte_network())
    square = ("--set", f"width={networks.SIDE_PX}", "--set", f"height={networks.SIDE_PX}")

    assert local("models", "admit", str(path), *square) == {"model": "onnx", "entry": "my-red"}

    running_stack.until(lambda: "segmentation.onnx" in served(running_stack))
    recipe = {"segmentation.model": "onnx", "segmentation.params.entry": "my-red"}
    job = running_stack.run(outputs="matte", **recipe)
    assert {stage["name"]: stage["model"] for stage in job["stages"]}["segmentation"] == "onnx"
    matte = running_stack.pixels(job["id"], "matte").astype(np.float32)
    red = np.asarray(Image.open(PHOTO).convert("RGB"))[..., 0]
    small = cv2.resize(red, (networks.SIDE_PX,) * 2, interpolation=cv2.INTER_AREA)
    seen = cv2.resize(small, red.shape, interpolation=cv2.INTER_LINEAR)
    # Where the network is sure, the matte is its own; in between, the photo's edges decide.
    assert matte[seen > SURE].mean() > SURE
    assert matte[seen < 255 - SURE].mean() < 255 - SURE
    assert np.corrcoef(matte.ravel(), seen.ravel())[0, 1] > 0.9


def served(running: RunningStack) -> list[str]:
    """Return the capabilities that the API lists as served by workers."""
    return [
        model["capability"]
        for model in running.client.get("/v1/models").json()["items"]
        if model["offered"]
    ]


def test_bench_on_a_photo_without_faces_names_the_model_that_could_not_run(
    local: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    status = local.status("models", "bench", "geometry", "--runs", "1", "--json")

    [model] = json.loads(capsys.readouterr().out)["models"]
    assert status == 1
    assert "no face" in model["fault"]


@pytest.fixture
def at_server(
    running_stack: RunningStack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    monkeypatch.setenv("SMART_FILTER_URL", str(running_stack.client.base_url))
    monkeypatch.setenv("SMART_FILTER_API_KEY", KEY)
    return Command(capsys)


def test_list_omits_unavailable_models_unless_asked(at_server: Command) -> None:
    offered = at_server.output("models", "list")
    every = at_server.output("models", "list", "--all")

    assert "centerface *" in offered
    assert "unet" not in offered
    [line] = [line for line in every.splitlines() if " unet " in line]
    assert "smart-filter[tensorflow]" in line


def test_show_lists_the_recipe_parameters(at_server: Command) -> None:
    shown = at_server.output("models", "show", "yolo")

    assert "segmentation.params.threshold" in shown
    assert "AGPL-3.0-only" in shown
    assert at_server.status("models", "show", "none-such") == 2


@contextmanager
def place_of(running: RunningStack) -> Iterator[RegistrationContext]:
    """A place to register weights, on another machine than the stack's worker."""
    server_settings = settings_of(running.stack.addresses)
    engine = sessions.open_engine(server_settings.database, connections=1)
    store = open_store(server_settings.storage, connections=1)
    with TemporaryDirectory() as folder:
        weights = Path(folder) / "weights"
        trainable_model.link_weights(weights, running.faults.parent / "weights")
        yield RegistrationContext(
            engine, store, catalog.discover_models([trainable_model]), weights
        )
    engine.dispose()


def registered(running: RunningStack, network: bytes) -> WeightVersion:
    training = TrainingInfo(BETTER, "the tests", dt.datetime.now(dt.UTC))
    with place_of(running) as place:
        return register.register_weights(
            place, network, task=TaskName.SMILE, model="learned", training=training
        )


@pytest.fixture
def command(
    running_stack: RunningStack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    for name, value in running_stack.stack.addresses.environment().items():
        monkeypatch.setenv(name, value)
    assert settings.load_backends()
    return Command(capsys)


def rated(running: RunningStack) -> tuple[float, str | None]:
    """Return the present rating of a photo's smile, and its weights."""
    job = running.run(outputs="faces", smile__model="learned")
    assert job["state"] == "succeeded", job["error"]
    (stage,) = [stage for stage in job["stages"] if stage["name"] == "smile"]
    assert stage["models"][0]["digest"] == stage["digest"]
    return job["faces"][0]["smile"]["score"], stage["digest"]


def test_promoted_weights_are_used_until_they_are_rolled_back(
    running_stack: RunningStack, command: Command
) -> None:
    assert rated(running_stack) == (0.125, OWN)
    version = registered(running_stack, trainable_model.network(0.875))

    # Both take effect within a second.
    command("models", "promote", version.digest)
    running_stack.until(lambda: rated(running_stack) == (0.875, version.digest))
    command("models", "rollback", "smile/learned")
    running_stack.until(lambda: rated(running_stack) == (0.125, OWN))

    models = running_stack.client.get("/v1/models").json()["items"]
    assert {model["name"]: model["digest"] for model in models}["learned"] == OWN


def test_correction_over_http_is_collected_for_training(
    running_stack: RunningStack, command: Command
) -> None:
    job = running_stack.run(outputs="faces")
    label = {"faces": [{"number": 1, "smile": "mild", "left_open": False}]}
    correction = {"kind": "label", "stage": "smile", "label": label, "consent": True}
    answer = running_stack.client.post(f"/v1/jobs/{job['id']}/corrections", json=correction)
    assert answer.status_code == 201, answer.text

    built = [command("feedback", "build", task) for task in ("smile", "eyes")]
    assert running_stack.client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    # A worker writes the removal into the manifest by itself.
    running_stack.until(
        lambda: (
            command("feedback", "list")["items"][-1]["manifest_digest"]
            not in {one["manifest_digest"] for one in built}
        )
    )

    assert [sum(one["items"].values()) for one in built] == [1, 1]
    removed = [item["removed"] for item in command("feedback", "list")["items"]]
    assert removed == [1, 1]
