"""A sweep and a renewal over the same jobs: the lock order prevents deadlocks."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from smart_filter_shared.jobs.photo_queue import WORKER
from smart_filter_shared.queue.leases import Lease
from smart_filter_tests import races
from smart_filter_tests.bench import Bench
from smart_filter_tests.stages import FACE, PREPARE, SEGMENTATION

JOBS = 6


def renew(bench: Bench, leases: Sequence[Lease]) -> None:
    with bench.transaction() as connection:
        WORKER.renew(connection, leases, lease_seconds=30)


def test_sweep_that_ends_a_job_locks_its_stages_in_order(bench: Bench) -> None:
    for _ in range(JOBS):
        bench.submit()
    bench.complete(*bench.claim(PREPARE, batch_size=JOBS))
    segmentations, _ = (bench.claim(stage, batch_size=JOBS) for stage in (SEGMENTATION, FACE))
    # All have run out, and the faces have no patience left: the sweep ends their jobs.
    bench.execute("""
        UPDATE stages SET leased_until = leased_until - interval '1 day',
            patience_since = CASE WHEN stage = 'face'
                THEN statement_timestamp() - interval '1 day' END
        WHERE state = 'running'
    """)
    *others, last = sorted(segmentations, key=lambda lease: lease.job_id)
    renew(bench, others)

    # Both wait in the last row's lock queue, the sweep before the renewal.
    with ThreadPoolExecutor(2) as pool:
        with bench.transaction() as connection:
            WORKER.renew(connection, [last], lease_seconds=-1)
            sweep = pool.submit(bench.sweep)
            races.wait_for_lock_waiters(bench, sweep)
            renewal = pool.submit(renew, bench, segmentations)
            races.wait_for_lock_waiters(bench, renewal, sessions=2)
        ended = [sweep.exception(), renewal.exception()]

    assert ended == [None, None]
