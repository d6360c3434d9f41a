"""What operators see: /metrics and the one table, queues, and what workers have done."""

import re
from collections.abc import Iterator

import httpx
import pytest

from smart_filter_shared.ids import new_delivery_id, new_worker_id
from smart_filter_shared.jobs import fairness, measures, pauses, presence, transitions
from smart_filter_shared.jobs.leases import Failure
from smart_filter_shared.jobs.measures import Amount, Count, Measure
from smart_filter_shared.jobs.presence import Worker
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.telemetry.metrics import METRICS, Kind, Step
from smart_filter_tests.bench import TENANT, Bench, capability
from smart_filter_tests.running import Running
from smart_filter_tests.serving import Api, an_api, serving
from smart_filter_workers.retention import Retention
from smart_filter_workers.sweeper import Sweeper
from smart_filter_workers.tally import Tally

PREPARE, SEGMENTATION, FACE, SMILE, COMPOSITE = StageName
RAISED = Failure("model_failed", "A model failed", "ValueError in face")
LINE = re.compile(r"([a-z_]+)(?:\{(.*)\})? (\S+)")
SUFFIXES = {
    Kind.GAUGE: {""},
    Kind.COUNTER: {""},
    Kind.SUMMARY: {"_sum", "_count"},
    Kind.HISTOGRAM: {"_bucket", "_sum", "_count"},
}


@pytest.fixture
def fresh_api(bench: Bench) -> Iterator[Api]:
    """An API that remembers nothing of earlier tests."""
    with serving(bench.settings) as url, an_api(url, bench) as api:
        yield api


@pytest.fixture
def tally() -> Tally:
    return Tally()


@pytest.fixture
def sweeper(bench: Bench, tally: Tally) -> Sweeper:
    return Sweeper(
        bench.engine,
        bench.doorbell,
        bench.settings.engine,
        tally=tally,
        retention=Retention(bench.engine, bench.store, cell="default"),
        cell="default",
    )


def scraped(url: str) -> dict[str, float]:
    """Return what a scrape without a key shows, by name and labels."""
    answer = httpx.get(f"{url}/metrics", timeout=20)
    assert answer.status_code == 200
    samples = (line for line in answer.text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in samples)}


def sweep(bench: Bench, sweeper: Sweeper) -> None:
    """Sweep though somebody has within the last second."""
    with bench.transaction() as connection:
        # Not as long ago that leases would be given time to be renewed.
        connection.exec_driver_sql("UPDATE cells SET swept_at = now() - interval '2 s'")
    assert sweeper.sweep()


def test_metrics_are_those_of_the_table_and_no_others(fresh_api: Api, sweeper: Sweeper) -> None:
    job_id = fresh_api.submit()
    fresh_api.client.post(f"/v1/jobs/{job_id}/cancel")
    everything = {
        Measure(what, "ended" if what == Count.ENDED else "face.bench"): Amount(1, 1.0)
        for what in (*Step, *Count)
    }
    with fresh_api.bench.transaction() as connection:
        measures.add(connection, everything)
        presence.announce(connection, Worker(new_worker_id(), "here", 1, [capability(FACE)], 1))
        fairness.advance(connection, {capability(FACE): fairness.Progress(0, 1, 1.0)})
    sweeper.sweep()

    answer = fresh_api.client.get("/metrics")

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


def test_queues_are_counted_by_state(fresh_api: Api) -> None:
    for _ in range(3):
        fresh_api.submit()
    fresh_api.bench.claim_one(PREPARE)

    seen = scraped(fresh_api.url)

    assert seen['smart_filter_stages{capability="prepare.bench",state="ready"}'] == 2
    assert seen['smart_filter_stages{capability="prepare.bench",state="running"}'] == 1
    assert seen['smart_filter_stages{capability="face.bench",state="waiting"}'] == 3
    assert seen["smart_filter_database_up"] == 1


def test_paused_queue_is_told_from_others(fresh_api: Api) -> None:
    fresh_api.submit()
    with fresh_api.bench.transaction() as connection:
        pauses.pause(connection, capability(FACE))

    seen = scraped(fresh_api.url)

    assert seen['smart_filter_paused{capability="face.bench"}'] == 1
    assert seen['smart_filter_paused{capability="prepare.bench"}'] == 0


