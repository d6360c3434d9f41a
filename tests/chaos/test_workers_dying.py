"""Workers that are killed, halted, or asked to stop, while photos are in progress."""

import functools
import random
import signal
import uuid
from collections.abc import Callable

import pytest

from smart_filter_shared.ids import JobId
from smart_filter_shared.operations import consistency
from smart_filter_shared.queue import events
from smart_filter_shared.queue.events import EventType
from smart_filter_tests.storm import LEASE_SECONDS, PHOTOS, WORKERS, Plan, Storm

pytestmark = pytest.mark.timeout(600)
# About the duration of a burst here.
BURST_SECONDS = 0.25 * PHOTOS
BEST = 2


Act = Callable[[str], object]


def at_any_moment(chance: random.Random, act: Act, *, times: int) -> Plan:
    """Return a plan of actions on workers at random times of a burst."""
    return [
        (chance.uniform(0, BURST_SECONDS), functools.partial(act, name))
        for name in chance.choices(WORKERS, k=times)
    ]


def test_workers_killed_at_any_moment_lose_nothing(
    storm_stack: Storm, chance: random.Random
) -> None:
    job_ids = storm_stack.submit()
    kill = storm_stack.running.stack.kill

    storm_stack.ride_out(at_any_moment(chance, kill, times=max(3, PHOTOS // 12)))

    assert storm_stack.damage(job_ids) == []


def test_album_with_killed_workers_is_ranked_and_finishes_once(
    storm_stack: Storm, chance: random.Random
) -> None:
    batch_id, job_ids = storm_stack.submit_album(BEST)

    storm_stack.ride_out(at_any_moment(chance, storm_stack.running.stack.kill, times=3))

    batch = storm_stack.running.client.get(f"/v1/batches/{batch_id}").json()
    assert storm_stack.damage(job_ids) == []
    assert sorted(item["rank"] for item in batch["items"]) == list(range(1, PHOTOS + 1))
    jobs = [storm_stack.running.job(job_id) for job_id in job_ids]
    assert {job["rank"] for job in jobs if job["image"] is not None} == set(range(1, BEST + 1))
    with storm_stack.bench.transaction() as connection:
        batch_events = events.list_for_job(connection, JobId(uuid.UUID(batch_id)))
    assert [event.type for event in batch_events].count(EventType.BATCH_FINISHED) == 1


def test_worker_halted_past_its_lease_overwrites_nothing(
    storm_stack: Storm, chance: random.Random
) -> None:
    job_ids = storm_stack.submit()
    send = storm_stack.running.stack.send
    at = chance.uniform(0.2, 2)

    storm_stack.ride_out(
        [
            (at, lambda: send(WORKERS[0], signal.SIGSTOP)),
            (at + 2 * LEASE_SECONDS, lambda: send(WORKERS[0], signal.SIGCONT)),
        ]
    )

    assert storm_stack.damage(job_ids) == []


def test_stopping_worker_returns_its_stages(long_lease_storm: Storm, chance: random.Random) -> None:
    stack = long_lease_storm.running.stack

    def ask_to_stop(name: str) -> None:
        pid = stack.pid(name)
        stack.send(name, signal.SIGTERM)
        long_lease_storm.running.until(lambda: stack.pid(name) != pid)

    job_ids = long_lease_storm.submit()

    long_lease_storm.ride_out(at_any_moment(chance, ask_to_stop, times=4))

    assert long_lease_storm.damage(job_ids) == []
    assert set(long_lease_storm.attempts(job_ids)) == {1}


def test_audit_finds_nothing_while_workers_run_and_die(
    storm_stack: Storm, chance: random.Random
) -> None:
    found: list[consistency.Finding] = []
    looks = [
        (BURST_SECONDS * part / 8, lambda: found.extend(findings(storm_stack))) for part in range(8)
    ]
    kill = storm_stack.running.stack.kill
    job_ids = storm_stack.submit()

    storm_stack.ride_out([*looks, (chance.uniform(0, BURST_SECONDS), lambda: kill(WORKERS[0]))])

    assert storm_stack.damage(job_ids) == []
    assert [*found, *findings(storm_stack)] == []


def findings(storm: Storm) -> list[consistency.Finding]:
    bench = storm.bench
    with bench.transaction() as connection:
        rows = consistency.check_rows(connection, most=10)
    return [*rows, *consistency.check_objects(bench.engine, bench.store, most=10)]
