"""`smart-filter models` as an operator uses it: files let in, offered, used, checked, measured."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from smart_filter_deploy.cli import program
from smart_filter_tests import networks
from smart_filter_tests.running import KEY, PHOTO, Running

PATIENCE_SECONDS = 90.0
# Of 255 levels of coverage.
SURE = 200
SQUARE = ("--set", f"width={networks.SIDE_PX}", "--set", f"height={networks.SIDE_PX}")


def smart_filter(
    data: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command on a data folder."""
    return subprocess.run(
        program.command(*arguments),
        cwd=data,
        env={**os.environ, "SMART_FILTER_DATA": str(data), **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def told(ended: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return what a command told a program."""
    document: dict[str, Any] = json.loads(ended.stdout)
    return document


@pytest.fixture
def data(data_folder: Path, weights_folder: Path, tmp_path: Path) -> Path:
    """A data folder of its own with the default weights."""
    folder = data_folder / f"models-{tmp_path.name}"
    folder.mkdir(mode=0o711)
    shutil.copytree(weights_folder, folder / "weights")
    return folder


@pytest.fixture
def network(tmp_path: Path) -> str:
    """A file of an operator's own: a network by which red is people."""
    path = tmp_path / "My Red.onnx"
    path.write_bytes(networks.red_is_people())
    return str(path)


def test_network_that_was_let_in_cuts_out_a_photo(data: Path, network: str) -> None:
    admitted = smart_filter(data, "models", "admit", network, *SQUARE, "--json")
    assert told(admitted) == {"model": "onnx", "entry": "my-red"}, admitted.stderr

    ended = smart_filter(
        data,
        *("run", str(PHOTO), "-o", "out.png", "--outputs", "image,matte", "--json"),
        *("--set", "segmentation.model=onnx", "--set", "segmentation.params.entry=my-red"),
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


def test_bench_tells_time_and_memory_of_each_model(data: Path, network: str) -> None:
    smart_filter(data, "models", "admit", network, *SQUARE)

    ended = smart_filter(
        data,
        *("models", "bench", "selfie", "onnx/my-red", "geometry", "faces"),
        *("--photo", str(PHOTO), "--runs", "2", "--json"),
    )

    assert ended.returncode == 0, ended.stderr
    models = told(ended)["models"]
    assert [(one["task"], one["name"]) for one in models] == [
        ("segmentation", "selfie"),
        ("segmentation", "onnx/my-red"),
        ("smile", "geometry"),
        ("orientation", "faces"),
    ]
    assert all(one["cpu_ms_p90"] >= one["cpu_ms"] > 0 for one in models)
    assert all(30 < one["peak_mb"] < 2000 for one in models)


def test_bench_of_a_photo_without_faces_says_who_could_not_run(data: Path) -> None:
    ended = smart_filter(data, "models", "bench", "geometry", "--runs", "1", "--json")

    [model] = told(ended)["models"]
    assert ended.returncode == 1
    assert "no face" in model["fault"]


def at_server(running: Running, data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    url = str(running.client.base_url)
    return smart_filter(data, *arguments, SMART_FILTER_URL=url, SMART_FILTER_API_KEY=KEY)


def test_list_leaves_out_what_nobody_can_run_unless_asked(
    running_stack: Running, tmp_path: Path
) -> None:
    offered = at_server(running_stack, tmp_path, "models", "list").stdout
    every = at_server(running_stack, tmp_path, "models", "list", "--all").stdout

    assert "selfie" in offered
    assert "unet" not in offered
    [line] = [one for one in every.splitlines() if " unet " in one]
    assert "smart-filter[tensorflow]" in line


def test_show_tells_what_a_recipe_may_set(running_stack: Running, tmp_path: Path) -> None:
    ended = at_server(running_stack, tmp_path, "models", "show", "yolo")

    assert "segmentation.params.threshold" in ended.stdout
    assert "AGPL-3.0-only" in ended.stdout
    assert at_server(running_stack, tmp_path, "models", "show", "nobody").returncode == 2
