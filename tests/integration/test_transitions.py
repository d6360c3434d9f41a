"""Every move of a job and its stages, on a real PostgreSQL."""

import threading

import pytest

from smart_filter_shared.errors import JobFinal, LeaseLost, NotFound
from smart_filter_shared.ids import Tenant
from smart_filter_shared.jobs import transitions
from smart_filter_shared.jobs.leases import Failure
from smart_filter_shared.jobs.states import JobState
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Background, BackgroundKind, Recipe
from smart_filter_tests.bench import TENANT, Bench, capability

PREPARE, SEGMENTATION, FACE, SMILE, COMPOSITE = StageName
RAISED = Failure("model_failed", "A model failed", "ValueError in face")


def test_new_job_waits_for_nothing_but_its_first_stage(bench: Bench) -> None:
    job_id = bench.submit()

    assert bench.job(job_id).state == JobState.QUEUED
    assert bench.states(job_id) == {
        "prepare": "ready",
        "segmentation": "waiting",
        "face": "waiting",
        "smile": "waiting",
        "composite": "waiting",
    }


def test_job_runs_only_stages_that_yield_what_was_asked(bench: Bench) -> None:
    job_id = bench.submit(Recipe(background=Background(BackgroundKind.KEEP)))

    bench.advance(PREPARE, COMPOSITE)

    assert bench.states(job_id) == {"prepare": "succeeded", "composite": "succeeded"}
    assert bench.job(job_id).state == JobState.SUCCEEDED


def test_stage_is_ready_when_the_last_of_its_needs_succeeds(bench: Bench) -> None:
    job_id = bench.submit()
    bench.advance(PREPARE, FACE, SMILE)
    assert bench.states(job_id)["composite"] == "waiting"

    completion = bench.complete(bench.claim_one(SEGMENTATION))

    assert completion.ready == [capability(COMPOSITE)]
    assert bench.states(job_id)["composite"] == "ready"


