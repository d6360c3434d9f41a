"""The take of a batch: a job of its own that waits for the ranking, and composes once."""

import pytest
from sqlalchemy import text

from smart_filter_shared.albums import Take, TakeShot
from smart_filter_shared.artifacts import expiry, retention
from smart_filter_shared.ids import BatchId, JobId
from smart_filter_shared.jobs.photo_queue import CLIENT, WORKER
from smart_filter_shared.queue import batches
from smart_filter_shared.queue.batches import BatchState
from smart_filter_shared.queue.leases import ImportedPhoto, Lease, StageOutcome
from smart_filter_shared.queue.states import JobState
from smart_filter_shared.recipe import Output, Recipe
from smart_filter_tests import invariants
from smart_filter_tests.bench import FACTS_WITHOUT_PEOPLE, TENANT, Bench
from smart_filter_tests.scenarios import RAISED
from smart_filter_tests.stages import COMPOSITE, FACE, PREPARE, SEGMENTATION, SMILE
from smart_filter_wire.findings import TakeReport

RECIPE = Recipe(outputs=(Output.IMAGE, Output.RATING))
REPORT = TakeReport(base=0, people=(), notes=(), fallback="Each face is best in this photo.")


def submit(bench: Bench, shots: int) -> tuple[BatchId, list[JobId], JobId]:
    batch_id, job_ids = bench.submit_batch(shots, RECIPE, best=0, with_take=True)
    take_id = bench.batch(batch_id).take_id
    assert take_id is not None
    return batch_id, job_ids, take_id


def rate(bench: Bench, shots: int) -> None:
    for stage in (PREPARE, SEGMENTATION, FACE, SMILE):
        leases = bench.claim(stage, batch_size=100)
        assert len(leases) == shots
        bench.complete(*leases)


def compose(bench: Bench, lease: Lease) -> None:
    take = bench.job(lease.job_id).take
    assert take is not None
    photo = ImportedPhoto(
        f"{lease.token}", "digest", 1.0, 1, Take(take.shots, report=REPORT).as_json()
    )
    result = {"facts": FACTS_WITHOUT_PEOPLE[PREPARE], "arrays": {}}
    bench.work(WORKER.complete, [StageOutcome(lease, result, 0.1, {}, photo)])


def counts(bench: Bench, batch_id: BatchId) -> dict[str, int]:
    """Return how many items are in each state; a list of batches counts the same."""
    (listed,) = bench.do(batches.list_batches, TENANT, before=None, limit=9)
    shown = [batch.counts.items() for batch in (listed, bench.batch(batch_id))]
    in_list, alone = ({str(state): count for state, count in pairs if count} for pairs in shown)
    assert in_list == alone
    return alone


def test_take_waits_for_the_ranking_and_gets_the_shots_best_first(bench: Bench) -> None:
    _, job_ids, take_id = submit(bench, 3)
    assert bench.states(take_id)["prepare"] == "waiting"

    rate(bench, 3)

    take = bench.job(take_id).take
    assert take == Take(tuple(TakeShot(job_id, item) for item, job_id in enumerate(job_ids)))
    assert [bench.job(job_id).state for job_id in job_ids] == [JobState.SUCCEEDED] * 3
    assert [lease.job_id for lease in bench.claim(PREPARE, batch_size=9)] == [take_id]
    assert invariants.broken(bench) == []


def test_batch_ends_with_its_take_which_is_no_item(bench: Bench) -> None:
    batch_id, job_ids, take_id = submit(bench, 2)
    rate(bench, 2)
    assert bench.batch(batch_id).state == BatchState.RUNNING

    compose(bench, bench.claim_one(PREPARE))
    bench.advance(SEGMENTATION, FACE, SMILE, COMPOSITE)

    batch = bench.batch(batch_id)
    assert batch.state == BatchState.FINISHED
    assert (batch.total, counts(bench, batch_id)) == (2, {"succeeded": 2})
    assert [item.job_id for item in batch.items or ()] == job_ids
    assert batch.take is not None
    assert (batch.take.job_id, batch.take.take["report"]) == (
        take_id,
        Take(report=REPORT).as_json()["report"],
    )


def test_take_that_was_composed_twice_is_recorded_once(bench: Bench) -> None:
    _, _, take_id = submit(bench, 2)
    rate(bench, 2)
    lost = bench.claim_one(PREPARE)
    bench.age(lost, seconds=60)
    bench.sweep()

    held = bench.claim_one(PREPARE)
    compose(bench, lost)
    assert bench.job(take_id).photo_key is None
    compose(bench, held)

    assert bench.job(take_id).photo_key == f"{held.token}"


