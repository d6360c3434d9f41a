"""Files of operators: tried in a child process, listed, and managed by `models`."""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smart_filter_deploy.cli.commands.models import models
from smart_filter_deploy.cli.server import program
from smart_filter_deploy.cli.terminal.exit_codes import run_command_line
from smart_filter_shared.errors import SetupFailed
from smart_filter_tests import networks
from smart_filter_tests.full_stack import PHOTO
from smart_filter_tests.threads import run_in_threads
from smart_filter_workers.models import admission, catalog, upstream
from smart_filter_workers.networks.runtimes.network_input import Handling
from smart_filter_workers.weights import allowlist, files
from smart_filter_workers.weights.allowlist import AdmittedFile

NETWORK = networks.red_matte_network()
YOLO = networks.yolo(np.ones((7, 1), np.float32), np.ones((1, 4, 4), np.float32))
HANDLING = Handling(networks.SIDE_PX, networks.SIDE_PX)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "weights"


def left_in(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]


def admit(
    folder: Path,
    source: Path,
    content: bytes,
    *,
    kind: str = "onnx",
    entry: str = "mine",
    handling: Mapping[str, object] = HANDLING.non_defaults,
    limit_seconds: float = 60,
) -> AdmittedFile:
    source.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    file = AdmittedFile("", digest, kind, entry=entry, handling=handling)
    return admission.admit_file(folder, source, file, limit_seconds=limit_seconds)


def test_name_belongs_to_one_file_and_a_file_to_one_name(folder: Path, tmp_path: Path) -> None:
    admit(folder, tmp_path / "a", NETWORK)

    with pytest.raises(SetupFailed, match="already the name of another file"):
        admit(folder, tmp_path / "b", YOLO)
    with pytest.raises(SetupFailed, match="already listed as onnx mine"):
        admit(folder, tmp_path / "a", NETWORK, entry="mine-too")


def test_handling_of_a_name_changes_only_after_removal(folder: Path, tmp_path: Path) -> None:
    admit(folder, tmp_path / "a", NETWORK)
    sigmoid = {**HANDLING.non_defaults, "activation": "sigmoid"}

    with pytest.raises(SetupFailed, match="models remove onnx/mine"):
        admit(folder, tmp_path / "a", NETWORK, handling=sigmoid)
    allowlist.remove(folder, "onnx", "mine")
    admit(folder, tmp_path / "a", NETWORK, handling=sigmoid)

    (listed,) = allowlist.read_allowlist(folder)
    assert listed.handling["activation"] == "sigmoid"


def test_file_is_admitted_again_with_its_terms(folder: Path, tmp_path: Path) -> None:
    listed = admit(folder, tmp_path / "a", NETWORK)
    same = {**HANDLING.non_defaults, "activation": "none"}

    admission.admit_file(folder, tmp_path / "a", replace(listed, handling=same, license="MIT"))

    assert [file.license for file in allowlist.read_allowlist(folder)] == ["MIT"]


@pytest.mark.parametrize("entry", ["", "../up", "Mine", "a b", "a" * 65])
def test_invalid_names_are_refused(folder: Path, tmp_path: Path, entry: str) -> None:
    with pytest.raises(SetupFailed, match="is no name"):
        admit(folder, tmp_path / "a", NETWORK, entry=entry)


