"""Trained weights on a whole stack: promoted, they make the results; taken back, no more."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from smart_filter_shared import settings
from smart_filter_shared.cards import TaskName
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import VersionRefused
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


def tried(command: Command, digest: str) -> dict[str, Any]:
    """Return what was said of weights that are tried."""
    said: dict[str, Any] = command("models", "compare-shadow", digest)
    return said


def live_of(running: Running) -> str | None:
    models = running.client.get("/v1/models").json()["items"]
    digests: dict[str, str | None] = {one["name"]: one["digest"] for one in models}
    return digests["learned"]


def test_promoted_weights_make_results_until_they_are_rolled_back(
    running_stack: Running, command: Command
) -> None:
    own = learning.digest_of(learning.OWN)
    assert rated(running_stack) == (0.125, own)
    version = trained(running_stack, 0.875)

    # Both hold for what is submitted a second later at most.
    command("models", "promote", version.digest)
    running_stack.until(lambda: rated(running_stack) == (0.875, version.digest))
    command("models", "rollback", "smile/learned")
    running_stack.until(lambda: rated(running_stack) == (0.125, own))

    assert live_of(running_stack) == own


def test_shadow_is_compared_and_not_shown(running_stack: Running, command: Command) -> None:
    own = learning.digest_of(learning.OWN)
    version = trained(running_stack, 0.625)
    command("models", "shadow", version.digest, "--share", "1")
    # The API looks at its models once a second.
    running_stack.until(
        lambda: (
            rated(running_stack) == (0.125, own) and tried(command, version.digest)["photos"] > 0
        )
    )

    said = tried(command, version.digest)
    command("models", "shadow", version.digest, "--share", "0")

    assert (said["against"], said["errors"]) == (own, 0)
    # Of a smile that is none it makes a moderate one.
    assert said["figures"]["level"]["mean"] == 0.0
    assert said["figures"]["score"]["mean"] == pytest.approx(0.5)


def test_file_that_is_no_network_is_refused(running_stack: Running) -> None:
    training = Training(BETTER, "the tests", dt.datetime.now(dt.UTC))

    with place_of(running_stack) as place:
        with pytest.raises(VersionRefused, match="this is no ONNX network"):
            registering.register(
                place, b"no network", task=TaskName.SMILE, model="learned", training=training
            )
        with pytest.raises(VersionRefused, match=r"these have: .*smile/learned"):
            registering.register(
                place, b"no network", task=TaskName.SMILE, model="geometry", training=training
            )


def test_correction_over_http_becomes_training_material(
    running_stack: Running, command: Command
) -> None:
    job_id = running_stack.submit(outputs="faces")
    running_stack.wait(job_id)
    label = {"faces": [{"number": 1, "smile": "mild", "left_open": False}]}
    correction = {"kind": "label", "stage": "smile", "label": label, "consent": True}
    answer = running_stack.client.post(f"/v1/jobs/{job_id}/corrections", json=correction)
    assert answer.status_code == 201, answer.text

    built = [command("feedback", "build", task) for task in ("smile", "eyes")]
    assert running_stack.client.delete(f"/v1/jobs/{job_id}").status_code == 204
    # A worker tells so in the manifest, by itself.
    running_stack.until(
        lambda: (
            command("feedback", "list")["items"][-1]["manifest_digest"]
            not in {one["manifest_digest"] for one in built}
        )
    )

    assert [sum(one["items"].values()) for one in built] == [1, 1]
    removed = [one["removed"] for one in command("feedback", "list")["items"]]
    assert removed == [1, 1]