def test_oldest_wait_is_that_of_the_stage_that_is_ready_longest(bench: Bench) -> None:
    oldest, _ = bench.submit(), bench.submit()
    with bench.transaction() as connection:
        connection.exec_driver_sql(
            "UPDATE stages SET ready_at = ready_at - interval '90 s' WHERE job_id = %s", (oldest,)
        )
        queues = measures.read(connection, silent_seconds=30).queues

    assert 90 <= queues[capability(PREPARE)].oldest_wait_seconds < 100
    assert queues[capability(FACE)].oldest_wait_seconds == 0


@pytest.mark.parametrize("way", ["need", "time", "release", "redrive"])
def test_wait_begins_when_a_stage_becomes_ready(bench: Bench, way: str) -> None:
    job_id = bench.submit()
    with bench.transaction() as connection:
        connection.exec_driver_sql("UPDATE stages SET ready_at = ready_at - interval '90 s'")
    waiting = PREPARE
    lease = bench.claim_one(PREPARE)
    if way == "need":
        waiting = FACE
        bench.complete(lease)
    with bench.transaction() as connection:
        if way == "time":
            transitions.retry(connection, lease, RAISED, delay_seconds=5, max_attempts=3)
        elif way == "release":
            transitions.release(connection, lease, delay_seconds=0, give_up_seconds=60)
        elif way == "redrive":
            transitions.fail(connection, lease, RAISED)
            transitions.redrive(connection, job_id, TENANT)
    bench.pass_time(job_id, PREPARE, seconds=6)
    bench.sweep()

    with bench.transaction() as connection:
        queue = measures.read(connection, silent_seconds=30).queues[capability(waiting)]

    assert queue.ready == 1
    assert queue.oldest_wait_seconds < 10


def test_what_a_worker_did_is_added_to_what_others_did(bench: Bench, tally: Tally) -> None:
    bench.submit()
    face = capability(FACE)
    for worker in (tally, Tally()):
        worker.claimed(bench.claim(PREPARE))
        with worker.timed(Step.LOAD, face):
            pass
        worker.count(Count.RETRIES, face)
        worker.publish(bench.engine)
        worker.publish(bench.engine)

    with bench.transaction() as connection:
        totals = measures.read(connection, silent_seconds=30).totals

    assert totals[Measure(Count.ATTEMPTS, capability(PREPARE))] == Amount(1)
    assert totals[Measure(Count.RETRIES, face)] == Amount(2)
    assert totals[Measure(Step.LOAD, face)].count == 2


def test_counters_are_shown_before_there_is_anything_to_count(fresh_api: Api) -> None:
    fresh_api.submit()

    seen = scraped(fresh_api.url)

    assert seen['smart_filter_dead_letters_total{capability="prepare.bench"}'] == 0
    assert seen['smart_filter_lease_expiries_total{capability="face.bench"}'] == 0
    assert seen['smart_filter_jobs_ended_total{outcome="failed"}'] == 0


def test_what_could_not_be_told_is_told_later(bench: Bench, tally: Tally) -> None:
    tally.count(Count.RELEASES, capability(FACE))
    with bench.transaction() as connection:
        connection.exec_driver_sql("ALTER TABLE measures RENAME TO away")
    with pytest.raises(Exception, match="measures"):
        tally.publish(bench.engine)
    with bench.transaction() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO measures")

    tally.count(Count.RELEASES, capability(FACE))
    tally.publish(bench.engine)

    with bench.transaction() as connection:
        totals = measures.read(connection, silent_seconds=30).totals
    assert totals == {Measure(Count.RELEASES, capability(FACE)): Amount(2)}


def test_expired_leases_are_counted_where_they_were(bench: Bench, sweeper: Sweeper) -> None:
    for _ in range(2):
        bench.submit()
        bench.age(bench.claim_one(PREPARE), seconds=31)

    sweep(bench, sweeper)

    with bench.transaction() as connection:
        totals = measures.read(connection, silent_seconds=30).totals
    assert totals == {Measure(Count.EXPIRIES, capability(PREPARE)): Amount(2)}


def test_jobs_are_counted_once_an_end(bench: Bench, sweeper: Sweeper) -> None:
    canceled, failed = bench.submit(), bench.submit()
    with bench.transaction() as connection:
        transitions.cancel(connection, canceled, TENANT)
    lease = bench.claim_one(PREPARE)
    with bench.transaction() as connection:
        transitions.fail(connection, lease, RAISED)
    for _ in range(2):
        sweep(bench, sweeper)
    with bench.transaction() as connection:
        transitions.redrive(connection, failed, TENANT)
    bench.advance(PREPARE, FACE, SEGMENTATION, SMILE, COMPOSITE)
    for _ in range(2):
        sweep(bench, sweeper)

    with bench.transaction() as connection:
        totals = measures.read(connection, silent_seconds=30).totals
    ended = {one.subject: it.count for one, it in totals.items() if one.what == Count.ENDED}
    assert ended == {
        "canceled": 1,
        "failed": 1,
        "succeeded": 1,
    }