@pytest.mark.parametrize(
    ("content", "options", "reason"),
    [
        (NETWORK, {"handling": {"width": 32, "height": 64}}, "does not run as described"),
        (
            NETWORK,
            {"handling": {**HANDLING.non_defaults, "output": 1}},
            "does not run as described",
        ),
        (NETWORK, {"kind": "yolo"}, "does not run as described"),
        (NETWORK, {"kind": "pickle"}, "not a kind of weights: onnx, yolo, unet"),
        (networks.network_with_external_weights(), {}, "another file"),
        (networks.endless_network(), {"limit_seconds": 2}, "within 2 s"),
        (networks.constant_network(np.full((1, 1, 64, 64), np.nan, np.float32)), {}, "finite"),
        (networks.constant_network(np.full((64, 64), np.inf, np.float32)), {}, "finite"),
        (networks.constant_network(np.ones((1, 3072), np.float32)), {}, "no map of a picture"),
        (networks.constant_network(np.ones((1, 1, 7, 64), np.float32)), {}, "no map of a picture"),
    ],
    ids="size output answer kind weights-elsewhere endless NaN infinite vector narrow".split(),
)
def test_unusable_network_leaves_nothing(
    folder: Path, tmp_path: Path, content: bytes, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(SetupFailed, match=reason) as caught:
        admit(folder, tmp_path / "a", content, **options)

    assert "\n" not in str(caught.value)
    assert left_in(folder) == []


def test_pipe_and_device_are_not_files_of_weights(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")

    for path in (tmp_path / "pipe.onnx", Path("/dev/zero")):
        with pytest.raises(SetupFailed, match="not a regular file"):
            files.sha256_of(path)


def test_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "sparse.onnx"
    with path.open("wb") as file:
        file.truncate(files.MAX_BYTES + 1)

    with pytest.raises(SetupFailed, match="more than 2,000,000,000 bytes"):
        next(files.read_chunks(path))


ONE = AdmittedFile("detectron2/a.npz", "a" * 64, "detectron2", config="x/y", classes=("face",))
OTHER = AdmittedFile("b.onnx", "b" * 64, "onnx")


def test_admitted_files_are_listed(tmp_path: Path) -> None:
    assert allowlist.read_allowlist(tmp_path) == ()
    allowlist.add(tmp_path, ONE)
    allowlist.add(tmp_path, OTHER)

    assert allowlist.read_allowlist(tmp_path) == (OTHER, ONE)
    assert [path.name for path in tmp_path.iterdir()] == [allowlist.LIST_FILE]


def test_files_admitted_simultaneously_are_all_on_the_list(tmp_path: Path) -> None:
    digests = iter([f"{number:064x}" for number in range(8)])

    def admit_some() -> None:
        for _ in range(2):
            digest = next(digests)
            allowlist.add(tmp_path, AdmittedFile(f"{digest}.onnx", digest, "onnx"))

    run_in_threads(4, admit_some)

    assert len(allowlist.read_allowlist(tmp_path)) == 8


def test_removed_file_is_gone_from_the_list_and_the_folder(tmp_path: Path) -> None:
    mine = AdmittedFile("mine.onnx", "e" * 64, "onnx", entry="mine")
    (tmp_path / mine.name).touch()
    allowlist.add(tmp_path, mine)
    allowlist.add(tmp_path, OTHER)

    assert allowlist.remove(tmp_path, "onnx", "mine") == mine

    assert allowlist.read_allowlist(tmp_path) == (OTHER,)
    assert [path.name for path in tmp_path.iterdir()] == [allowlist.LIST_FILE]


def test_configuration_stays_while_its_own_weights_are_used(tmp_path: Path) -> None:
    config = AdmittedFile("mine.yaml", "d" * 64, "detectron2-config")
    weights = AdmittedFile("mine.npz", "e" * 64, "detectron2", config="sha256:" + "d" * 64)
    allowlist.add(tmp_path, config)
    allowlist.add(tmp_path, weights)
    address = "sha256:dddddddddddd"

    with pytest.raises(SetupFailed, match=f"detectron2/{address} needs it"):
        allowlist.remove(tmp_path, config.kind, address)
    removed = [allowlist.remove(tmp_path, kind, address) for kind in (weights.kind, config.kind)]

    assert removed == [weights, config]


@pytest.mark.parametrize(("kind", "entry"), [("onnx", "u2net"), ("onnx", ""), ("unet", "x/y")])
def test_unknown_file_is_not_removed(tmp_path: Path, kind: str, entry: str) -> None:
    with pytest.raises(SetupFailed, match="no admitted files"):
        allowlist.remove(tmp_path, kind, entry)
    allowlist.add(tmp_path, ONE)

    with pytest.raises(SetupFailed, match="there are detectron2/x/y"):
        allowlist.remove(tmp_path, kind, entry)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"files": 3}',
        '{"files": {"a": 3}}',
        '{"files": {"a": {}}}',
        '{"files": {"a": {"sha256": "00", "kind": "onnx"}}}',
        '{"files": {"../a": {"sha256": "DIGEST", "kind": "onnx"}}}',
        '{"files": {"/a": {"sha256": "DIGEST", "kind": "onnx"}}}',
        '{"files": {"a": {"sha256": "DIGEST", "kind": 3}}}',
        '{"files": {"a": {"sha256": "DIGEST", "kind": "onnx", "classes": "x"}}}',
    ],
)
def test_malformed_list_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / allowlist.LIST_FILE).write_text(text.replace("DIGEST", "0" * 64))

    with pytest.raises(SetupFailed, match="remove it and admit again"):
        allowlist.read_allowlist(tmp_path)


