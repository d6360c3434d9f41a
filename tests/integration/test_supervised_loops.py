"""Loops survive errors or end the process; a row of a later version blocks no other row."""

import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import anyio
import anyio.to_thread
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text
from starlette.applications import Starlette

from integration.databases import connect
from smart_filter_api.http import server
from smart_filter_deploy.cli.server import program
from smart_filter_shared.artifacts.backends import Backends
from smart_filter_shared.config.settings import DatabaseSettings
from smart_filter_shared.db import sessions
from smart_filter_shared.ids import Capability, JobId
from smart_filter_shared.jobs import queries
from smart_filter_shared.jobs.photo_queue import WORKER
from smart_filter_shared.jobs.queries import JobFilter
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue import heads, worker_registry
from smart_filter_shared.queue.leases import Failure
from smart_filter_shared.queue.worker_registry import WorkerState
from smart_filter_shared.supervision import Watchdog
from smart_filter_shared.telemetry import logs
from smart_filter_shared.webhooks import outbox
from smart_filter_tests.bench import TENANT, Bench, capability
from smart_filter_tests.full_stack import RunningStack
from smart_filter_tests.http_server import ReceivedRequest, Reply
from smart_filter_tests.outages import (
    cut_off,
    read_only,
    unreadable_table,
    wait_until,
    without_table,
)
from smart_filter_tests.serving import Api, an_api_with
from smart_filter_tests.unlocked_decoders import UnlockedDecoders
from smart_filter_tests.webhook_receiver import a_receiver, send_due, sending
from smart_filter_workers.maintenance.garbage_collector import GarbageCollector
from smart_filter_workers.maintenance.sweeper import Sweeper
from smart_filter_workers.runtime.capabilities import ServedCapabilities
from smart_filter_workers.runtime.counters import WorkerCounters
from smart_filter_workers.runtime.heartbeat import Heartbeat
from smart_filter_workers.sender.delivery_loop import SendLimits
from smart_filter_workers.stock.ingest import IncomingPictures

TROUBLES = {
    "a replica after a failover": read_only,
    "lost connections": cut_off,
    "a missing table": lambda bench: without_table(bench, "workers"),
}
PREPARE = StageName.PREPARE
# Longer than any test: its watchdog would end the test's own process.
PATIENT_SECONDS = 3600.0
STUCK_WORKER = """
import threading, time
from sqlalchemy import event
from smart_filter_shared.config.settings import DatabaseSettings, EngineSettings
from smart_filter_shared.db import sessions
from smart_filter_shared.ids import new_worker_id
from smart_filter_shared.supervision import Watchdog
from smart_filter_workers.runtime.capabilities import ServedCapabilities
from smart_filter_workers.runtime.heartbeat import Heartbeat

serving = ServedCapabilities([], {})
serving.open()
database = DatabaseSettings(url="postgresql+psycopg://user@127.0.0.1/unused")
engine = sessions.open_engine(database, connections=1)
event.listen(engine, "do_connect", lambda *_: time.sleep(600), insert=True)
Heartbeat(
    engine,
    EngineSettings(heartbeat_seconds=0.1),
    worker=new_worker_id(),
    serving=serving,
    threads=1,
    draining=threading.Event(),
    on_hang=lambda: None,
    on_announced=lambda: None,
    watchdog=Watchdog(0.2),
).run(threading.Event())
"""
STUCK_SERVER = """
import asyncio, contextlib, time
from starlette.applications import Starlette
from smart_filter_api.http import server
from smart_filter_shared.supervision import Watchdog

@contextlib.asynccontextmanager
async def lifespan(_):
    asyncio.get_running_loop().call_later(0.5, time.sleep, 600)
    yield

config = server.build_config(Starlette(lifespan=lifespan))
watchdog = Watchdog(0.2)
watchdog.allow()
server.Server(config, end_waits=lambda: None, watchdog=watchdog).run()
"""


class Part(Protocol):
    def run(self, stopping: threading.Event) -> None: ...


class CountedHeartbeat(Heartbeat):
    """beats: number of started heartbeats."""

    beats = 0

    def beat(self) -> None:
        self.beats += 1
        super().beat()


