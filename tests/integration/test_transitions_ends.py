"""How a job ends by failure or by its owner, and what becomes of its stages."""

import pytest

from smart_filter_shared.errors import JobFinal, LeaseLost, NotFound
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs import transitions
from smart_filter_shared.jobs.states import JobState
from smart_filter_shared.recipe import Recipe
from smart_filter_tests import races
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.worlds import (
    COMPOSITE,
    FACE,
    KEEP_BACKGROUND,
    PREPARE,
    RAISED,
    SEGMENTATION,
)


def cancel(bench: Bench, job_id: JobId, tenant: Tenant = TENANT) -> None:
    bench.do(transitions.cancel, job_id, tenant)


def test_stage_that_raised_on_its_last_attempt_fails_its_job(bench: Bench) -> None:
    job_id = bench.submit()
    bench.advance(PREPARE)
    lease = bench.claim_one(FACE)

    bench.do(transitions.retry, lease, RAISED, delay_seconds=5, max_attempts=1)

    job = bench.job(job_id)
    assert job.state == JobState.FAILED
    assert job.error == {
        "code": "model_failed",
        "title": "A model failed",
        "detail": "ValueError in face",
        "stage": "face",
    }
    assert bench.states(job_id) == {
        "prepare": "succeeded",
        "segmentation": "canceled",
        "face": "failed",
        "smile": "canceled",
        "composite": "canceled",
    }


def test_failure_takes_the_lease_of_a_running_sibling(bench: Bench) -> None:
    bench.submit()
    bench.advance(PREPARE)
    sibling, failing = bench.claim_one(SEGMENTATION), bench.claim_one(FACE)

    bench.do(transitions.fail, failing, RAISED)

    assert bench.complete(sibling).lost == [sibling]


def test_failing_with_a_lost_lease_changes_nothing(bench: Bench) -> None:
    job_id = bench.submit()
    zombie = bench.claim_one(PREPARE)
    bench.age(zombie, seconds=31)
    bench.sweep()

    with pytest.raises(LeaseLost):
        bench.do(transitions.fail, zombie, RAISED)

    assert bench.job(job_id).state != JobState.FAILED


def test_cancel_ends_the_job_and_every_unfinished_stage(bench: Bench) -> None:
    job_id = bench.submit()
    bench.advance(PREPARE)
    running = bench.claim_one(FACE)

    cancel(bench, job_id)

    assert bench.job(job_id).state == JobState.CANCELED
    assert bench.complete(running).lost == [running]
    assert bench.claim(SEGMENTATION) == []


def test_cancel_of_an_ended_job_or_another_tenants_is_refused(bench: Bench) -> None:
    job_id = bench.submit(KEEP_BACKGROUND)

    with pytest.raises(NotFound):
        cancel(bench, job_id, Tenant("somebody-else"))
    bench.advance(PREPARE, COMPOSITE)
    with pytest.raises(JobFinal):
        cancel(bench, job_id)


@pytest.mark.parametrize("round_number", range(10))
def test_cancel_against_complete_ends_the_job_once(bench: Bench, round_number: int) -> None:
    del round_number
    job_id = bench.submit(KEEP_BACKGROUND)
    bench.advance(PREPARE)
    lease = bench.claim_one(COMPOSITE)

    def cancel_first() -> str | None:
        try:
            cancel(bench, job_id)
        except JobFinal:
            return None
        return "canceled"

    def complete_first() -> str | None:
        return None if bench.complete(lease).lost else "succeeded"

    outcomes = races.at_once([cancel_first, complete_first])

    assert [one for one in outcomes if one] == [bench.job(job_id).state]


def test_late_jobs_that_run_do_not_keep_others_from_lapsing(bench: Bench) -> None:
    bench.submit_many(500, Recipe(), tenant=TENANT)
    bench.execute("""
        UPDATE stages SET state = 'running', lease_token = gen_random_uuid(),
            leased_until = now() + interval '1 hour'
        WHERE stage = 'prepare'
    """)
    waiting = bench.submit()
    bench.execute(
        """
            UPDATE jobs SET deadline_at = now() - make_interval(
                secs => CASE id WHEN :waiting THEN 1 ELSE 9 END
            )
        """,
        waiting=waiting,
    )

    lapsed = bench.do(transitions.lapse)

    assert lapsed == [waiting]
