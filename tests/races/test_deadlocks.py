"""Batches over the same jobs in opposite orders: the lock order prevents deadlocks."""

import contextlib
import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from sqlalchemy import text

from smart_filter_shared.errors import NotFound
from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs.photo_queue import CLIENT, WORKER
from smart_filter_shared.queue.leases import Lease
from smart_filter_tests import races
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.stages import FACE, PREPARE, SEGMENTATION

JOBS = 6
ROUNDS = 4


@dataclass(frozen=True, slots=True)
class Crowd:
    """Jobs whose segmentation and face run, each batch in its own order."""

    job_ids: Sequence[JobId]
    segmentation: Sequence[Lease]
    face: Sequence[Lease]


def crowd(bench: Bench) -> Crowd:
    """Make jobs whose leases have run out, half of them without patience."""
    bench.empty()
    job_ids = [bench.submit() for _ in range(JOBS)]
    bench.complete(*bench.claim(PREPARE, batch_size=JOBS))
    batches = [bench.claim(stage, batch_size=JOBS) for stage in (SEGMENTATION, FACE)]
    with bench.transaction() as connection:
        connection.execute(
            text("""
                UPDATE stages SET leased_until = leased_until - interval '1 day',
                    patience_since = CASE WHEN stage = 'face'
                        THEN statement_timestamp() - interval '1 day' END
                WHERE state = 'running'
            """)
        )
    return Crowd(job_ids, batches[0], batches[1][::-1])


def renew(bench: Bench, leases: Sequence[Lease]) -> None:
    with bench.transaction() as connection:
        WORKER.renew(connection, leases, lease_seconds=30)


def delete_each(bench: Bench, crowd: Crowd) -> None:
    for job_id in reversed(crowd.job_ids):
        with contextlib.suppress(NotFound), bench.transaction() as connection:
            CLIENT.delete(connection, job_id, TENANT)


WORK: Mapping[str, Callable[[Bench, Crowd], object]] = {
    "complete one stage": lambda bench, crowd: bench.complete(*crowd.segmentation),
    "complete the other": lambda bench, crowd: bench.complete(*crowd.face),
    "renew all": lambda bench, crowd: renew(bench, [*crowd.face, *crowd.segmentation]),
    "renew all backwards": lambda bench, crowd: renew(bench, [*crowd.segmentation, *crowd.face]),
    "sweep": lambda bench, _: bench.sweep(),
    "delete": delete_each,
}
PAIRS = tuple(itertools.combinations_with_replacement(WORK, 2))


@pytest.mark.parametrize("pair", PAIRS, ids=" and ".join)
def test_batches_over_the_same_jobs_do_not_deadlock(bench: Bench, pair: tuple[str, str]) -> None:
    deadlocks = races.deadlocks(bench)

    for _ in range(ROUNDS):
        made = crowd(bench)
        races.at_once([functools.partial(WORK[name], bench, made) for name in pair])

    assert races.deadlocks(bench) == deadlocks


def test_sweep_that_ends_a_job_locks_its_stages_in_order(bench: Bench) -> None:
    made = crowd(bench)
    *others, last = sorted(made.segmentation, key=lambda lease: lease.job_id)
    renew(bench, others)

    # Both wait in the last row's lock queue, the sweep before the renewal.
    with ThreadPoolExecutor(2) as pool:
        with bench.transaction() as connection:
            WORKER.renew(connection, [last], lease_seconds=-1)
            sweep = pool.submit(bench.sweep)
            races.wait_for_lock_waiters(bench, sweep)
            renewal = pool.submit(renew, bench, made.segmentation)
            races.wait_for_lock_waiters(bench, renewal, sessions=2)
        ended = [sweep.exception(), renewal.exception()]

    assert ended == [None, None]