@dataclass(slots=True)
class Parts:
    """The long-lived threads of a worker."""

    bench: Bench
    engine: Engine
    serving: ServedCapabilities = field(default_factory=lambda: ServedCapabilities([], {}))
    hung: threading.Event = field(default_factory=threading.Event)
    heartbeat: "CountedHeartbeat" = field(init=False)
    retention: GarbageCollector = field(init=False)
    sweeper: Sweeper = field(init=False)

    def __post_init__(self) -> None:
        quick = self.bench.settings.engine.model_copy(
            update={"heartbeat_seconds": 0.2, "sweep_seconds": 0.1}
        )
        self.heartbeat = CountedHeartbeat(
            self.engine,
            quick,
            worker=self.bench.worker,
            serving=self.serving,
            threads=1,
            draining=threading.Event(),
            on_hang=self.hung.set,
            on_announced=lambda: None,
            standstill_seconds=0,
            watchdog=Watchdog(PATIENT_SECONDS),
        )
        self.retention = GarbageCollector(self.engine, self.bench.store)
        self.sweeper = Sweeper(
            self.engine,
            self.bench.doorbell,
            quick,
            counters=WorkerCounters(),
            retention=self.retention,
            pictures=IncomingPictures(Backends(self.engine, self.bench.store), UnlockedDecoders()),
        )

    def serve(self, stage: StageName) -> None:
        self.serving = ServedCapabilities([capability(stage)], {})
        self.serving.open()
        self.__post_init__()

    @contextmanager
    def running(self, *parts: Part) -> Iterator[list[threading.Thread]]:
        stopping = threading.Event()
        threads = [threading.Thread(target=part.run, args=(stopping,)) for part in parts]
        for thread in threads:
            thread.start()
        try:
            yield threads
        finally:
            stopping.set()
            for thread in threads:
                thread.join()

    def moment(self, column: str, table: str) -> object:
        """Return when a row was last written; None: never."""
        return self.bench.scalar(f"SELECT max({column}) FROM {table}")


@pytest.fixture(autouse=True)
def _logs() -> None:
    # structlog's default draws tracebacks with every local variable, which takes seconds.
    logs.configure("worker")


@pytest.fixture
def parts(bench: Bench) -> Iterator[Parts]:
    engine = sessions.open_engine(bench.settings.database, connections=4)
    yield Parts(bench, engine)
    engine.dispose()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("trouble", TROUBLES)
def test_heartbeat_and_sweeper_survive_database_outages(parts: Parts, trouble: str) -> None:
    in_trouble: Callable[[Bench], AbstractContextManager[None]] = TROUBLES[trouble]

    with parts.running(parts.heartbeat, parts.sweeper, parts.retention) as threads:
        with in_trouble(parts.bench):
            before = parts.heartbeat.beats
            wait_until(lambda: parts.heartbeat.beats >= before + 2 or not threads[0].is_alive())
        alive = [thread.is_alive() for thread in threads]
        seen_at, swept_at = parts.moment("seen_at", "workers"), parts.moment("swept_at", "sweeper")

        assert alive == [True, True, True]
        wait_until(lambda: parts.moment("seen_at", "workers") != seen_at)
        wait_until(lambda: parts.moment("swept_at", "sweeper") != swept_at)


class Pauses(threading.Event):
    """Ends a loop that would begin its third pause; other workers sweep from the second on."""

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self.bench = bench
        self.seconds: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout)
        ago = -60 if len(self.seconds) == 1 else 3600
        self.bench.execute("UPDATE sweeper SET swept_at = now() + :ago * interval '1 s'", ago=ago)
        return len(self.seconds) == 3


def test_worker_that_has_not_swept_tries_again_less_often(parts: Parts) -> None:
    pauses = Pauses(parts.bench)

    parts.sweeper.run(pauses)

    assert pauses.seconds == [0.1, 0.1, 0.4]


def test_job_that_cannot_be_settled_does_not_block_retries(parts: Parts) -> None:
    bench = parts.bench
    bench.submit()
    bench.advance(*StageName)
    bench.execute("""
        UPDATE jobs SET foreseen_p50 = 1, foreseen_p90 = 2,
            recipe = recipe || '{"priority": "of a later version"}'
    """)
    job_id = bench.submit()
    lease = bench.claim_one(StageName.PREPARE)
    bench.do(WORKER.release, lease, delay_seconds=60, give_up_seconds=600)
    bench.announce(capability(StageName.PREPARE))
    bench.pass_time(job_id, StageName.PREPARE, seconds=60)

    parts.sweeper.sweep()

    assert (bench.states(job_id)["prepare"], bench.rings(StageName.PREPARE)) == ("ready", 1)


