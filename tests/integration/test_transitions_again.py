"""How a stage is tried again: after it raised, and after infrastructure failed."""

from smart_filter_shared.jobs import transitions
from smart_filter_shared.jobs.leases import Failure
from smart_filter_shared.pipeline import StageName
from smart_filter_tests.bench import Bench, capability

PREPARE, SEGMENTATION, FACE, SMILE, COMPOSITE = StageName
RAISED = Failure("model_failed", "A model failed", "ValueError in face")


def test_release_refunds_the_attempt_and_waits(bench: Bench) -> None:
    job_id = bench.submit()
    lease = bench.claim_one(PREPARE)

    with bench.transaction() as connection:
        ringing = transitions.release(connection, lease, delay_seconds=9, give_up_seconds=3600)

    assert ringing == []
    assert bench.row(job_id, PREPARE)["state"] == "waiting"
    assert bench.sweep() == []
    bench.pass_time(job_id, PREPARE, seconds=10)
    assert bench.sweep() == [capability(PREPARE)]
    again = bench.claim_one(PREPARE)
    assert (again.attempt, again.releases) == (1, 1)


def test_release_without_delay_hands_the_row_to_the_next(bench: Bench) -> None:
    bench.submit()
    lease = bench.claim_one(PREPARE)

    with bench.transaction() as connection:
        ringing = transitions.release(connection, lease, delay_seconds=0, give_up_seconds=3600)

    assert ringing == [capability(PREPARE)]
    assert bench.claim_one(PREPARE).attempt == 1


def test_patience_with_infrastructure_ends(bench: Bench) -> None:
    job_id = bench.submit()
    for _ in range(2):
        lease = bench.claim_one(PREPARE)
        with bench.transaction() as connection:
            transitions.release(connection, lease, delay_seconds=9, give_up_seconds=3600)
        bench.pass_time(job_id, PREPARE, seconds=3601)
        bench.sweep()

    error = bench.job(job_id).error

    assert error is not None
    assert error["code"] == "unavailable"


def test_stage_that_raises_waits_for_another_attempt(bench: Bench) -> None:
    job_id = bench.submit()
    lease = bench.claim_one(PREPARE)

    with bench.transaction() as connection:
        transitions.retry(connection, lease, RAISED, delay_seconds=5, max_attempts=3)

    assert bench.row(job_id, PREPARE)["state"] == "waiting"
    bench.pass_time(job_id, PREPARE, seconds=6)
    bench.sweep()
    assert bench.claim_one(PREPARE).attempt == 2
