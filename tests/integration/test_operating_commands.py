"""`smart-filter queues`, `workers`, and `jobs` for all jobs of a tenant."""

import io
import uuid
from typing import Any

import pytest

from smart_filter_shared.ids import Capability, Tenant, WorkerId
from smart_filter_shared.jobs import presence, transitions
from smart_filter_shared.jobs.leases import Failure
from smart_filter_shared.jobs.presence import Worker, WorkerState
from smart_filter_shared.pipeline import StageName
from smart_filter_tests import commands
from smart_filter_tests.bench import Bench, capability
from smart_filter_tests.commands import Command

PREPARE = capability(StageName.PREPARE)
OTHER = Tenant("other")
BROKEN = Failure("model_failed", "It broke", "for a test")


@pytest.fixture
def command(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    serve(bench, [PREPARE])
    return commands.on_servers(bench.settings, capsys, monkeypatch)


def serve(
    bench: Bench, capabilities: list[Capability], state: WorkerState = WorkerState.READY
) -> None:
    worker = Worker(
        bench.worker,
        "here",
        7,
        capabilities,
        2,
        {Capability("face.x"): "no weights"},
        state=state,
    )
    bench.do(presence.announce, worker)


def worker_of(command: Command) -> dict[str, Any]:
    (worker,) = command("workers", "list")["items"]
    return dict(worker)


def fail_one(bench: Bench) -> None:
    lease = bench.claim_one(StageName.PREPARE)
    bench.do(transitions.fail, lease, BROKEN)


def test_queue_is_listed_with_its_length_and_workers_and_shown_with_its_head(
    bench: Bench, command: Command
) -> None:
    job_ids = [str(bench.submit()) for _ in range(3)]
    bench.claim_one(StageName.PREPARE)

    items = command("queues", "list")["items"]
    head = command("queues", "show", PREPARE)["items"]

    (queue,) = [one for one in items if one["capability"] == PREPARE]
    shown = {name: queue[name] for name in ("ready", "running", "workers", "threads", "paused_at")}
    assert shown == {"ready": 2, "running": 1, "workers": 1, "threads": 2, "paused_at": None}
    assert [one["job_id"] for one in head] == job_ids[1:]


def test_queue_is_paused_and_resumed(bench: Bench, command: Command) -> None:
    bench.submit()

    told = command("queues", "pause", PREPARE)
    paused = bench.claim(StageName.PREPARE)
    command("queues", "resume", PREPARE)

    assert told == {"capability": PREPARE, "paused": True}
    assert paused == []
    assert len(bench.claim(StageName.PREPARE)) == 1


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("face.nonsense", capability(StageName.FACE)),
        ("webhooks", "`smart-filter workers drain ID`"),
    ],
)
def test_queue_that_cannot_be_paused_is_refused_with_advice(
    bench: Bench, command: Command, name: str, advice: str
) -> None:
    bench.submit()

    assert command.status("queues", "pause", name) == 2
    assert advice in command.said("queues", "pause", name)


@pytest.mark.parametrize("words", [["queues", "list"], ["workers", "list"]], ids=" ".join)
def test_tables_name_what_they_list(bench: Bench, command: Command, words: list[str]) -> None:
    bench.submit()

    assert PREPARE in command.said(*words)


def test_worker_is_listed_with_its_state(bench: Bench, command: Command) -> None:
    states = [worker_of(command)["state"]]
    bench.submit()
    lease = bench.claim_one(StageName.PREPARE)
    serve(bench, [PREPARE], WorkerState.BUSY)
    states.append(worker_of(command)["state"])
    command("workers", "drain", str(bench.worker))
    states.append(worker_of(command)["state"])
    bench.complete(lease)
    drained = worker_of(command)
    command("workers", "resume", str(bench.worker))
    serve(bench, [PREPARE])
    states.append(worker_of(command)["state"])
    serve(bench, [], WorkerState.SETUP_FAILED)
    states.append(worker_of(command)["state"])

    assert states == ["ready", "busy", "draining", "ready", "setup_failed"]
    assert (drained["state"], drained["running"]) == ("draining", 0)
    assert drained["failed"] == {"face.x": "no weights"}