def test_leases_within_their_limit_are_renewed_while_a_hang_ends_the_process(parts: Parts) -> None:
    bench = parts.bench
    for _ in range(2):
        bench.submit()
    hanging, innocent = bench.claim_one(StageName.PREPARE), bench.claim_one(StageName.PREPARE)

    def leased_until() -> object:
        return bench.row(innocent.job_id, innocent.stage)["leased_until"]

    with (
        parts.heartbeat.at_work(),
        parts.heartbeat.holding([innocent], limit_seconds=600),
        # A thread would hold it; only its exceeded limit matters here.
        parts.heartbeat.holding([hanging], limit_seconds=-1),
        parts.running(parts.heartbeat) as threads,
    ):
        assert parts.hung.wait(60)
        bench.age(innocent, seconds=20)
        before, beats = leased_until(), parts.heartbeat.beats
        wait_until(lambda: parts.heartbeat.beats >= beats + 2 or not threads[0].is_alive())

        assert leased_until() != before


def test_worker_whose_threads_leave_stages_waiting_ends(parts: Parts) -> None:
    parts.bench.submit()
    parts.serve(PREPARE)
    parts.bench.execute("UPDATE stages SET ready_at = ready_at - interval '6 s'")

    with parts.running(parts.heartbeat):
        assert parts.hung.wait(60)
        wait_until(
            lambda: (
                parts.bench.do(worker_registry.count_by_state, silent_seconds=30)
                == {(capability(PREPARE), WorkerState.UNHEALTHY): 1}
            )
        )


def test_worker_goes_on_while_a_thread_begins_turns(parts: Parts) -> None:
    parts.bench.submit()
    parts.serve(PREPARE)
    parts.bench.execute("UPDATE stages SET ready_at = ready_at - interval '6 s'")

    with parts.heartbeat.at_work(), parts.running(parts.heartbeat):
        wait_until(lambda: parts.heartbeat.beats >= 3)

        assert not parts.hung.is_set()


def test_worker_whose_stage_thread_died_ends(parts: Parts) -> None:
    def take_turn() -> None:
        with parts.heartbeat.at_work():
            pass

    thread = threading.Thread(target=take_turn)
    thread.start()
    thread.join()

    with parts.running(parts.heartbeat):
        assert parts.hung.wait(60)


@pytest.mark.slow  # a worker process starts
def test_worker_whose_heartbeat_gives_up_ends(bench: Bench, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        **bench.environment,
        "SMART_FILTER_DATA": str(tmp_path),
        "SMART_FILTER_HEARTBEAT_SECONDS": "0.1",
    }
    words = program.command("worker", "--stages", "composite", "--threads", "1")
    process = subprocess.Popen(words, env=environment)
    try:
        wait_until(lambda: bench.scalar("SELECT array_agg(state) FROM workers") == ["ready"])
        with without_table(bench, "pauses"), without_table(bench, "workers"):
            status = process.wait(60)
    finally:
        process.kill()
        process.wait()

    assert status == 1


def test_error_of_an_event_poll_does_not_end_the_api(bench: Bench) -> None:
    with an_api_with(bench) as api:
        job_id = api.submit()
        answers: list[str] = []
        waiting = threading.Thread(target=lambda: answers.append(_state_after_waiting(api, job_id)))
        with unreadable_table(bench, "tombstones") as refused:
            waiting.start()
            wait_until(lambda: refused() > 0)

        later = api.submit()
        api.fail(StageName.PREPARE, Failure("internal", "Failed", "for the test"))
        waiting.join()

    assert answers == ["failed"]
    assert later


def test_sender_survives_a_failed_poll(api: Api) -> None:
    heard = threading.Event()

    def hear(_: ReceivedRequest) -> Reply:
        heard.set()
        return Reply()

    with a_receiver(hear) as receiver:
        webhook = api.create("/v1/webhooks", json={"url": receiver.url})["id"]
        with sending(api.bench, SendLimits(look_seconds=0.01)) as stop:
            with unreadable_table(api.bench, "webhook_secrets") as refused:
                api.bench.do(outbox.write_test, TENANT, webhook)
                wait_until(lambda: refused() > 0)

            assert heard.wait(60)
            stop()


def test_server_ends_when_its_application_does() -> None:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(give_up)
            yield

    async def give_up() -> None:
        await anyio.to_thread.run_sync(wait_until, lambda: failing.started)
        raise RuntimeError("a loop gives up")

    config = server.build_config(Starlette(lifespan=lifespan))
    failing = server.Server(config, end_waits=lambda: None)
    thread = threading.Thread(target=failing.run, daemon=True)
    thread.start()
    thread.join(60)

    assert (thread.is_alive(), failing.has_failed) == (False, True)


