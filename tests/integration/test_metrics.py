"""Metrics for operators: /metrics and its table, queues, and counters of workers."""

import re

import httpx
import pytest

from smart_filter_shared.jobs.photo_queue import CLIENT, WORKER
from smart_filter_shared.operations import counters
from smart_filter_shared.operations.counters import (
    CounterKey,
    CounterName,
    CounterValue,
    ServiceMetrics,
)
from smart_filter_shared.queue import fair_queueing, heads, worker_registry
from smart_filter_shared.queue.leases import Failure
from smart_filter_shared.queue.worker_registry import SENDER_ROLE
from smart_filter_shared.telemetry.metrics import METRICS, MetricKind, WorkerStep
from smart_filter_tests import maintenance
from smart_filter_tests.bench import TENANT, Bench, capability
from smart_filter_tests.outages import without_table
from smart_filter_tests.serving import Api, an_api_with
from smart_filter_tests.stages import COMPOSITE, FACE, PREPARE, SEGMENTATION, SMILE
from smart_filter_workers.maintenance.sweeper import Sweeper
from smart_filter_workers.runtime.counters import WorkerCounters

RAISED = Failure("model_failed", "A model failed", "ValueError in face")
PREPARED = (CounterName.ATTEMPTS, CounterName.BATCHES)
LINE = re.compile(r"([a-z_]+)(?:\{(.*)\})? (\S+)")
SUFFIXES = {
    MetricKind.GAUGE: {""},
    MetricKind.COUNTER: {""},
    MetricKind.SUMMARY: {"_sum", "_count"},
    MetricKind.HISTOGRAM: {"_bucket", "_sum", "_count"},
}


@pytest.fixture
def worker_counters() -> WorkerCounters:
    return WorkerCounters()


@pytest.fixture
def sweeper(bench: Bench, worker_counters: WorkerCounters) -> Sweeper:
    # Leases expire even if the machine is so busy that a sweep comes late.
    return maintenance.sweeper(bench, worker_counters, heartbeat_seconds=600.0)


def scraped(url: str) -> dict[str, float]:
    """Return the samples of a scrape without a key, by name and labels."""
    answer = httpx.get(f"{url}/metrics", timeout=60)
    assert answer.status_code == 200
    samples = (line for line in answer.text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in samples)}


def read(bench: Bench) -> ServiceMetrics:
    return bench.do(counters.read_counters, silent_seconds=30)


def sweep(bench: Bench, sweeper: Sweeper, times: int = 1) -> None:
    """Sweep, regardless of the time of the last sweep."""
    for _ in range(times):
        # Not so long ago that leases would get time to be renewed.
        bench.execute("UPDATE sweeper SET swept_at = now() - interval '2 s'")
        assert sweeper.sweep()


def fail(bench: Bench, failure: Failure = RAISED) -> None:
    lease = bench.claim_one(PREPARE)
    bench.work(WORKER.fail, lease, failure)


def test_metrics_equal_those_of_the_table(api: Api, sweeper: Sweeper) -> None:
    job_id = api.submit()
    api.client.post(f"/v1/jobs/{job_id}/cancel")
    everything = {
        CounterKey(what, "ended" if what == CounterName.ENDED else "face.bench"): CounterValue(
            1, 1.0
        )
        for what in (*WorkerStep, *CounterName)
    }
    api.bench.announce(capability(FACE))
    with api.bench.transaction() as connection:
        counters.add(connection, everything)
        fair_queueing.record_progress(
            connection, {capability(FACE): fair_queueing.Progress(0, 1, 1.0)}
        )
    sweeper.sweep()

    answer = api.operators.get("/metrics")

    lines = answer.text.splitlines()
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    described = [line.split(" ", 3) for line in lines if line.startswith("# HELP ")]
    typed = [line.split(" ")[2:] for line in lines if line.startswith("# TYPE ")]
    assert [(name, meaning) for _, _, name, meaning in described] == [
        (metric.name, metric.meaning) for metric in METRICS
    ]
    assert typed == [[metric.name, metric.kind] for metric in METRICS]
    shown = {
        (match[1], tuple(re.findall(r'(\w+)="', match[2] or "")))
        for line in lines
        if not line.startswith("#")
        for match in [LINE.fullmatch(line)]
        if match
    }
    assert shown == {
        (metric.name + suffix, metric.labels + (("le",) if suffix == "_bucket" else ()))
        for metric in METRICS
        for suffix in SUFFIXES[metric.kind]
    }


