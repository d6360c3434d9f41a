"""How a job ends by failure or by its owner, and what becomes of its stages."""

import threading

import pytest
from sqlalchemy import text

from smart_filter_shared.errors import JobFinal, LeaseLost, NotFound
from smart_filter_shared.ids import Tenant
from smart_filter_shared.jobs import transitions
from smart_filter_shared.jobs.leases import Failure
from smart_filter_shared.jobs.states import JobState
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Background, BackgroundKind, Recipe
from smart_filter_tests.bench import TENANT, Bench

PREPARE, SEGMENTATION, FACE, SMILE, COMPOSITE = StageName
RAISED = Failure("model_failed", "A model failed", "ValueError in face")


def test_stage_that_raised_on_its_last_attempt_fails_its_job(bench: Bench) -> None:
    job_id = bench.submit()
    bench.advance(PREPARE)
    lease = bench.claim_one(FACE)

    with bench.transaction() as connection:
        transitions.retry(connection, lease, RAISED, delay_seconds=5, max_attempts=1)

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

    with bench.transaction() as connection:
        transitions.fail(connection, failing, RAISED)

    assert bench.complete(sibling).lost == [sibling]


def test_failing_with_a_lost_lease_changes_nothing(bench: Bench) -> None:
    job_id = bench.submit()
    zombie = bench.claim_one(PREPARE)
    bench.age(zombie, seconds=31)
    bench.sweep()

    with pytest.raises(LeaseLost), bench.transaction() as connection:
        transitions.fail(connection, zombie, RAISED)

    assert bench.job(job_id).state != JobState.FAILED


def test_cancel_ends_the_job_and_every_unfinished_stage(bench: Bench) -> None:
    job_id = bench.submit()
    bench.advance(PREPARE)
    running = bench.claim_one(FACE)

    with bench.transaction() as connection:
        transitions.cancel(connection, job_id, TENANT)

    assert bench.job(job_id).state == JobState.CANCELED
    assert bench.complete(running).lost == [running]
    assert bench.claim(SEGMENTATION) == []


def test_cancel_of_an_ended_job_is_refused(bench: Bench) -> None:
    job_id = bench.submit(Recipe(background=Background(BackgroundKind.KEEP)))
    bench.advance(PREPARE, COMPOSITE)

    with pytest.raises(JobFinal), bench.transaction() as connection:
        transitions.cancel(connection, job_id, TENANT)


def test_another_tenants_job_cannot_be_canceled(bench: Bench) -> None:
    job_id = bench.submit()

    with pytest.raises(NotFound), bench.transaction() as connection:
        transitions.cancel(connection, job_id, Tenant("somebody-else"))


@pytest.mark.parametrize("round_number", range(10))
def test_cancel_against_complete_ends_the_job_once(bench: Bench, round_number: int) -> None:
    del round_number
    job_id = bench.submit(Recipe(background=Background(BackgroundKind.KEEP)))
    bench.advance(PREPARE)
    lease = bench.claim_one(COMPOSITE)
    start = threading.Barrier(2)
    outcomes: list[str] = []

    def cancel() -> None:
        start.wait()
        try:
            with bench.transaction() as connection:
                transitions.cancel(connection, job_id, TENANT)
        except JobFinal:
            return
        outcomes.append("canceled")

    def complete() -> None:
        start.wait()
        if not bench.complete(lease).lost:
            outcomes.append("succeeded")

    threads = [threading.Thread(target=cancel), threading.Thread(target=complete)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outcomes == [bench.job(job_id).state]


def test_late_jobs_that_run_do_not_keep_others_from_lapsing(bench: Bench) -> None:
    bench.submit_many(500, Recipe(), tenant=TENANT)
    with bench.transaction() as connection:
        connection.execute(
            text("""
                UPDATE stages SET state = 'running', lease_token = gen_random_uuid(),
                    leased_until = now() + interval '1 hour'
                WHERE stage = 'prepare'
            """)
        )
    waiting = bench.submit()
    with bench.transaction() as connection:
        connection.execute(
            text("UPDATE jobs SET deadline_at = now() - make_interval(secs => CASE id"
                 " WHEN :waiting THEN 1 ELSE 9 END)"),
            {"waiting": waiting},
        )  # fmt: skip

    with bench.transaction() as connection:
        lapsed = transitions.lapse(connection)

    assert lapsed == [waiting]
