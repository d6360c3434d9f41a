"""The stages of an ended job leave the queue, and are read, expired and redriven from elsewhere."""

import pytest
from sqlalchemy import Connection, text

from smart_filter_shared.artifacts import expiry
from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs import queries, result_cache
from smart_filter_shared.jobs.photo_queue import CLIENT, WORKER
from smart_filter_shared.jobs.queries import JobFilter
from smart_filter_shared.operations import settlement
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue.leases import Failure
from smart_filter_tests import invariants
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.scenarios import KEEP_BACKGROUND

RAISED = Failure("model_failed", "Failed", "raised")
STAGES = (StageName.PREPARE, StageName.COMPOSITE)


@pytest.fixture
def ended(bench: Bench) -> JobId:
    """A job that has succeeded."""
    job_id = bench.submit(KEEP_BACKGROUND)
    bench.advance(*STAGES)
    return job_id


def queued(bench: Bench) -> int:
    return int(bench.scalar("SELECT count(*) FROM stages"))


def rows(connection: Connection, job_id: JobId) -> list[dict[str, object]]:
    """Return the stages of a job without what ends with it."""
    found = connection.execute(
        text("SELECT * FROM all_stages WHERE job_id = :id ORDER BY stage"), {"id": job_id}
    )
    dropped = {"open_needs", "ready_at", "rank", "batch_key", "head_start", "releases", "worker"}
    dropped |= {"deadline_at", "rerouted"}
    return [
        {name: value for name, value in row.items() if name not in dropped}
        for row in found.mappings()
    ]


def test_settled_job_reads_as_before(bench: Bench, ended: JobId) -> None:
    listing = JobFilter(tenant=TENANT)
    before = bench.job(ended), bench.do(queries.list_jobs, listing), bench.do(rows, ended)
    in_queue = queued(bench)

    bench.work(settlement.settle)

    after = bench.job(ended), bench.do(queries.list_jobs, listing), bench.do(rows, ended)
    assert (in_queue, queued(bench)) == (len(STAGES), 0)
    assert after == before
    assert bench.do(queries.get_many, [ended]) == {ended: after[0]}
    assert invariants.broken(bench) == []


def test_unfinished_job_stays_in_the_queue(bench: Bench) -> None:
    bench.submit(KEEP_BACKGROUND)
    bench.advance(StageName.PREPARE)

    bench.work(settlement.settle)

    assert queued(bench) == len(STAGES)


def test_redriven_job_returns_to_the_queue_and_succeeds(bench: Bench) -> None:
    job_id = bench.submit(KEEP_BACKGROUND)
    bench.advance(StageName.PREPARE)
    bench.work(WORKER.fail, bench.claim_one(StageName.COMPOSITE), RAISED)
    (_, prepared) = bench.do(rows, job_id)
    bench.work(settlement.settle)

    bench.do(CLIENT.redrive, job_id, TENANT)
    (_, again) = bench.do(rows, job_id)
    bench.advance(StageName.COMPOSITE)
    bench.work(settlement.settle)

    assert again == prepared
    assert bench.states(job_id) == dict.fromkeys(map(str, STAGES), "succeeded")
    assert queued(bench) == 0
    assert invariants.broken(bench) == []


def test_expiry_deletes_the_results_of_ended_stages(bench: Bench, ended: JobId) -> None:
    bench.work(settlement.settle)
    bench.execute("UPDATE jobs SET expires_at = statement_timestamp()")

    bench.work(expiry.expire_results, most=10)

    assert [stage.result for stage in bench.job(ended).stages] == [None, None]
    assert bench.states(ended) == dict.fromkeys(map(str, STAGES), "succeeded")


@pytest.mark.parametrize("is_settled", [False, True])
def test_results_are_shared_until_sharing_ends(
    bench: Bench, ended: JobId, *, is_settled: bool
) -> None:
    bench.execute("UPDATE stages SET work = stage")
    if is_settled:
        bench.work(settlement.settle)
    key = bench.job(ended).photo_key
    wanted = {stage: str(stage) for stage in STAGES}

    def shared() -> set[StageName]:
        hits = bench.do(result_cache.lookup, TENANT, "none", wanted, running=dict.fromkeys(STAGES))
        return set(hits.results)

    before = shared()
    bench.do(result_cache.stop_sharing, TENANT, key)

    assert (before, shared()) == (set(STAGES), set())


def test_deleted_job_leaves_no_stage(bench: Bench, ended: JobId) -> None:
    bench.work(settlement.settle)

    bench.do(CLIENT.delete, ended, TENANT)

    assert bench.scalar("SELECT count(*) FROM all_stages") == 0


@pytest.mark.usefixtures("ended")
def test_column_can_be_added_to_the_queue(bench: Bench) -> None:
    bench.work(settlement.settle)

    with bench.engine.connect() as connection, connection.begin() as undone:
        connection.execute(text("ALTER TABLE stages ADD COLUMN later integer"))
        connection.execute(text("ALTER TABLE stages ALTER COLUMN later SET DEFAULT 7"))
        query = text("SELECT array_agg(later) FROM ended_stages, unnest(stages) AS stage")
        later = connection.execute(query).scalar_one()
        undone.rollback()

    assert later == [None, None]