def test_counters_of_a_served_capability_begin_at_zero_before_its_first_stage(api: Api) -> None:
    for served in (capability(FACE), SENDER_ROLE):
        api.bench.announce(served)

    seen = scraped(str(api.operators.base_url))

    assert seen['smart_filter_dead_letters_total{capability="face.bench"}'] == 0
    assert not [name for name in seen if "attempts" in name and worker_registry.SENDER_ROLE in name]


def test_queues_are_counted_by_state_and_counters_begin_at_zero(api: Api) -> None:
    for _ in range(3):
        api.submit()
    api.bench.claim_one(PREPARE)
    api.bench.do(heads.pause, capability(FACE))

    seen = scraped(str(api.operators.base_url))

    assert (
        seen.items()
        >= {
            'smart_filter_stages{capability="prepare.bench",state="ready"}': 2,
            'smart_filter_stages{capability="prepare.bench",state="running"}': 1,
            'smart_filter_stages{capability="face.bench",state="waiting"}': 3,
            'smart_filter_paused{capability="face.bench"}': 1,
            'smart_filter_paused{capability="prepare.bench"}': 0,
            "smart_filter_database_up": 1,
            "smart_filter_broker_up": 1,
            'smart_filter_dead_letters_total{capability="prepare.bench"}': 0,
            'smart_filter_lease_expiries_total{capability="face.bench"}': 0,
            'smart_filter_jobs_ended_total{outcome="failed"}': 0,
        }.items()
    )


@pytest.mark.parametrize("way", ["need", "time", "release", "redrive"])
def test_wait_begins_when_a_stage_becomes_ready(bench: Bench, way: str) -> None:
    job_id = bench.submit()
    bench.execute("UPDATE stages SET ready_at = ready_at - interval '9000 s'")
    assert 9000 <= read(bench).queues[capability(PREPARE)].oldest_wait_seconds < 10_000
    waiting = PREPARE
    lease = bench.claim_one(PREPARE)
    if way == "need":
        waiting = FACE
        bench.complete(lease)
    with bench.transaction() as connection:
        if way == "time":
            WORKER.retry(connection, lease, RAISED, delay_seconds=5, max_attempts=3)
        elif way == "release":
            WORKER.release(connection, lease, delay_seconds=0, give_up_seconds=60)
        elif way == "redrive":
            WORKER.fail(connection, lease, RAISED)
            CLIENT.redrive(connection, job_id, TENANT)
    bench.pass_time(job_id, PREPARE, seconds=6)
    bench.sweep()

    queue = read(bench).queues[capability(waiting)]

    assert queue.ready == 1
    assert queue.oldest_wait_seconds < 9000


def test_counters_of_workers_are_summed(bench: Bench, worker_counters: WorkerCounters) -> None:
    for _ in range(5):
        bench.submit()
    face = capability(FACE)
    for worker in (worker_counters, WorkerCounters()):
        worker.record_claims(bench.claim(PREPARE, batch_size=4))
        worker.record_claims([])
        with worker.timed(WorkerStep.LOAD, face):
            pass
        worker.count(CounterName.RETRIES, face)
        worker.publish(bench.engine)
        worker.publish(bench.engine)

    totals = read(bench).totals

    assert totals[CounterKey(WorkerStep.LOAD, face)].count == 2
    assert totals[CounterKey(CounterName.RETRIES, face)] == CounterValue(2)
    prepared = {what: totals[CounterKey(what, capability(PREPARE))].count for what in PREPARED}
    assert prepared == {CounterName.ATTEMPTS: 5, CounterName.BATCHES: 2}


def test_counters_that_could_not_be_written_are_written_later(
    bench: Bench, worker_counters: WorkerCounters
) -> None:
    worker_counters.count(CounterName.RELEASES, capability(FACE))
    with without_table(bench, "measures"), pytest.raises(Exception, match="measures"):
        worker_counters.publish(bench.engine)

    worker_counters.count(CounterName.RELEASES, capability(FACE))
    worker_counters.publish(bench.engine)

    assert read(bench).totals == {
        CounterKey(CounterName.RELEASES, capability(FACE)): CounterValue(2)
    }


def test_expired_leases_are_counted_where_they_were(bench: Bench, sweeper: Sweeper) -> None:
    for _ in range(2):
        bench.submit()
        bench.age(bench.claim_one(PREPARE), seconds=31)

    sweep(bench, sweeper)

    assert read(bench).totals == {
        CounterKey(CounterName.EXPIRIES, capability(PREPARE)): CounterValue(2)
    }


