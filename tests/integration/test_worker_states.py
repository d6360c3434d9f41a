"""Workers: heartbeats, container health, pauses, drains, and the choice of the sweeper."""

import dataclasses
import hashlib
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import event

from smart_filter_deploy.cli.server import program
from smart_filter_deploy.cli.terminal.exit_codes import NO_SERVER
from smart_filter_shared.catalog.model_card import WeightsFile
from smart_filter_shared.doorbell import Doorbell
from smart_filter_shared.ids import Capability
from smart_filter_shared.pipeline import StageName, TaskName
from smart_filter_shared.queue import heads, worker_registry
from smart_filter_shared.queue.worker_registry import LastHeartbeat, Standing, WorkerState
from smart_filter_shared.telemetry.tracing import NULL_TRACES
from smart_filter_tests.bench import Bench, capability
from smart_filter_tests.commands import Command
from smart_filter_tests.outages import wait_until
from smart_filter_tests.serving import a_card
from smart_filter_workers.models import catalog
from smart_filter_workers.models.cache import ModelCache
from smart_filter_workers.models.catalog import ModelCatalog, ModelFile
from smart_filter_workers.runtime import capabilities
from smart_filter_workers.runtime.capabilities import ServedCapabilities
from smart_filter_workers.runtime.context import WorkerContext
from smart_filter_workers.runtime.heartbeat import Heartbeat
from smart_filter_workers.runtime.shutdown import GracefulShutdown
from smart_filter_workers.runtime.weights_watch import WeightsWatch
from smart_filter_workers.system import resources

FACE, SMILE = capability(StageName.FACE), capability(StageName.SMILE)
ELSEWHERE = "another machine"
AGE = """
    UPDATE workers SET seen_at = seen_at - interval '31 s',
        started_at = started_at - interval '31 s'
"""
Health = Callable[[], tuple[object, str]]
PREPARE = capability(StageName.PREPARE)


@dataclass(slots=True)
class Beating:
    bench: Bench
    serving: ServedCapabilities = field(
        default_factory=lambda: ServedCapabilities([FACE, SMILE], {})
    )
    draining: threading.Event = field(default_factory=threading.Event)

    def heartbeat(self) -> Heartbeat:
        return Heartbeat(
            self.bench.engine,
            self.bench.settings.engine,
            worker=self.bench.worker,
            serving=self.serving,
            threads=1,
            draining=self.draining,
            on_hang=lambda: None,
            on_announced=lambda: None,
        )

    def census(self) -> dict[tuple[Capability, WorkerState], int]:
        return self.bench.do(worker_registry.count_by_state, silent_seconds=30)

    def served(self) -> set[Capability]:
        return self.bench.do(worker_registry.list_served, silent_seconds=30)


@pytest.fixture
def health(command: Command) -> Health:
    return lambda: (command.status("worker-health"), command.output("worker-health"))


def announce_here(bench: Bench, **fields: Any) -> None:  # noqa: ANN401 - of Worker
    """Record the heartbeat of a worker of this machine, by default of this very process."""
    bench.announce(**{"host": socket.gethostname(), "pid": os.getpid(), **fields})


@pytest.fixture
def beating(bench: Bench) -> Beating:
    return Beating(bench)


@pytest.mark.parametrize(
    ("how", "face", "smile", "served"),
    [
        ("starting", WorkerState.STARTING, WorkerState.STARTING, set()),
        ("drained", WorkerState.DRAINING, WorkerState.DRAINING, set()),
        ("one model failed", WorkerState.READY, WorkerState.SETUP_FAILED, {FACE}),
    ],
)
def test_heartbeat_writes_the_workers_state(
    beating: Beating, how: str, face: WorkerState, smile: WorkerState, served: set[Capability]
) -> None:
    if how == "drained":
        beating.draining.set()
    if how == "one model failed":
        beating.serving.fail(SMILE, "weights file smile.bin has a wrong SHA-256")
    if how != "starting":
        beating.serving.open()

    beating.heartbeat().beat()

    assert beating.census() == {(FACE, face): 1, (SMILE, smile): 1}
    assert beating.served() == served


def test_worker_is_busy_while_it_holds_a_lease(beating: Beating) -> None:
    beating.serving.open()
    heartbeat = beating.heartbeat()
    beating.bench.submit()
    lease = beating.bench.claim_one(StageName.PREPARE)

    heartbeat.beat()
    before = beating.census()
    with heartbeat.at_work(), heartbeat.holding([lease], limit_seconds=60):
        heartbeat.beat()
        meanwhile = beating.census()

    assert before[FACE, WorkerState.READY] == 1
    assert meanwhile == {(FACE, WorkerState.BUSY): 1, (SMILE, WorkerState.BUSY): 1}
    assert beating.served() == {FACE, SMILE}