ZOO = "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x"
SQUARE = ("--set", f"width={networks.SIDE_PX}", "--set", f"height={networks.SIDE_PX}")


@pytest.fixture
def data(tmp_path: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with the default weights, in the command's environment."""
    shutil.copytree(weights_folder, tmp_path / "weights")
    monkeypatch.setenv("SMART_FILTER_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def network(tmp_path: Path) -> str:
    """An operator's file: a network that treats red as people."""
    path = tmp_path / "My Red.onnx"
    path.write_bytes(networks.red_matte_network())
    return str(path)


def test_file_equal_to_a_manifest_entry_is_used_as_that_entry(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "end2end.onnx"
    dog = np.array([[0, 0, 64, 64, 0.9]], np.float32), np.array([16])
    path.write_bytes(networks.rtmdet(*dog, np.ones((1, 64, 64), np.float32)))

    status = run_command_line(models, ["admit", str(path), "--like", "yolo/rtmdet-ins-tiny"])

    listed = allowlist.read_allowlist(data / "weights")
    assert status == 0, capsys.readouterr().err
    assert [(file.kind, file.entry, file.handling["order"]) for file in listed] == [
        ("yolo", "end2end", "bgr")
    ]


def test_verify_names_the_remedy_of_each_missing_file(
    data: Path, network: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run_command_line(models, ["admit", network, *SQUARE])
    folder = data / "weights"
    [mine] = allowlist.read_allowlist(folder)
    (pinned,) = upstream.find("onnx/u2netp").files
    (unpinned,) = upstream.find(f"detectron2/{ZOO}").files
    pulled = AdmittedFile("a", "a" * 64, "onnx", entry="u2netp", source=pinned.address)
    admit = AdmittedFile("b", "b" * 64, "detectron2", config=ZOO, source=unpinned.address)
    for file in (pulled, admit):
        allowlist.add(folder, file)
    (folder / mine.name).unlink()
    (folder / "centerface.onnx").unlink()
    capsys.readouterr()

    status = run_command_line(models, ["verify"])

    assert status == 1
    remedies = dict(line.split(" is missing: ") for line in capsys.readouterr().out.splitlines())
    assert remedies == {
        "centerface.onnx": "run `smart-filter models pull`",
        mine.name: "add it again with `smart-filter models admit`",
        "a": "run `smart-filter models pull onnx/u2netp`",
        "b": f"run `smart-filter models pull detectron2/{ZOO} --sha256 {'b' * 64}`",
    }


def test_verify_fails_for_a_modified_file(
    data: Path, network: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run_command_line(models, ["admit", network, *SQUARE])
    [file] = (data / "weights" / "onnx").iterdir()
    file.write_bytes(b"changed")
    capsys.readouterr()

    status = run_command_line(models, ["verify", "--json"])

    files = json.loads(capsys.readouterr().out)["files"]
    assert (status, [file["name"] for file in files if file["fault"]]) == (1, [f"onnx/{file.name}"])


def test_removed_file_is_reported(
    data: Path, network: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run_command_line(models, ["admit", network, *SQUARE])
    [file] = (data / "weights" / "onnx").iterdir()
    capsys.readouterr()

    status = run_command_line(models, ["remove", "onnx/my-red", "--json"])

    expected = {"model": "onnx", "entry": "my-red", "removed": [f"onnx/{file.name}"]}
    assert (status, json.loads(capsys.readouterr().out)) == (0, expected)
    assert not file.exists()


def test_weights_of_a_model_without_entries_are_removed_by_its_name(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = data / "weights" / "isnet.onnx"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"weights")

    assert run_command_line(models, ["remove", "isnet", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["removed"] == ["isnet.onnx"]
    assert not file.exists()
    assert run_command_line(models, ["remove", "isnet"]) == 3
    assert f"isnet is not in {file.parent}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status", "expected"),
    [
        (["pull", "onnx/u3net"], 3, "onnx/u2net"),
        (["pull", "yolo/yolov8n-seg"], 3, "--admit"),
        (["pull", "onnx/u2net", "onnx/u2netp", "--sha256", "00"], 2, "one entry"),
        (["admit", str(PHOTO)], 2, "--kind"),
        (["admit", str(PHOTO), "--kind", "onnx", "--name", "x", *SQUARE], 3, "not an ONNX network"),
        (["admit", str(PHOTO), "--kind", "onnx"], 3, "--set width=PIXELS --set height=PIXELS"),
        (["admit", "/dev/zero", "--kind", "onnx", *SQUARE], 3, "not a regular file"),
        (["admit", str(PHOTO), "--kind", "onnx", "--set", "width"], 2, "KEY=VALUE"),
        (["pull", f"detectron2/{ZOO}", "--admit"], 3, "docs/detectron2.md"),
        (["admit", str(PHOTO), "--kind", "detectron2"], 3, "docs/detectron2.md"),
        (
            ["admit", str(PHOTO), "--kind", "unet", "--name", "x"],
            3,
            "smart-filter[tensorflow]",
        ),
        (["remove", "onnx/missing"], 3, "no admitted files"),
        (["bench", "missing"], 2, "selfie"),
        (["bench", "onnx/u2net"], 2, "models pull onnx/u2net"),
    ],
)
@pytest.mark.usefixtures("data")
def test_wrong_arguments_and_files_are_reported_in_one_line(
    arguments: list[str], status: int, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(models, arguments) == status

    out, err = capsys.readouterr()
    said = err.splitlines()[-1]
    assert not out
    assert said.startswith("smart-filter: ")
    assert expected in said


@pytest.mark.parametrize("name", ["isnet", "best", "onnx/birefnet-lite"])
@pytest.mark.usefixtures("data")
def test_pull_of_disabled_weights_is_refused_with_the_setting(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SMART_FILTER_RESEARCH_WEIGHTS", "off")

    assert run_command_line(models, ["pull", name]) == 3

    assert "is turned off by SMART_FILTER_RESEARCH_WEIGHTS" in capsys.readouterr().err


def test_pull_fetches_only_weights_for_commercial_use_where_others_are_off(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = catalog.discover_models(research=False).refused_files
    for file in refused:
        (data / "weights" / file.name).unlink(missing_ok=True)
    there = {path.name for path in (data / "weights").iterdir()}
    monkeypatch.setenv("SMART_FILTER_RESEARCH_WEIGHTS", "off")

    assert run_command_line(models, ["pull", "--all"]) == 0
    assert run_command_line(models, ["verify"]) == 0

    assert {path.name for path in (data / "weights").iterdir()} == there
    assert "isnet (commercial: ask) is left out" in capsys.readouterr().err
    assert {"expression.onnx", "eyes.onnx", "centerface.onnx"} < {path.name for path in refused}


def test_interrupted_pull_says_how_to_continue(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mirror = f"https://127.0.0.1:{silent.getsockname()[1]}"
        with subprocess.Popen(
            # A shell's background job, and all that it starts, ignores SIGINT.
            (
                *("env", "--default-signal=INT"),
                *program.command("models", "pull", "onnx/u2netp", "--mirror", mirror),
            ),
            env={**os.environ, "SMART_FILTER_DATA": str(data)},
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            connection, _ = silent.accept()
            process.send_signal(signal.SIGINT)
            _, err = process.communicate()
            connection.close()

    said = "smart-filter: interrupted: the same command continues where this one stopped"
    assert (process.returncode, err.splitlines().count(said)) == (130, 1), err


def test_pull_announces_its_downloads(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    (data / "weights" / "centerface.onnx").write_bytes(b"broken")

    run_command_line(models, ["pull"])

    assert capsys.readouterr().err.splitlines()[0] == "downloading weights (once): centerface.onnx"