@pytest.mark.parametrize("code", [STUCK_WORKER, STUCK_SERVER], ids=["idle worker", "server"])
def test_process_whose_main_loop_is_stuck_ends(code: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, check=False
    )

    assert ended.returncode == 1
    assert "Timeout (" in ended.stderr


def _state_after_waiting(api: Api, job_id: str) -> str:
    state = "queued"
    while state == "queued":
        answer = api.client.get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=15"})
        state = str(answer.json()["state"])
    return state


def write_later(bench: Bench, job_id: JobId) -> None:
    later = """UPDATE jobs SET recipe = recipe || '{"format": "of a later version"}'"""
    bench.execute(f"{later} WHERE id = :id", id=job_id)


def test_claim_skips_a_row_with_a_task_of_a_later_version(bench: Bench) -> None:
    first, second = bench.submit(), bench.submit()
    bench.execute(
        """UPDATE stages SET models = '{"telepathy": "x"}' WHERE job_id = :id""", id=first
    )

    leases = [bench.claim_one(PREPARE), bench.claim_one(PREPARE)]

    assert [lease.job_id for lease in leases] == [first, second]
    assert leases[0].models == {"telepathy": "x"}


def test_jobs_of_a_batch_are_parsed_independently(bench: Bench) -> None:
    first, second = bench.submit(), bench.submit()
    write_later(bench, first)
    leases = bench.claim(PREPARE, batch_size=2)

    jobs = queries.parse_claimed_jobs(leases)

    assert (jobs[first], jobs[second]) == (None, bench.job(second))


def test_worker_releases_an_unreadable_row_and_runs_the_rest(running_stack: RunningStack) -> None:
    running_stack.wait(running_stack.submit())  # after this its workers are known
    settings = DatabaseSettings(url=SecretStr(running_stack.stack.addresses.database_url))
    with connect(settings, connections=1) as engine:
        with sessions.transaction(engine) as connection:
            served = connection.execute(text("SELECT DISTINCT unnest(capabilities) FROM workers"))
            (prepare,) = [
                Capability(name) for name in served.scalars() if name.startswith("prepare.")
            ]
            heads.pause(connection, prepare)
        unreadable, other = [running_stack.submit() for _ in range(2)]
        its_first_stage = f"job_id = '{unreadable}' AND stage = 'prepare'"
        with sessions.transaction(engine) as connection:
            digests = """UPDATE stages SET digests = '{"telepathy": "x"}' WHERE """
            connection.execute(text(digests + its_first_stage))
            heads.resume(connection, prepare)

        def attempts_and_releases() -> tuple[int, int]:
            with sessions.transaction(engine) as connection:
                query = text(f"SELECT attempt, releases FROM stages WHERE {its_first_stage}")
                attempts, releases = connection.execute(query).one()
            return attempts, releases

        assert running_stack.wait(other)["state"] == "succeeded"
        wait_until(lambda: attempts_and_releases()[1] > 0)
        assert attempts_and_releases()[0] <= 1
    assert running_stack.client.delete(f"/v1/jobs/{unreadable}").status_code == 204


def test_page_has_the_requested_length_despite_unreadable_rows(bench: Bench) -> None:
    ids = [bench.submit() for _ in range(5)]
    write_later(bench, ids[3])

    rows = bench.do(queries.list_jobs, JobFilter(TENANT, limit=3))

    assert [row.id for row in rows] == [ids[4], ids[2], ids[1]]


def test_unreadable_job_answers_that_a_retry_may_help(api: Api) -> None:
    job_id = api.submit()
    write_later(api.bench, JobId(uuid.UUID(job_id)))

    answer = api.client.get(f"/v1/jobs/{job_id}")

    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (503, "unavailable")


def test_delivery_of_an_unreadable_job_waits_and_others_are_sent(api: Api) -> None:
    with a_receiver() as receiver:
        api.client.post("/v1/webhooks", json={"url": receiver.url, "events": ["job.failed"]})
        ids = [api.submit(), api.submit()]
        for _ in ids:
            api.fail(PREPARE, Failure("internal", "Failed", "for the test"))
        write_later(api.bench, JobId(uuid.UUID(ids[0])))

        send_due(api.bench)

    assert [json.loads(one.body)["data"]["id"] for one in receiver.got] == [ids[1]]
    assert api.bench.scalar("SELECT array_agg(state ORDER BY number) FROM deliveries") == [
        "waiting",
        "succeeded",
    ]