def test_jobs_are_counted_once_per_end(bench: Bench, sweeper: Sweeper) -> None:
    canceled, failed = bench.submit(), bench.submit()
    bench.do(CLIENT.cancel, canceled, TENANT)
    fail(bench)
    sweep(bench, sweeper, times=2)
    bench.do(CLIENT.redrive, failed, TENANT)
    bench.advance(PREPARE, FACE, SEGMENTATION, SMILE, COMPOSITE)
    sweep(bench, sweeper, times=2)

    totals = read(bench).totals

    ended = {one.subject: it.count for one, it in totals.items() if one.what == CounterName.ENDED}
    assert ended == {"canceled": 1, "failed": 1, "succeeded": 1}


def test_stage_that_failed_without_a_fault_of_its_photo_is_a_dead_letter(
    bench: Bench, sweeper: Sweeper
) -> None:
    unusable = Failure("no_person", "There is no person", "the photo shows no person")
    for failure in (RAISED, unusable):
        bench.submit()
        fail(bench, failure)

    sweep(bench, sweeper, times=2)

    assert read(bench).totals == {
        CounterKey(CounterName.DEAD, capability(PREPARE)): CounterValue(1),
        CounterKey(CounterName.ENDED, "failed"): CounterValue(2),
    }


def test_webhook_lag_is_the_age_of_the_oldest_due_delivery(bench: Bench) -> None:
    bench.execute("""
        INSERT INTO deliveries (id, tenant, webhook, lane, type, happened_at, due_at)
        SELECT gen_random_uuid(), 'tests', 'default', CAST(seconds AS text), 'job.succeeded', now(),
            now() - make_interval(secs => seconds)
        FROM unnest(ARRAY[7, 4000, -9000]) AS due (seconds)
    """)

    assert 4000 <= read(bench).webhook_lag_seconds <= 8000


def write_due(bench: Bench) -> None:
    """Write deliveries of five receivers, named after what keeps the oldest one waiting."""
    bench.execute("""
        INSERT INTO deliveries (id, tenant, webhook, lane, type, happened_at, due_at, attempt,
            state, lease_token, leased_until)
        SELECT gen_random_uuid(), 'tests', 'default', lane, 'job.succeeded', now(),
            now() - make_interval(secs => seconds), attempt, state,
            CASE WHEN state = 'sending' THEN gen_random_uuid() END,
            CASE WHEN state = 'sending' THEN now() + make_interval(secs => leased) END
        FROM (VALUES
            ('is slow', 'waiting', 0, 8000, 0), ('is slow', 'sending', 1, 9000, 60),
            ('fails', 'waiting', 0, 6000, 0), ('fails', 'waiting', 1, -300, 0),
            ('sender died', 'waiting', 0, 500, 0), ('sender died', 'sending', 1, 900, -60),
            ('retry is late', 'waiting', 1, 400, 0)
        ) AS known (lane, state, attempt, seconds, leased)
    """)


def test_deliveries_behind_a_slow_or_failing_receiver_are_not_late(bench: Bench) -> None:
    write_due(bench)
    bench.announce(threads=0, wanted=(SENDER_ROLE,))

    assert 500 <= read(bench).webhook_lag_seconds < 6000


def test_failing_receiver_does_not_hide_that_no_sender_is_there(bench: Bench) -> None:
    write_due(bench)

    assert 6000 <= read(bench).webhook_lag_seconds < 8000


def test_requests_are_counted_by_route_and_not_by_address(bench: Bench) -> None:
    with an_api_with(bench) as fresh_api:
        for _ in range(3):
            fresh_api.job(fresh_api.submit())
        for number in range(3):
            fresh_api.client.get(f"/v1/nothing/{number}")
            fresh_api.client.get(f"/v1/jobs/{number}")

        seen = scraped(str(fresh_api.operators.base_url))

    counted = {
        name.removeprefix("smart_filter_request_seconds_count"): value
        for name, value in seen.items()
        if "request_seconds_count" in name
    }
    assert counted == {
        '{method="POST",route="/v1/jobs",status="202"}': 3,
        '{method="GET",route="/v1/jobs/{job_id}",status="200"}': 3,
        '{method="GET",route="/v1/jobs/{job_id}",status="404"}': 3,
        '{method="GET",route="none",status="404"}': 3,
    }
