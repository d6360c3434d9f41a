"""Workers find work from the database; rings only start their turns earlier."""

import dataclasses
import threading
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from smart_filter_shared.config import NO_BROKER
from smart_filter_shared.config.settings import BrokerSettings
from smart_filter_shared.doorbell import queue_name
from smart_filter_shared.ids import JobId
from smart_filter_shared.queue.states import StageState
from smart_filter_tests import broker_faults, face_worker
from smart_filter_tests.bench import Bench, capability
from smart_filter_tests.face_worker import FaceWorker
from smart_filter_tests.outages import wait_until
from smart_filter_tests.proxy import before_broker
from smart_filter_tests.stages import FACE
from smart_filter_workers.runtime.turns import POLL_SECONDS, SHARED_POLL_SECONDS

THREADS = 2


@pytest.fixture
def worker(bench: Bench) -> Iterator[FaceWorker]:
    with face_worker.start(bench, threads=THREADS) as started:
        yield started


def has_run(bench: Bench, job_id: JobId) -> bool:
    return bench.states(job_id)[FACE] == StageState.SUCCEEDED


def test_poll_starts_turns_for_a_stage_that_nothing_rang_for(worker: FaceWorker) -> None:
    job_id = worker.submit()

    started = worker.turns.look()

    assert started == THREADS
    wait_until(lambda: has_run(worker.bench, job_id))


def test_poll_leaves_no_transaction_open(worker: FaceWorker) -> None:
    started = worker.turns.look()

    state = worker.bench.scalar("""
        SELECT state FROM pg_stat_activity
        WHERE pid <> pg_backend_pid() AND query LIKE '%EXISTS%stages%'
    """)
    assert (started, state) == (0, "idle")


def test_turns_of_rings_and_polls_are_no_more_than_the_threads(worker: FaceWorker) -> None:
    worker.submit()
    busy = threading.Event()

    worker.turns.submit(lambda: bool(busy.wait()) or None)
    started = worker.turns.look()
    busy.set()

    assert started == THREADS - 1


def test_worker_polls_half_as_often_next_to_an_idle_one(worker: FaceWorker) -> None:
    alone = worker.turns.pause_seconds
    worker.bench.announce(*worker.context.serving.capabilities, host="elsewhere")
    worker.context.heartbeat.beat()

    assert (alone, worker.turns.pause_seconds) == (POLL_SECONDS, SHARED_POLL_SECONDS)


def test_worker_that_drains_begins_no_turn(worker: FaceWorker) -> None:
    worker.submit()
    worker.context.draining.set()

    assert worker.turns.look() == 0


@pytest.mark.parametrize("url", [NO_BROKER, "redis://127.0.0.1:9/0"], ids=["none", "never there"])
def test_worker_without_a_broker_polls(bench: Bench, url: str) -> None:
    settings = dataclasses.replace(
        bench.settings, broker=BrokerSettings.model_validate({"url": url})
    )
    stopping = threading.Event()
    with face_worker.start(bench, settings=settings) as worker:
        worker.listener.start()
        polling = threading.Thread(target=worker.turns.run, args=(stopping,))
        polling.start()
        job_id = worker.submit()

        wait_until(lambda: has_run(bench, job_id))
        stopping.set()
        polling.join()


# A message whose body is of another kind.
FOREIGN = """{
    "body": "!!", "content-type": "application/x-python-serialize", "content-encoding": "binary",
    "headers": {}, "properties": {
        "delivery_tag": "1", "body_encoding": "base64",
        "delivery_info": {"routing_key": "x", "exchange": ""}
    }
}"""


def test_rings_are_heard_behind_messages_that_are_no_rings(worker: FaceWorker) -> None:
    bench = worker.bench
    queue = queue_name(capability(FACE))
    worker.listener.start()
    with capture_logs() as logs:
        for message in (
            "garbage",
            "{}",
            "[]",
            "1",
            '{"body": 1, "properties": {}}',
            b"\xff",
            FOREIGN,
        ):
            bench.broker.lpush(queue, message)
        job_id = worker.submit()
        bench.doorbell.ring([capability(FACE)])

        wait_until(lambda: has_run(bench, job_id))
        wait_until(lambda: bench.broker.llen(queue) == 0)

    assert [line["event"] for line in logs].count("message_dropped") == 6
    assert "loop_step_failed" not in {line["event"] for line in logs}


def test_key_of_another_program_is_one_line_of_the_log(
    worker: FaceWorker, caplog: pytest.LogCaptureFixture
) -> None:
    bench = worker.bench
    queue = queue_name(capability(FACE))
    bench.broker.set(queue, "no list")
    with capture_logs() as logs:
        worker.listener.start()
        wait_until(lambda: logs)
        worker.listener.stop()
    bench.broker.delete(queue)

    (line,) = logs
    assert line["event"] == "server_refuses"
    assert "WRONGTYPE" in line["reason"]
    assert "exc_info" not in line
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.slow  # Celery's worker is built twice
def test_rings_are_heard_again_after_the_broker_was_read_only(bench: Bench) -> None:
    with before_broker(bench.settings.broker) as (proxy, broker):
        settings = dataclasses.replace(bench.settings, broker=broker)
        with face_worker.start(bench, settings=settings) as worker:
            worker.listener.start()
            first = worker.submit()
            bench.doorbell.ring([capability(FACE)])
            wait_until(lambda: has_run(bench, first))

            with broker_faults.read_only(bench.broker):
                proxy.cut()
            second = worker.submit()
            bench.doorbell.ring([capability(FACE)])

            wait_until(lambda: has_run(bench, second))
