"""Weights are run before they are registered, and nothing is stored of what is refused."""

import datetime as dt
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import smart_filter_workers as workers
from smart_filter_shared.cards import Offer, TaskName
from smart_filter_shared.errors import VersionRefused
from smart_filter_shared.jobs import models, versions
from smart_filter_shared.storage import keys
from smart_filter_tests import commands, learning
from smart_filter_tests.commands import Command
from smart_filter_tests.serving import Api
from smart_filter_workers import catalogue
from smart_filter_workers.learning import registering
from smart_filter_workers.learning.registering import Place, Training
from smart_filter_workers.stages.smile.models import expression

SMILE = TaskName.SMILE


@pytest.fixture
def api(api: Api) -> Api:
    """The API, where workers offer a model that learns."""
    api.bench.do(models.publish, [Offer(learning.CARD)])
    return api


@pytest.fixture
def command(
    api: Api, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    return commands.on_servers(api.bench.settings, capsys, monkeypatch)


@pytest.fixture
def place(api: Api, tmp_path: Path) -> Place:
    """Where weights are registered, on a machine that has nothing but the model that learns."""
    (tmp_path / "none").mkdir()
    learning.furnish(tmp_path / "weights", tmp_path / "none")
    known = catalogue.find([learning])
    return Place(api.bench.engine, api.bench.store, known, tmp_path / "weights")


def states(api: Api) -> dict[str, str]:
    with api.bench.transaction() as connection:
        return {one.digest: str(one.state) for one in versions.listed(connection)}


def with_two_answers() -> bytes:
    """Return weights that load, and answer what the model cannot read."""
    model = onnx.load_model_from_string(learning.network(0.5))
    model.graph.initializer[0].CopyFrom(
        numpy_helper.from_array(np.array([0.5, 0.5], np.float32), "score")
    )
    content: bytes = model.SerializeToString()
    return content


@pytest.mark.parametrize(
    ("content", "wrong", "words"),
    [
        (learning.network(math.nan), {}, "weights 'score' of this file are NaN"),
        (learning.network(math.inf), {}, "with this file it answers what is no number"),
        (with_two_answers(), {}, "with this file it does not run: ValueError"),
        (
            learning.network(0.5),
            {"metrics": {"candidate": {"\0": [1, 1, 1]}}},
            "a figure whose name cannot be printed",
        ),
        (
            learning.network(0.5),
            {"data_set": 99999999999999},
            "there is no data set smile 99999999999999",
        ),
    ],
    ids=["nan", "infinite", "two answers", "wrong metric", "unknown data set"],
)
def test_nothing_is_stored_of_weights_that_are_refused(
    api: Api, place: Place, content: bytes, wrong: dict[str, Any], words: str
) -> None:
    told = {"metrics": learning.BETTER, "trained_on": "the tests", **wrong}
    training = Training(trained_at=dt.datetime.now(dt.UTC), **told)

    with pytest.raises(VersionRefused, match=words):
        registering.register(place, content, task=SMILE, model="learned", training=training)

    assert not api.bench.store.has(keys.weights(learning.digest_of(content)))


def test_weights_that_run_are_stored_with_their_first_training(api: Api, place: Place) -> None:
    content = learning.network(0.5)
    trainings = [Training(learning.BETTER, "the tests", dt.datetime.now(dt.UTC)) for _ in range(2)]

    registered = [
        registering.register(place, content, task=SMILE, model="learned", training=training)
        for training in trainings
    ]

    assert states(api) == {registered[0].digest: "candidate"}
    assert [one.trained.trained_at for one in registered] == [trainings[0].trained_at] * 2
    assert api.bench.store.get(registered[0].trained.key) == content


def test_register_command_says_that_weights_were_registered_before(
    api: Api, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Path(workers.__file__).parent / "trained" / expression.CARD.learns
    again = onnx.load_model(own)
    again.doc_string = "trained again"
    (tmp_path / "weights").mkdir()
    file, metrics = tmp_path / "again.onnx", tmp_path / "metrics.json"
    file.write_bytes(again.SerializeToString())
    metrics.write_text(json.dumps(learning.BETTER), encoding="utf-8")
    monkeypatch.setenv("SMART_FILTER_DATA", str(tmp_path))
    api.bench.do(models.publish, [Offer(expression.CARD)])
    told = ("models", "register", str(file), "--model", "smile/expression", "--metrics")

    said = [command.said(*told, str(metrics)) for _ in range(2)]

    assert ["it was registered before; its figures stay" in one for one in said] == [False, True]
    assert list(states(api).values()) == ["candidate"]


@pytest.mark.parametrize("figure", ["[NaN, 0, 1]", "[1e400, 0, 1]", f"[1{'0' * 400}, 0, 1]"])
def test_figures_that_are_no_numbers_are_refused_in_one_line(
    api: Api, command: Command, tmp_path: Path, figure: str
) -> None:
    file, metrics = tmp_path / "weights.onnx", tmp_path / "metrics.json"
    file.write_bytes(learning.network(0.5))
    metrics.write_text(f'{{"candidate": {{"macro_f1": {figure}}}}}', encoding="utf-8")

    said = command.said(
        *("models", "register", str(file), "--model", "smile/expression"),
        *("--metrics", str(metrics), "--data-set", "99999999999999"),
    )

    assert said.startswith("smart-filter: metrics: candidate is no object")
    assert states(api) == {}
