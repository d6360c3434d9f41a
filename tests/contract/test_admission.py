"""Files that operators bring: looked at and tried in a child process; or nothing is left."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smart_filter_shared.errors import SetupFailed
from smart_filter_tests import networks
from smart_filter_workers import admission, admitted, foreign_file
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