def test_needs_completed_at_the_same_time_wake_their_dependent_once(bench: Bench) -> None:
    job_id = bench.submit()
    bench.advance(PREPARE, FACE)
    leases = [bench.claim_one(SEGMENTATION), bench.claim_one(SMILE)]
    start = threading.Barrier(len(leases))
    woken: list[str] = []

    def complete(index: int) -> None:
        start.wait()
        woken.extend(bench.complete(leases[index]).ready)

    threads = [threading.Thread(target=complete, args=(index,)) for index in range(len(leases))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert woken == [capability(COMPOSITE)]
    assert bench.row(job_id, COMPOSITE)["open_needs"] == 0


def test_stage_rung_twice_is_claimed_once(bench: Bench) -> None:
    bench.submit()

    first, second = bench.claim(PREPARE), bench.claim(PREPARE)

    assert len(first) == 1
    assert second == []


def test_claims_at_the_same_time_take_different_rows(bench: Bench) -> None:
    for _ in range(8):
        bench.submit()
    start = threading.Barrier(8)
    claimed: list[object] = []

    def claim() -> None:
        start.wait()
        claimed.extend(lease.job_id for lease in bench.claim(PREPARE))

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(claimed) == len(set(claimed)) == 8


def test_who_came_first_is_claimed_first(bench: Bench) -> None:
    submitted = [bench.submit() for _ in range(3)]

    claimed = [bench.claim_one(PREPARE).job_id for _ in range(3)]

    assert claimed == submitted


def test_batch_takes_only_rows_that_share_the_heads_key(bench: Bench) -> None:
    for _ in range(3):
        bench.submit()
    with bench.transaction() as connection:
        connection.exec_driver_sql(
            "UPDATE stages SET batch_key = 'other' WHERE job_id = (SELECT max(id::text)::uuid "
            "FROM jobs)"
        )

    batch = bench.claim(PREPARE, batch_size=8)

    assert len(batch) == 2


def test_zombies_completion_is_refused(bench: Bench) -> None:
    job_id = bench.submit()
    zombie = bench.claim_one(PREPARE)
    bench.age(zombie, seconds=31)
    bench.sweep()
    successor = bench.claim_one(PREPARE)

    late = bench.complete(zombie)

    assert late.lost == [zombie]
    assert late.ready == []
    assert bench.row(job_id, PREPARE)["lease_token"] == successor.token
    assert bench.row(job_id, SEGMENTATION)["open_needs"] == 1


def test_completion_repeated_meets_no_need_twice(bench: Bench) -> None:
    job_id = bench.submit()
    bench.advance(PREPARE)
    lease = bench.claim_one(SEGMENTATION)
    bench.complete(lease)

    again = bench.complete(lease)

    assert again.lost == [lease]
    assert bench.row(job_id, COMPOSITE)["open_needs"] == 1


def test_batch_with_one_lost_lease_completes_the_others(bench: Bench) -> None:
    bench.submit()
    bench.submit()
    kept, lost = bench.claim(PREPARE, batch_size=2)
    bench.age(lost, seconds=31)
    bench.sweep()

    completion = bench.complete(kept, lost)

    assert completion.lost == [lost]
    assert sorted(completion.ready) == [capability(FACE), capability(SEGMENTATION)]


def test_renewed_lease_does_not_expire(bench: Bench) -> None:
    bench.submit()
    lease = bench.claim_one(PREPARE)
    bench.age(lease, seconds=31)

    with bench.transaction() as connection:
        alive = transitions.renew(connection, [lease], lease_seconds=30)
    bench.sweep()

    assert alive == {lease.token}
    assert bench.complete(lease).lost == []


def test_renewal_of_a_lost_lease_says_so(bench: Bench) -> None:
    bench.submit()
    lease = bench.claim_one(PREPARE)
    bench.age(lease, seconds=31)
    bench.sweep()

    with bench.transaction() as connection:
        alive = transitions.renew(connection, [lease], lease_seconds=30)

    assert alive == set()


def test_lost_lease_spends_an_attempt_and_the_row_is_rung_again(bench: Bench) -> None:
    bench.submit()
    bench.age(bench.claim_one(PREPARE), seconds=31)

    rung = bench.sweep()

    assert rung == [capability(PREPARE)]
    assert bench.claim_one(PREPARE).attempt == 2


def test_last_attempt_that_lost_its_machine_is_refunded(bench: Bench) -> None:
    job_id = bench.submit()
    most = bench.settings.engine.max_attempts
    for _ in range(most + 2):
        bench.age(bench.claim_one(PREPARE), seconds=31)
        bench.sweep()

    assert bench.job(job_id).state == JobState.RUNNING
    assert bench.claim_one(PREPARE).attempt == most


def test_patience_with_machines_that_die_ends(bench: Bench) -> None:
    job_id = bench.submit()
    for _ in range(bench.settings.engine.max_attempts + 1):
        bench.age(bench.claim_one(PREPARE), seconds=31)
        bench.pass_time(job_id, PREPARE, seconds=3601)
        bench.sweep()

    error = bench.job(job_id).error

    assert error is not None
    assert error["code"] == "unavailable"


def test_row_on_its_last_attempt_is_claimed_alone(bench: Bench) -> None:
    tried = bench.submit()
    for _ in range(bench.settings.engine.max_attempts - 1):
        bench.age(bench.claim_one(PREPARE), seconds=31)
        bench.sweep()
    bench.submit()
    bench.submit()

    batches = [bench.claim(PREPARE, batch_size=8) for _ in range(2)]

    assert [[lease.job_id == tried for lease in batch] for batch in batches] == [
        [True],
        [False, False],
    ]


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


def test_batches_over_the_same_jobs_do_not_deadlock(bench: Bench) -> None:
    for _ in range(6):
        bench.submit()
    bench.advance(*[PREPARE] * 6)
    batches = [bench.claim(SEGMENTATION, batch_size=6), bench.claim(FACE, batch_size=6)]
    batches[1].reverse()
    start = threading.Barrier(2)
    lost: list[object] = []

    def complete(batch: list[transitions.Lease]) -> None:
        start.wait()
        lost.extend(bench.complete(*batch).lost)

    threads = [threading.Thread(target=complete, args=(batch,)) for batch in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert lost == []
    assert len(bench.claim(SMILE, batch_size=6)) == 6