def test_drain_waits_for_a_thread_between_its_claim_and_its_run(beating: Beating) -> None:
    heartbeat = beating.heartbeat()
    settings = beating.bench.settings
    doorbell = Doorbell(settings.broker)
    draining = GracefulShutdown(beating.bench.engine, doorbell, settings.engine, NULL_TRACES)

    with heartbeat.at_work():
        draining.drain_after_signal(heartbeat)
        (drain,) = [one for one in threading.enumerate() if one.name == "drain"]
        with heartbeat.holding([], limit_seconds=60):
            pass
        drain.join(0.3)
        waits = drain.is_alive()
    drain.join(60)

    assert (waits, drain.is_alive()) == (True, False)


def test_resumed_worker_counts_from_its_heartbeat_on(beating: Beating) -> None:
    beating.serving.open()
    heartbeat = beating.heartbeat()
    heartbeat.beat()

    beating.bench.do(worker_registry.drain, beating.bench.worker)
    heartbeat.beat()
    drained = beating.served()
    beating.bench.do(worker_registry.resume, beating.bench.worker)
    heartbeat.beat()

    assert drained == set()
    assert beating.served() == {FACE, SMILE}


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (WorkerState.STARTING, 1),
        (WorkerState.READY, 0),
        (WorkerState.BUSY, 0),
        (WorkerState.DRAINING, 0),
        (WorkerState.UNHEALTHY, 1),
        (WorkerState.SETUP_FAILED, 1),
    ],
)
def test_container_is_healthy_while_its_worker_can_work(
    bench: Bench, health: Health, state: WorkerState, status: int
) -> None:
    announce_here(bench, failed={FACE: "no GPU"}, wanted=[FACE], state=state)

    ended, said = health()

    assert ended == status
    assert f"worker {os.getpid()}: {state}, last heartbeat " in said
    assert said.endswith(f" s ago; {FACE}: no GPU\n")


def test_container_with_a_silent_worker_is_unhealthy_until_it_restarts(
    bench: Bench, health: Health
) -> None:
    announce_here(bench)
    bench.execute(AGE)
    ended, said = health()
    announce_here(bench)

    assert (ended, health()[0]) == (1, 0)
    assert f"worker {os.getpid()}: unhealthy, last heartbeat 3" in said


@pytest.mark.parametrize(
    ("served", "state", "has_peer"),
    [
        ([FACE, SMILE], WorkerState.READY, True),
        ([FACE, SMILE, PREPARE], WorkerState.READY, True),
        ([FACE], WorkerState.READY, False),
        ([FACE, SMILE], WorkerState.BUSY, False),
    ],
    ids=["same", "more", "less", "busy"],
)
def test_heartbeat_tells_whether_another_idle_worker_serves_the_same(
    bench: Bench, served: list[Capability], state: WorkerState, *, has_peer: bool
) -> None:
    bench.announce(*served, state=state)
    beat = partial(bench.announce, FACE, SMILE, id=bench.worker)

    assert beat() == Standing(False, has_peer)
    bench.execute(AGE)
    assert beat() == Standing(False, False)


def test_idle_heartbeat_takes_two_statements(bench: Bench) -> None:
    """Polls that have found nothing show that no stage waits for the worker's threads."""
    beating = Beating(bench)
    beating.serving.open()
    heartbeat = beating.heartbeat()
    heartbeat.note_empty_poll()

    sent: list[object] = []

    def note(*executed: object) -> None:
        sent.append(executed[2])

    event.listen(bench.engine, "before_cursor_execute", note)
    try:
        heartbeat.beat()
    finally:
        event.remove(bench.engine, "before_cursor_execute", note)

    assert len(sent) == 2, sent


def test_killed_workers_and_those_elsewhere_do_not_count(bench: Bench, health: Health) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    announce_here(bench, pid=gone.pid)
    bench.announce(host=ELSEWHERE, pid=os.getpid())

    assert health() == (
        1,
        "smart-filter: no worker or sender of this machine has reached the database\n",
    )


