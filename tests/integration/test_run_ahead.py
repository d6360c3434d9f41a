"""Stages that ran under the lease of another stage of their job."""

from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs import queries
from smart_filter_shared.jobs.photo_queue import WORKER
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue import events, heads
from smart_filter_shared.queue.events import EventType
from smart_filter_shared.queue.leases import CompleteResult, Lease
from smart_filter_shared.queue.states import JobState
from smart_filter_tests.bench import Bench, capability, run_ahead_result, stage_result
from smart_filter_tests.stages import COMPOSITE, FACE, PREPARE, SEGMENTATION, SMILE


def complete(bench: Bench, lead: Lease, *ahead: StageName) -> CompleteResult:
    outcomes = [stage_result(lead), *(run_ahead_result(lead, stage) for stage in ahead)]
    return bench.work(WORKER.complete, outcomes)


def states(bench: Bench, job_id: JobId) -> dict[StageName, str]:
    return {row.name: row.state for row in bench.job(job_id).stages}


def test_all_stages_of_a_job_end_in_one_completion(bench: Bench) -> None:
    job_id = bench.submit()
    lead = bench.claim_one(PREPARE)

    completion = complete(bench, lead, SEGMENTATION, FACE, SMILE, COMPOSITE)

    assert (completion.succeeded, completion.ready, completion.lost) == ([job_id], [], [])
    assert bench.job(job_id).state == JobState.SUCCEEDED
    assert {row.attempt for row in bench.job(job_id).stages} == {1}
    # Each stage owns what it made.
    assert bench.scalar("SELECT count(*) FROM artifacts WHERE kind = 'result'") == len(StageName)


def test_events_tell_the_stages_in_the_order_of_their_runs(bench: Bench) -> None:
    job_id = bench.submit()
    order = (SEGMENTATION, FACE, SMILE, COMPOSITE)

    complete(bench, bench.claim_one(PREPARE), *order)

    with bench.transaction() as connection:
        told = events.list_for_job(connection, job_id)
    assert [one.stage for one in told if one.type == EventType.STAGE] == [PREPARE, *order]
    assert told[-1].type == EventType.SUCCEEDED


def test_stage_that_did_not_run_ahead_becomes_ready(bench: Bench) -> None:
    job_id = bench.submit()

    completion = complete(bench, bench.claim_one(PREPARE), FACE)

    assert completion.ready.count(capability(SEGMENTATION)) == 1
    assert completion.ready.count(capability(SMILE)) == 1
    assert states(bench, job_id)[COMPOSITE] == "waiting"


def test_stage_that_waits_for_another_worker_is_lost_and_the_claimed_one_is_not(
    bench: Bench,
) -> None:
    job_id = bench.submit()
    bench.advance(PREPARE)
    lead = bench.claim_one(SEGMENTATION)

    completion = complete(bench, lead, COMPOSITE)  # `smile` has not run

    assert [lease.stage for lease in completion.lost] == [COMPOSITE]
    assert states(bench, job_id)[SEGMENTATION] == "succeeded"
    bench.advance(FACE, SMILE, COMPOSITE)
    assert bench.job(job_id).state == JobState.SUCCEEDED


def test_stage_that_was_claimed_before_is_not_completed_unclaimed(bench: Bench) -> None:
    job_id = bench.submit()
    bench.advance(PREPARE)
    lead = bench.claim_one(FACE)
    bench.execute("UPDATE stages SET attempt = 1 WHERE stage = 'smile'")

    completion = complete(bench, lead, SMILE)

    assert [lease.stage for lease in completion.lost] == [SMILE]
    assert states(bench, job_id)[SMILE] == "ready"


def test_paused_capability_is_read_as_held(bench: Bench) -> None:
    bench.submit()
    bench.do(heads.pause, capability(FACE))

    lease = bench.claim_one(PREPARE)
    (job,) = queries.parse_claimed_jobs([lease]).values()

    assert job is not None
    assert {row.name for row in job.stages if row.is_held} == {FACE}