def test_take_of_failed_shots_has_none(bench: Bench) -> None:
    batch_id, _, take_id = submit(bench, 2)

    for lease in bench.claim(PREPARE, batch_size=2):
        bench.work(WORKER.fail, lease, RAISED)

    assert bench.job(take_id).take == Take()
    lease = bench.claim_one(PREPARE)
    assert lease.job_id == take_id
    bench.work(WORKER.fail, lease, RAISED)
    assert bench.batch(batch_id).state == BatchState.FINISHED
    assert counts(bench, batch_id) == {"failed": 2}


def test_canceled_batch_cancels_its_take(bench: Bench) -> None:
    batch_id, _, take_id = submit(bench, 2)

    bench.do(CLIENT.cancel_batch, batch_id, TENANT)

    assert bench.job(take_id).state == JobState.CANCELED
    assert bench.batch(batch_id).state == BatchState.FINISHED
    assert bench.claim(PREPARE) == []


def test_canceled_take_leaves_the_shots_to_be_rated(bench: Bench) -> None:
    batch_id, job_ids, take_id = submit(bench, 2)

    bench.do(CLIENT.cancel, take_id, TENANT)
    rate(bench, 2)

    assert [bench.job(job_id).rank for job_id in job_ids] == [1, 2]
    assert bench.batch(batch_id).state == BatchState.FINISHED
    assert invariants.broken(bench) == []


@pytest.mark.parametrize("is_ranked", [False, True])
def test_redriven_take_waits_only_for_the_ranking(bench: Bench, *, is_ranked: bool) -> None:
    _, _, take_id = submit(bench, 2)
    if is_ranked:
        rate(bench, 2)
        bench.work(WORKER.fail, bench.claim_one(PREPARE), RAISED)
    else:
        bench.execute("UPDATE jobs SET deadline_at = '2020-01-01' WHERE id = :id", id=take_id)
        bench.execute("UPDATE stages SET deadline_at = '2020-01-01' WHERE job_id = :id", id=take_id)
        bench.sweep()
    assert bench.job(take_id).state == JobState.FAILED

    bench.do(CLIENT.redrive, take_id, TENANT)

    assert bench.states(take_id)["prepare"] == ("ready" if is_ranked else "waiting")
    assert invariants.broken(bench) == []


def expire(bench: Bench) -> list[bool]:
    """Let every retention pass; return whether the shots' results, and their objects, are gone."""
    bench.execute("UPDATE artifacts SET expires_at = '2020-01-01' WHERE marked_at IS NULL")
    bench.execute("UPDATE jobs SET expires_at = '2020-01-01' WHERE expires_at IS NOT NULL")
    bench.work(retention.mark_expired, most=100)
    bench.work(expiry.expire_results, most=100)
    with bench.transaction() as connection:
        rows = connection.execute(
            text("SELECT expired_at FROM jobs WHERE batch_index IS NOT NULL")
        ).all()
        marked = connection.execute(
            text("""
                SELECT marked_at FROM artifacts JOIN jobs ON jobs.id = job_id
                WHERE batch_index IS NOT NULL
            """)
        ).all()
    assert len({row.marked_at is None for row in marked}) == 1
    return [row.expired_at is not None for row in rows] + [marked[0].marked_at is not None]


def test_shots_are_kept_until_their_take_has_ended(bench: Bench) -> None:
    _, _, take_id = submit(bench, 2)
    rate(bench, 2)

    before = expire(bench)
    compose(bench, bench.claim_one(PREPARE))
    bench.advance(SEGMENTATION, FACE, SMILE, COMPOSITE)
    assert bench.job(take_id).take != Take()
    after = expire(bench)

    assert (before, after) == ([False] * 3, [True] * 3)
    # Where faces are, and whose eyes were closed, ends with the other findings.
    assert bench.job(take_id).take == Take()


def test_deleted_take_leaves_its_batch(bench: Bench) -> None:
    batch_id, _, take_id = submit(bench, 2)
    rate(bench, 2)

    bench.do(CLIENT.delete, take_id, TENANT)

    batch = bench.batch(batch_id)
    assert (batch.state, batch.take) == (BatchState.FINISHED, None)
    assert (batch.take_id, counts(bench, batch_id)) == (take_id, {"succeeded": 2})
