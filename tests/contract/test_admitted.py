"""The list of admitted files: what is put on it is read back, and what is odd is refused."""

from pathlib import Path

import pytest

from smart_filter_shared.errors import SetupFailed
from smart_filter_tests.threads import at_once
from smart_filter_workers import admitted
from smart_filter_workers.admitted import Admitted

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


def test_file_that_is_admitted_again_has_its_new_digest(tmp_path: Path) -> None:
    admitted.add(tmp_path, ONE)

    admitted.add(tmp_path, Admitted(ONE.name, "c" * 64, "detectron2", config="x/z"))

    (only,) = admitted.read(tmp_path)
    assert (only.sha256, only.config, only.classes) == ("c" * 64, "x/z", ())


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
