"""Trained weights lie over the weights folder as if they had always been there."""

import hashlib
from pathlib import Path

import pytest

from smart_filter_shared.cards import ModelCard, TaskName, WeightsFile
from smart_filter_shared.errors import SetupFailed
from smart_filter_tests.threads import at_once
from smart_filter_workers import trained
from smart_filter_workers.trained import TrainedWeights


def a_card(folder: Path, learns: str) -> ModelCard:
    """Return the card of a model whose files lie in a folder."""
    files = {learns: b"own", "beside.bin": b"beside", "deep/other.bin": b"other"}
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return ModelCard(
        name="learning",
        version="1",
        task=TaskName.SMILE,
        family="learning",
        title="",
        source="the tests",
        licence="Apache-2.0",
        data_terms="",
        weights=tuple(
            WeightsFile(name, hashlib.sha256(content).hexdigest())
            for name, content in files.items()
        ),
        learns=learns,
    )


@pytest.mark.parametrize("learns", ["top.bin", "deep/learned.bin", "very/deep/learned.bin"])
def test_only_the_learned_file_differs(tmp_path: Path, learns: str) -> None:
    card = a_card(tmp_path, learns)
    weights = TrainedWeights(tmp_path, None)

    over = weights.folder_of(card, weights.keep(b"trained"))

    assert (over / learns).read_bytes() == b"trained"
    assert (over / "beside.bin").read_bytes() == b"beside"
    assert (over / "deep" / "other.bin").read_bytes() == b"other"
    assert (tmp_path / learns).read_bytes() == b"own"


def test_folder_made_by_many_at_once_shows_later_files(tmp_path: Path) -> None:
    card = a_card(tmp_path, "deep/learned.bin")
    weights = TrainedWeights(tmp_path, None)
    digest = weights.keep(b"trained")
    at_once(8, lambda: weights.folder_of(card, digest))
    (tmp_path / "later.bin").write_bytes(b"later")

    over = weights.folder_of(card, digest)

    assert (over / "deep" / "learned.bin").read_bytes() == b"trained"
    assert (over / "later.bin").read_bytes() == b"later"


def test_weights_folder_may_be_moved(tmp_path: Path) -> None:
    card = a_card(tmp_path / "before", "deep/learned.bin")
    before = TrainedWeights(tmp_path / "before", None)
    digest = before.keep(b"trained")
    before.folder_of(card, digest)
    (tmp_path / "before").rename(tmp_path / "after")

    over = TrainedWeights(tmp_path / "after", None).folder_of(card, digest)

    assert (over / "deep" / "other.bin").read_bytes() == b"other"


@pytest.mark.parametrize(
    ("name", "reason"),
    [("", "are not on this machine"), ("beside.bin", "wrong SHA-256")],
    ids=["learned", "other"],
)
def test_changed_file_is_not_loaded(tmp_path: Path, name: str, reason: str) -> None:
    card = a_card(tmp_path, "top.bin")
    weights = TrainedWeights(tmp_path, None)
    digest = weights.keep(b"trained")
    (tmp_path / (name or f"{trained.FOLDER}/{digest}")).write_bytes(b"changed")

    with pytest.raises(SetupFailed, match=reason):
        weights.folder_of(card, digest)
