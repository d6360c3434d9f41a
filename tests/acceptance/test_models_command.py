"""`smart-filter models` as an operator uses it: files let in, offered, used, checked, measured."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from smart_filter_deploy.cli import program
from smart_filter_tests import networks
from smart_filter_tests.commands import Command
from smart_filter_tests.running import KEY, PHOTO, Running

PATIENCE_SECONDS = 240.0
# Of 255 levels of coverage.
SURE = 200


@pytest.fixture
def data(data_folder: Path, weights_folder: Path, tmp_path: Path) -> Path:
    """A data folder of its own with the default weights."""
    folder = data_folder / f"models-{tmp_path.name}"
    folder.mkdir(mode=0o711)
    shutil.copytree(weights_folder, folder / "weights")
    return folder


@pytest.fixture
def command(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    """The command line on that folder."""
    monkeypatch.setenv("SMART_FILTER_DATA", str(data))
    return Command(capsys)


@pytest.fixture
def admitted(command: Command, tmp_path: Path) -> str:
    """A network of an operator's own, by which red is people."""
    path = tmp_path / "My Red.onnx"
    path.write_bytes(networks.red_is_people())
    square = ("--set", f"width={networks.SIDE_PX}", "--set", f"height={networks.SIDE_PX}")
    assert command("models", "admit", str(path), *square) == {"model": "onnx", "entry": "my-red"}
    return "my-red"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_network_that_was_let_in_cuts_out_a_photo(data: Path, admitted: str) -> None:
    ended = subprocess.run(
        program.command(
            *("run", str(PHOTO), "-o", "out.png", "--outputs", "image,matte", "--json"),
            *("--set", "segmentation.model=onnx"),
            *("--set", f"segmentation.params.entry={admitted}"),
        ),
        cwd=data,
        env={**os.environ, "SMART_FILTER_DATA": str(data)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    job = json.loads(ended.stdout)
    assert {stage["name"]: stage["model"] for stage in job["stages"]}["segmentation"] == "onnx"
    [path] = data.glob("*.matte.png")
    matte = np.asarray(Image.open(path), dtype=np.float32)
    red = np.asarray(Image.open(PHOTO).convert("RGB"))[..., 0]
    small = cv2.resize(red, (networks.SIDE_PX,) * 2, interpolation=cv2.INTER_AREA)
    seen = cv2.resize(small, red.shape, interpolation=cv2.INTER_LINEAR)
    # Where the network is sure the matte is its own; between, the photo's edges lead it.
    assert matte[seen > SURE].mean() > SURE
    assert matte[seen < 255 - SURE].mean() < 255 - SURE
    assert np.corrcoef(matte.ravel(), seen.ravel())[0, 1] > 0.9


@pytest.mark.slow
def test_bench_measures_time_and_memory_of_each_model(command: Command, admitted: str) -> None:
    models = command(
        *("models", "bench", "selfie", f"onnx/{admitted}", "geometry", "faces"),
        *("--photo", str(PHOTO), "--runs", "2"),
    )["models"]

    assert [(one["task"], one["name"]) for one in models] == [
        ("segmentation", "selfie"),
        ("segmentation", "onnx/my-red"),
        ("smile", "geometry"),
        ("orientation", "faces"),
    ]
    assert all(one["cpu_ms_p90"] >= one["cpu_ms"] > 0 for one in models)
    assert all(30 < one["peak_mb"] < 2000 for one in models)


def test_bench_of_a_photo_without_faces_says_which_model_could_not_run(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    status = command.status("models", "bench", "geometry", "--runs", "1", "--json")

    [model] = json.loads(capsys.readouterr().out)["models"]
    assert status == 1
    assert "no face" in model["fault"]


@pytest.fixture
def at_server(
    running_stack: Running, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    """The command line of a client."""
    monkeypatch.setenv("SMART_FILTER_URL", str(running_stack.client.base_url))
    monkeypatch.setenv("SMART_FILTER_API_KEY", KEY)
    return Command(capsys)


def test_list_leaves_out_what_cannot_run_unless_asked(at_server: Command) -> None:
    offered = at_server.said("models", "list")
    every = at_server.said("models", "list", "--all")

    assert "centerface *" in offered
    assert "unet" not in offered
    [line] = [one for one in every.splitlines() if " unet " in one]
    assert "smart-filter[tensorflow]" in line


def test_show_says_what_a_recipe_may_set(at_server: Command) -> None:
    shown = at_server.said("models", "show", "yolo")

    assert "segmentation.params.threshold" in shown
    assert "AGPL-3.0-only" in shown
    assert at_server.status("models", "show", "none-such") == 2
