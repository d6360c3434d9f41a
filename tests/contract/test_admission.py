"""Files that operators bring: looked at and tried in a child process; or nothing is left."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smart_filter_shared.errors import SetupFailed
from smart_filter_tests import networks
from smart_filter_workers import admission, admitted, foreign_file
from smart_filter_workers.admitted import Admitted
from smart_filter_workers.networks.handling import Handling

NETWORK = networks.red_is_people()
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


def test_name_of_another_file_is_not_taken(folder: Path, tmp_path: Path) -> None:
    let_in(folder, tmp_path / "a", NETWORK)
    other = networks.yolo(np.ones((7, 1), np.float32), np.ones((1, 4, 4), np.float32))

    with pytest.raises(SetupFailed, match="another file's name"):
        let_in(folder, tmp_path / "b", other)


def test_file_under_two_names_is_refused(folder: Path, tmp_path: Path) -> None:
    let_in(folder, tmp_path / "a", NETWORK)

    with pytest.raises(SetupFailed, match="is onnx mine already"):
        let_in(folder, tmp_path / "a", NETWORK, entry="mine-too")


def test_file_is_not_used_in_another_way_under_its_name(folder: Path, tmp_path: Path) -> None:
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


def test_network_that_does_not_run_as_told_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SetupFailed, match="does not run as told"):
        let_in(folder, tmp_path / "a", NETWORK, handling={"width": 32, "height": 64})
    with pytest.raises(SetupFailed, match="does not run as told"):
        let_in(folder, tmp_path / "a", NETWORK, handling={**HANDLING.told, "output": 1})
    with pytest.raises(SetupFailed, match="does not run as told"):
        let_in(folder, tmp_path / "a", NETWORK, kind="yolo")

    assert left_in(folder) == []


def test_network_with_weights_elsewhere_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SetupFailed, match="another file"):
        let_in(folder, tmp_path / "a", networks.with_weights_elsewhere())

    assert left_in(folder) == []


def test_network_that_never_ends_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SetupFailed, match="after 2 s"):
        let_in(folder, tmp_path / "a", networks.never_ends(), limit_seconds=2)

    assert left_in(folder) == []


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (np.full((1, 1, 64, 64), np.nan, np.float32), "finite"),
        (np.full((64, 64), np.inf, np.float32), "finite"),
        (np.ones((1, 3072), np.float32), "no map of a picture"),
        (np.ones((1, 1, 7, 64), np.float32), "no map of a picture"),
    ],
    ids=["NaN", "infinite", "vector", "narrow"],
)
def test_network_whose_answer_is_no_matte_is_refused(
    folder: Path, tmp_path: Path, answer: networks.Floats, why: str
) -> None:
    with pytest.raises(SetupFailed, match=why) as caught:
        let_in(folder, tmp_path / "a", networks.says(answer))

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


def test_file_of_an_unknown_kind_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SetupFailed, match="no kind of weights: onnx, yolo, unet"):
        let_in(folder, tmp_path / "a", NETWORK, kind="pickle")