def test_stage_that_failed_for_no_fault_of_its_photo_is_a_dead_letter(
    bench: Bench, sweeper: Sweeper
) -> None:
    unusable = Failure("no_person", "There is no person", "nobody is in it")
    for failure in (RAISED, unusable):
        bench.submit()
        lease = bench.claim_one(PREPARE)
        with bench.transaction() as connection:
            transitions.fail(connection, lease, failure)

    for _ in range(2):
        sweep(bench, sweeper)

    with bench.transaction() as connection:
        totals = measures.read(connection, silent_seconds=30).totals
    assert totals == {
        Measure(Count.DEAD, capability(PREPARE)): Amount(1),
        Measure(Count.ENDED, "failed"): Amount(2),
    }


def test_batches_are_counted_with_what_was_claimed_in_them(bench: Bench, tally: Tally) -> None:
    for _ in range(5):
        bench.submit()
    for size in (4, 4, 4):
        tally.claimed(bench.claim(PREPARE, batch_size=size))
    tally.publish(bench.engine)

    with bench.transaction() as connection:
        totals = measures.read(connection, silent_seconds=30).totals

    assert totals[Measure(Count.BATCHES, capability(PREPARE))] == Amount(2)
    assert totals[Measure(Count.BATCHED, capability(PREPARE))] == Amount(5)


@pytest.mark.parametrize(
    ("due", "lag"), [({"a": 7, "b": 40, "c": -60}, 40), ({"a": -60}, 0), ({}, 0)]
)
def test_webhook_lag_is_that_of_the_delivery_which_is_due_longest(
    bench: Bench, due: dict[str, int], lag: int
) -> None:
    with bench.transaction() as connection:
        for lane, seconds in due.items():
            connection.exec_driver_sql(
                "INSERT INTO deliveries (id, tenant, webhook, lane, type, happened_at, due_at)"
                " VALUES (%s, 'tests', 'default', %s, 'job.succeeded', now(),"
                " now() - make_interval(secs => %s))",
                (new_delivery_id(), lane, seconds),
            )

    with bench.transaction() as connection:
        seen = measures.read(connection, silent_seconds=30).webhook_lag_seconds

    assert seen == pytest.approx(lag, abs=2)


def test_redriven_job_is_charged_for_what_it_ran_and_no_more(bench: Bench) -> None:
    job_id = bench.submit()
    bench.advance(PREPARE)
    with bench.transaction() as connection:
        start = connection.exec_driver_sql("SELECT finish FROM tenants").scalar_one()
        estimated = connection.exec_driver_sql("SELECT estimated_seconds FROM jobs").scalar_one()
        transitions.fail(connection, bench.claim_one(FACE), RAISED)
    for _ in range(2):
        with bench.transaction() as connection:
            fairness.settle(connection)
    with bench.transaction() as connection:
        transitions.redrive(connection, job_id, TENANT)
    bench.advance(FACE, SEGMENTATION, SMILE, COMPOSITE)

    with bench.transaction() as connection:
        fairness.settle(connection)
        finish = connection.exec_driver_sql("SELECT finish FROM tenants").scalar_one()

    # Each of five stages takes 0.1 s on the bench.
    assert finish == pytest.approx(start - estimated + 5 * 0.1)


def test_requests_are_told_apart_by_route_and_not_by_address(fresh_api: Api) -> None:
    for _ in range(3):
        fresh_api.job(fresh_api.submit())
    for number in range(3):
        fresh_api.client.get(f"/v1/nothing/{number}")
        fresh_api.client.get(f"/v1/jobs/{number}")

    seen = scraped(fresh_api.url)

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


def test_running_stack_shows_what_a_photo_took(running_stack: Running) -> None:
    url = str(running_stack.client.base_url)
    running_stack.wait(running_stack.submit(background="preset:sunrise"))

    def all_told() -> bool:
        seen = scraped(url)
        steps = {
            step
            for step in Step
            if seen.get(
                f'smart_filter_step_seconds_sum{{capability="composite.layers",step="{step}"}}', 0
            )
            > 0
        }
        ended = seen.get('smart_filter_jobs_ended_total{outcome="succeeded"}', 0)
        attempts = seen.get('smart_filter_attempts_total{capability="segmentation.people"}', 0)
        return steps == set(Step) and ended >= 1 and attempts >= 1

    running_stack.until(all_told)