def test_health_needs_a_database(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMART_FILTER_DATABASE_URL", "postgresql+psycopg://a:b@127.0.0.1:9/c")

    assert command.status("worker-health") == NO_SERVER


@pytest.mark.slow  # a worker process starts
def test_worker_that_can_serve_nothing_reports_it_and_claims_nothing(
    bench: Bench, tmp_path: Path
) -> None:
    (card,) = [card for card in catalog.discover_models().cards if card.name == "people"]
    (tmp_path / "weights").mkdir()
    for file in card.weights:
        (tmp_path / "weights" / file.name).write_bytes(b"spoilt")
    environment = {
        **os.environ,
        **bench.environment,
        "SMART_FILTER_DATA": str(tmp_path),
        "SMART_FILTER_HEARTBEAT_SECONDS": "0.1",
    }
    words = program.command("worker", "--stages", "segmentation", "--models", "people")
    process = subprocess.Popen(words, env=environment)
    try:
        sign = _sign_of(bench, process)
        process.send_signal(signal.SIGTERM)
        status = process.wait(60)
    finally:
        process.kill()
        process.wait()

    (reason,) = sign.failed.values()
    assert "has a wrong SHA-256" in reason
    assert (sign.state, status) == (WorkerState.SETUP_FAILED, 0)
    assert bench.do(worker_registry.last_seen, socket.gethostname(), silent_seconds=30) == []


def _sign_of(bench: Bench, worker: "subprocess.Popen[bytes]") -> LastHeartbeat:
    def signs() -> list[LastHeartbeat]:
        assert worker.poll() is None, f"it ended with status {worker.returncode}"
        seen = bench.do(worker_registry.last_seen, socket.gethostname(), silent_seconds=30)
        return [sign for sign in seen if sign.state != WorkerState.STARTING]

    wait_until(lambda: signs() != [])
    return signs()[0]


def test_paused_capability_is_not_ready_and_its_running_stage_finishes(bench: Bench) -> None:
    for _ in range(2):
        bench.submit()
    bench.announce(PREPARE, id=bench.worker)
    running = bench.claim_one(StageName.PREPARE)

    bench.do(heads.pause, PREPARE)

    assert bench.do(heads.list_ready, [PREPARE]) == []
    assert bench.complete(running).lost == []


def test_drained_worker_whose_row_was_dropped_stays_drained(bench: Bench) -> None:
    bench.announce(PREPARE, id=bench.worker)
    bench.do(worker_registry.delete_silent, silent_seconds=0)

    assert bench.announce(PREPARE, id=bench.worker, draining=True).must_drain


@pytest.mark.parametrize(
    ("ago_seconds", "may_expire"),
    [(70, True), (240, True), (1800, False)],
    ids=["in time", "a little late", "after an outage"],
)
def test_one_process_sweeps_and_expires_unless_no_heartbeat_was_possible(
    bench: Bench, ago_seconds: float, *, may_expire: bool
) -> None:
    bench.execute(
        """
            UPDATE sweeper SET expires_from = '2000-01-01',
                swept_at = statement_timestamp() - make_interval(secs => :ago)
        """,
        ago=ago_seconds,
    )

    won, second = (
        bench.do(worker_registry.acquire_sweep, every_seconds=60, heartbeat_seconds=60)
        for _ in range(2)
    )

    assert won is not None
    assert (won.may_expire, second) == (may_expire, None)


@pytest.mark.parametrize(("content", "works"), [(b"late", True), (b"cut off", False)])
def test_model_is_served_when_its_weights_arrive(
    bench: Bench, tmp_path: Path, content: bytes, *, works: bool
) -> None:
    weights = WeightsFile("late.bin", hashlib.sha256(b"late").hexdigest())
    late = dataclasses.replace(a_card(TaskName.FACE), default=True, weights=(weights,))
    file = cast(ModelFile, SimpleNamespace(CARD=late, load=lambda _: "network"))
    known = ModelCatalog({(TaskName.FACE, late.name): file})
    offers = known.offers(tmp_path)
    setup = capabilities.plan_capabilities(offers, stages=[StageName.FACE])
    setup.serving.open()
    context = SimpleNamespace(
        settings=SimpleNamespace(weights=tmp_path),
        catalog=known,
        models=ModelCache(known, tmp_path, memory_limit=resources.get_limit(None)),
        engine=bench.engine,
        serving=setup.serving,
        heartbeat=SimpleNamespace(announce=lambda: None),
    )
    watch = WeightsWatch(
        cast(WorkerContext, context), offers, stages=[StageName.FACE], models=(), gpu_fault=None
    )
    watch.look()
    assert "late.bin is missing" in setup.serving.failed[late.capability]

    (tmp_path / "late.bin").write_bytes(content)
    watch.look()

    assert setup.serving.capabilities == ((late.capability,) if works else ())
