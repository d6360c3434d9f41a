"""Reads and locks at 300,000 unfinished and as many ended jobs: they follow what is returned.

Costs are counted, not timed: pages of jobs and stages that a statement reads, locks that it takes.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Final

import pytest
from sqlalchemy import Connection, Engine, text

from smart_filter_api.s3_folders import rows
from smart_filter_api.s3_folders.rows import Taken
from smart_filter_shared.db import sessions
from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs import queries, result_cache
from smart_filter_shared.jobs.photo_queue import CLIENT, WORKER
from smart_filter_shared.jobs.queries import JobFilter
from smart_filter_shared.operations import (
    counters,
    operator_actions,
    overview,
    settlement,
    stored_snapshot,
)
from smart_filter_shared.operations.operator_actions import BulkAction
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue import batches, events, fair_queueing, heads, worker_registry
from smart_filter_shared.queue.states import JobState
from smart_filter_tests import claiming, scenarios
from smart_filter_tests.bench import TENANT, Bench, capability, stage_result
from smart_filter_tests.maintenance import collector, sweeper
from smart_filter_tests.statement_costs import record_costs

FEW, MANY = 100, 300_000
MOST_LOCKS: Final = 100
# A statement is planned for any parameters at its sixth execution.
RUNS: Final = 7
SILENT: Final = {"silent_seconds": 30.0}
KEEP: Final = scenarios.KEEP_BACKGROUND
PREPARE: Final = capability(StageName.PREPARE)
SERVED: Final = [capability(stage) for stage in StageName]

# The database is filled in a minute on a busy machine.
pytestmark = pytest.mark.timeout(600)

Act = Callable[[Bench], object]


@pytest.fixture
def keyed(bench: Bench) -> Engine:
    """The connections of a worker's transitions."""
    return sessions.for_key_lookups(bench.worker_engine)


def sweep(bench: Bench) -> None:
    bench.execute(
        "UPDATE sweeper SET swept_at = now() - interval '1 minute', cleared_at = swept_at"
    )
    bench.execute("DELETE FROM samples")
    bench.execute("DELETE FROM queue_samples")
    bench.execute("DELETE FROM queue_snapshots")
    garbage = collector(bench, record_seconds=30 * 86_400.0)
    assert sweeper(bench).sweep()
    garbage.remove_expired()
    garbage.learn()
    garbage.delete_old_records()


def reads(connection: Connection) -> None:
    """Read what /readyz, /metrics and the pages of operators show."""
    worker_registry.list_unattended(connection, waited_seconds=10, **SILENT)
    counters.read_counters(connection, **SILENT)
    overview.read_overview(connection, **SILENT)
    overview.peek(connection, PREPARE, most=10)
    for action in BulkAction:
        operator_actions.find_jobs(connection, action, TENANT, after=None, most=100)


def look_up(connection: Connection) -> None:
    """Look a photo up and reserve a place, as for a submission."""
    fair_queueing.reserve_for_new_photo(connection, TENANT, [PREPARE], digest="none")
    result_cache.lookup(connection, TENANT, "none", {}, running={})


def poll(connection: Connection, job_id: JobId) -> None:
    stored_snapshot.read_snapshot(connection, cached_at=None)
    assert queries.find(connection, job_id, TENANT) is not None


def follow(connection: Connection, job_id: JobId) -> None:
    poll(connection, job_id)
    queries.get_many(connection, [job_id])
    events.list_for_job(connection, job_id)
    queries.list_jobs_of_other_keys(connection, [job_id], TENANT, job_id)


def clients(bench: Bench) -> None:
    """Make the requests of clients, about new jobs and batches."""
    bench.do(look_up)
    job_id = bench.submit()
    bench.do(follow, job_id)
    bench.do(CLIENT.cancel, job_id, TENANT)
    bench.do(CLIENT.delete, job_id, TENANT)
    batch_id, _ = bench.submit_batch(2, best=1, with_take=True)
    bench.batch(batch_id)
    bench.do(batches.find_summary, batch_id, TENANT)
    bench.do(batches.list_batches, TENANT, before=None, limit=10)
    bench.do(CLIENT.cancel_batch, batch_id, TENANT)
    bench.do(CLIENT.begin_batch_deletion, batch_id, TENANT)
    for _ in range(2):  # the jobs, then the batch
        bench.do(CLIENT.continue_batch_deletion, batch_id, TENANT, most=10)
    bench.do(queries.list_jobs, JobFilter(tenant=TENANT, limit=10))