def test_worker_is_shown_with_the_stages_it_runs(bench: Bench, command: Command) -> None:
    idle = command.said("workers", "show", str(bench.worker))
    job_id = bench.submit()
    bench.claim_one(StageName.PREPARE)

    (stage,) = command("workers", "show", str(bench.worker))["stages"]

    assert f"serves {PREPARE}" in idle
    assert "has nothing at hand" in idle
    assert "no weights" in idle
    assert (stage["job_id"], stage["stage"], stage["attempt"]) == (str(job_id), "prepare", 1)


def test_unambiguous_beginning_of_a_workers_id_is_enough(bench: Bench, command: Command) -> None:
    mine = bench.worker.hex
    others = [WorkerId(uuid.UUID(mine[:8] + end * 24)) for end in "12"]
    with bench.transaction() as connection:
        for other in others:
            presence.announce(connection, Worker(other, "here", 8, [PREPARE], 1))

    told = command("workers", "drain", str(others[0])[:13])

    assert told["id"] == str(others[0])
    assert "3 workers' ids begin with" in command.said("workers", "drain", mine[:8])
    for wrong in (mine[:8], "", str(uuid.uuid4())):
        assert command.status("workers", "drain", wrong) == 2


def test_jobs_of_one_tenant_are_canceled_and_no_others(bench: Bench, command: Command) -> None:
    ended = bench.submit()
    fail_one(bench)
    batch_id, _ = bench.submit_batch(3, best=1)
    bench.submit()
    other = bench.submit(tenant=OTHER)

    told = command("jobs", "cancel", "--tenant", "tests")

    assert told == {"tenant": "tests", "canceled": 4, "left": 0}
    assert bench.job(ended).state == "failed"
    assert bench.job(other, tenant=OTHER).state == "queued"
    assert bench.batch(batch_id).finished_at is not None


class Keyboard(io.StringIO):
    """What a person types on a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "words", "state"),
    [("", [], "queued"), ("y\n", [], "canceled"), ("", ["--yes"], "canceled")],
)
def test_terminal_asks_before_all_jobs_of_a_tenant_are_canceled(
    bench: Bench,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    *,
    typed: str,
    words: list[str],
    state: str,
) -> None:
    job_id = bench.submit()
    monkeypatch.setattr("sys.stdin", Keyboard(typed))

    said = command.said("jobs", "cancel", "--tenant", "tests", *words)

    assert ("tests: cancel all that have not ended, 1?" in said) == (not words)
    assert bench.job(job_id).state == state


@pytest.mark.parametrize(
    "words",
    [["cancel"], ["redrive"], ["cancel", "ID", "--tenant", "acme"], ["cancel", "--tenant", "a b"]],
    ids=" ".join,
)
def test_jobs_command_takes_one_job_or_one_tenant(command: Command, words: list[str]) -> None:
    assert command.status("jobs", *words) == 2


@pytest.mark.parametrize(
    ("word", "name", "told"),
    [("cancel", "test", "did you mean tests?"), ("redrive", "nobody-at-all", "keys list")],
)
def test_unknown_tenant_is_refused_with_a_similar_name(
    bench: Bench, command: Command, word: str, name: str, told: str
) -> None:
    bench.submit()

    said = command.said("jobs", word, "--tenant", name)

    assert said.startswith(f"smart-filter: there is no tenant {name!r}: ")
    assert told in said
    assert command.status("jobs", word, "--tenant", name) == 2


def test_failed_jobs_are_redriven_but_those_whose_photos_are_gone(
    bench: Bench, command: Command
) -> None:
    gone = bench.submit()
    fail_one(bench)
    bench.execute("UPDATE artifacts SET marked_at = statement_timestamp()")
    kept = bench.submit()
    fail_one(bench)

    told = command("jobs", "redrive", "--tenant", "tests")

    assert told == {"tenant": "tests", "redriven": 1, "left": 1}
    assert [bench.job(job_id).state for job_id in (gone, kept)] == ["failed", "running"]
