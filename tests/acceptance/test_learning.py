"""Trained weights on a whole stack: promoted, they make the results; taken back, no more."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from smart_filter_shared import settings
from smart_filter_shared.cards import TaskName
from smart_filter_shared.db import sessions
from smart_filter_shared.jobs.versions import Version
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_tests import learning
from smart_filter_tests.bench import settings_of
from smart_filter_tests.commands import Command
from smart_filter_tests.running import Running
from smart_filter_workers import catalogue
from smart_filter_workers.learning import registering
from smart_filter_workers.learning.registering import Place, Training

BETTER = {
    "against": None,
    "candidate": {"macro_f1": [0.7, 0.6, 0.8]},
    "live": {"macro_f1": [0.6, 0.5, 0.7]},
}


@contextmanager
def place_of(running: Running) -> Iterator[Place]:
    """Where a trainer of the stack's operator registers; its machine has the stack's weights."""
    told = settings_of(running.stack.addresses, SMART_FILTER_DATA=str(running.faults.parent))
    engine = sessions.engine(told.database, connections=1)
    store = ObjectStore(told.storage, connections=1)
    yield Place(engine, store, catalogue.find([learning]), told.weights)
    engine.dispose()


def trained(running: Running, score: float, **more: Any) -> Version:  # noqa: ANN401 - of Training
    """Register weights that rate every smile so."""
    told = {"metrics": BETTER, "trained_on": "the tests", **more}
    training = Training(trained_at=dt.datetime.now(dt.UTC), **told)
    with place_of(running) as place:
        return registering.register(
            place,
            learning.network(score),
            task=TaskName.SMILE,
            model="learned",
            training=training,
        )


@pytest.fixture
def command(
    running_stack: Running, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    for name, value in running_stack.stack.addresses.environment().items():
        monkeypatch.setenv(name, value)
    assert settings.stores()
    return Command(capsys)


def rated(running: Running) -> tuple[float, str | None]:
    """Return how a photo's smile is rated now, and by which weights."""
    with_learned = running.submit(outputs="faces", smile__model="learned")
    job = running.wait(with_learned)
    assert job["state"] == "succeeded", job["error"]
    (stage,) = [one for one in job["stages"] if one["name"] == "smile"]
    assert stage["models"][0]["digest"] == stage["digest"]
    return job["faces"][0]["smile"]["score"], stage["digest"]


def live_of(running: Running) -> str | None:
    models = running.client.get("/v1/models").json()["items"]
    digests: dict[str, str | None] = {one["name"]: one["digest"] for one in models}
    return digests["learned"]


def test_promoted_weights_make_results_until_they_are_rolled_back(
    running_stack: Running, command: Command
) -> None:
    own = learning.digest_of(learning.OWN)
    before = rated(running_stack)
    version = trained(running_stack, 0.875)

    command("models", "promote", version.digest)
    running_stack.until(lambda: live_of(running_stack) == version.digest)
    promoted = rated(running_stack)
    command("models", "rollback", "smile/learned")
    running_stack.until(lambda: live_of(running_stack) == own)
    after = rated(running_stack)

    assert (before, promoted, after) == ((0.125, own), (0.875, version.digest), (0.125, own))