def keep_objects(bench: Bench) -> None:
    """Look after a missing object, and after the results of an S3 folder."""
    job_id = bench.submit()
    key = bench.scalar("SELECT key FROM artifacts WHERE job_id = :id", id=job_id)
    bench.do(result_cache.stop_sharing, TENANT, key)
    taken = Taken("photos", f"in/{job_id}", "1", TENANT, "photos/out", job_id=job_id)
    assert bench.do(rows.take, taken)
    bench.execute("UPDATE s3_objects SET state = 'failed'")
    bench.do(rows.reopen_redriven, "photos")
    bench.do(rows.claim, most=10)


def work(bench: Bench, keyed: Engine) -> None:
    """Claim and complete a stage, as a worker does."""
    with sessions.transaction(keyed) as connection:
        heads.list_waiting(connection, SERVED, seconds=1)
        (lease,) = claiming.claim(
            connection,
            SERVED,
            worker=bench.worker,
            job_sql=queries.CLAIMED_JOB,
        )
    with sessions.transaction(keyed) as connection:
        assert WORKER.renew(connection, [lease], lease_seconds=30)
    with sessions.transaction(keyed) as connection:
        assert WORKER.complete(connection, [stage_result(lease)]).lost == []


def test_no_statement_takes_many_locks(bench: Bench, keyed: Engine) -> None:
    with record_costs(bench.engine, bench.engine, bench.worker_engine) as log:
        for _ in range(RUNS):
            bench.submit()
            work(bench, keyed)
            sweep(bench)
            bench.do(reads)
            clients(bench)
            keep_objects(bench)

    assert len(log.costs) > 100
    assert log.over(locks=MOST_LOCKS) == {}


def add_jobs(bench: Bench, number: int) -> None:
    """Write this many unfinished jobs of two stages, and let the server count them."""
    copy(bench, bench.submit(KEEP), number)


def add_ended_jobs(bench: Bench, number: int) -> None:
    """Write this many jobs that have ended and are settled, a day before they expire."""
    job_id = bench.submit(KEEP)
    bench.do(CLIENT.cancel, job_id, TENANT)
    bench.work(settlement.settle)
    bench.execute("UPDATE jobs SET photo_digest = 'other' WHERE id = :id", id=job_id)
    copy(bench, job_id, number)


def copy(bench: Bench, job_id: JobId, number: int) -> None:
    patient = dataclasses.replace(bench, engine=sessions.for_idle_transactions(bench.engine))
    patient.copy(job_id, number, every_seconds=0.001)
    with bench.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM (ANALYZE) jobs, stages"))


def submit(bench: Bench, _: Engine) -> None:
    bench.do(look_up)
    bench.submit(KEEP)


def poll_a_new_job(bench: Bench, _: Engine) -> None:
    bench.do(poll, bench.submit(KEEP))


def list_running(bench: Bench, _: Engine) -> None:
    bench.submit(KEEP)
    bench.claim_one(StageName.PREPARE)
    running = JobFilter(TENANT, state=JobState.RUNNING, limit=1)
    assert len(bench.do(queries.list_jobs, running)) == 1


# A request or a transaction of a worker.
REQUESTS: Final[Mapping[str, Callable[[Bench, Engine], object]]] = {
    "submission": submit,
    "submission and poll": poll_a_new_job,
    "claim, renewal and completion": work,
    "list of running jobs": list_running,
}
# What the sweep and the pages of operators read: at most this many pages, however long the queues
# are. A queue is counted up to 10,000 stages, whose rows are looked up in as many pages at worst;
# all unfinished jobs and their stages fill some 60,000.
MOST_PAGES: Final = 20_000
PERIODIC: Final[Mapping[str, Callable[[Bench, Engine], object]]] = {
    "sweep": lambda bench, _: sweep(bench),
    "operators": lambda bench, _: bench.do(reads),
}


def pages_of(
    bench: Bench, keyed: Engine, acts: Mapping[str, Callable[[Bench, Engine], object]]
) -> dict[str, int]:
    """Return the pages of jobs and stages that each act reads once its plans are made."""
    pages = {}
    for name, act in acts.items():
        act(bench, keyed)
        with record_costs(bench.engine, bench.engine, bench.worker_engine) as log:
            act(bench, keyed)
        pages[name] = log.pages
    return pages


@pytest.mark.parametrize("add", [add_jobs, add_ended_jobs])
def test_reads_do_not_grow_with_jobs(
    bench: Bench, keyed: Engine, add: Callable[[Bench, int], None]
) -> None:
    add_jobs(bench, FEW)
    few = pages_of(bench, keyed, REQUESTS)
    add(bench, MANY)

    many = pages_of(bench, keyed, REQUESTS)
    periodic = pages_of(bench, keyed, PERIODIC)

    # An index of 300,000 rows has two levels more than one of 100.
    assert {name: pages for name, pages in many.items() if pages > 3 * few[name]} == {}
    assert {name: pages for name, pages in periodic.items() if pages > MOST_PAGES} == {}
