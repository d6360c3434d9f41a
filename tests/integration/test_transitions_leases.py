"""How a lease holds, is renewed and is lost."""

from smart_filter_shared.jobs import transitions
from smart_filter_shared.jobs.states import JobState
from smart_filter_shared.pipeline import StageName
from smart_filter_tests.bench import Bench, capability

PREPARE, SEGMENTATION, FACE, SMILE, COMPOSITE = StageName


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
