"""Trained weights on a whole stack: promoted, they make the results; rolled back, no longer."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

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

BETTER = {**learning.BETTER, "against": None}
OWN = learning.digest_of(learning.OWN)


@contextmanager
def place_of(running: Running) -> Iterator[Place]:
    """Where a trainer registers, on another machine than the stack's worker."""
    told = settings_of(running.stack.addresses)
    engine = sessions.engine(told.database, connections=1)
    store = ObjectStore(told.storage, connections=1)
    with TemporaryDirectory() as folder:
        weights = Path(folder) / "weights"
        learning.furnish(weights, running.faults.parent / "weights")
        yield Place(engine, store, catalogue.find([learning]), weights)
    engine.dispose()


def registered(running: Running, network: bytes, model: str = "learned") -> Version:
    training = Training(BETTER, "the tests", dt.datetime.now(dt.UTC))
    with place_of(running) as place:
        return registering.register(
            place, network, task=TaskName.SMILE, model=model, training=training
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
    job = running.run(outputs="faces", smile__model="learned")
    assert job["state"] == "succeeded", job["error"]
    (stage,) = [one for one in job["stages"] if one["name"] == "smile"]
    assert stage["models"][0]["digest"] == stage["digest"]
    return job["faces"][0]["smile"]["score"], stage["digest"]


def test_promoted_weights_make_results_until_they_are_rolled_back(
    running_stack: Running, command: Command
) -> None:
    assert rated(running_stack) == (0.125, OWN)
    version = registered(running_stack, learning.network(0.875))

    # Both hold for what is submitted a second later at most.
    command("models", "promote", version.digest)
    running_stack.until(lambda: rated(running_stack) == (0.875, version.digest))
    command("models", "rollback", "smile/learned")
    running_stack.until(lambda: rated(running_stack) == (0.125, OWN))

    models = running_stack.client.get("/v1/models").json()["items"]
    assert {one["name"]: one["digest"] for one in models}["learned"] == OWN


@pytest.mark.slow
def test_shadow_is_compared_and_not_shown(running_stack: Running, command: Command) -> None:
    def has_been_tried() -> bool:
        shown = rated(running_stack)
        return shown == (0.125, OWN) and command(*compared)["photos"] > 0

    version = registered(running_stack, learning.network(0.625))
    compared = ("models", "compare-shadow", version.digest)
    command("models", "shadow", version.digest, "--share", "1")
    # The API looks at its models once a second.
    running_stack.until(has_been_tried)

    said = command(*compared)
    command("models", "shadow", version.digest, "--share", "0")

    assert (said["against"], said["errors"]) == (OWN, 0)
    # Of a smile that is none it makes a moderate one.
    assert said["figures"]["level"]["mean"] == 0.0
    assert said["figures"]["score"]["mean"] == pytest.approx(0.5)


def test_correction_over_http_becomes_training_material(
    running_stack: Running, command: Command
) -> None:
    job = running_stack.run(outputs="faces")
    label = {"faces": [{"number": 1, "smile": "mild", "left_open": False}]}
    correction = {"kind": "label", "stage": "smile", "label": label, "consent": True}
    answer = running_stack.client.post(f"/v1/jobs/{job['id']}/corrections", json=correction)
    assert answer.status_code == 201, answer.text

    built = [command("feedback", "build", task) for task in ("smile", "eyes")]
    assert running_stack.client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    # A worker writes the removal into the manifest, by itself.
    running_stack.until(
        lambda: (
            command("feedback", "list")["items"][-1]["manifest_digest"]
            not in {one["manifest_digest"] for one in built}
        )
    )

    assert [sum(one["items"].values()) for one in built] == [1, 1]
    removed = [one["removed"] for one in command("feedback", "list")["items"]]
    assert removed == [1, 1]
