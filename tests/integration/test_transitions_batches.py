"""Batches and albums: ranked once, finished once, whichever transition comes last."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, text

from smart_filter_shared.ids import BatchId, JobId
from smart_filter_shared.jobs.photo_queue import CLIENT, WORKER
from smart_filter_shared.queue import events
from smart_filter_shared.queue.batches import BatchState
from smart_filter_shared.queue.events import EventType
from smart_filter_shared.queue.leases import Lease, StageOutcome
from smart_filter_shared.queue.states import JobState
from smart_filter_shared.recipe import Output, Recipe
from smart_filter_tests import invariants, races
from smart_filter_tests.bench import FACTS_WITHOUT_PEOPLE, TENANT, Bench
from smart_filter_tests.scenarios import KEEP_BACKGROUND, RAISED
from smart_filter_tests.stages import COMPOSITE, FACE, PREPARE, SEGMENTATION, SMILE

RECIPE = Recipe(outputs=(Output.IMAGE, Output.RATING))


def smiling(level: str) -> dict[str, object]:
    eyes = {"left_open": True, "right_open": True}
    return {"facts": {"smiles": [{"level": level, "score": 1.0}], "eyes": [eyes]}}


def smiles(bench: Bench) -> list[Lease]:
    """Run jobs up to their ratings; return the leases of the ratings, in the order of the jobs."""
    for stage in (PREPARE, SEGMENTATION, FACE):
        bench.complete(*bench.claim(stage, batch_size=100))
    return sorted(bench.claim(SMILE, batch_size=100), key=lambda lease: lease.job_id)


def rate(bench: Bench, *levels: str) -> Lease:
    """Rate all jobs of an album except the last one; return its lease."""
    *leases, last = smiles(bench)
    for lease, level in zip(leases, levels, strict=True):
        finish(bench, lease, level)
    return last


def finish(bench: Bench, lease: Lease, level: str) -> None:
    bench.work(WORKER.complete, [StageOutcome(lease, smiling(level), 0.1, {})])


def ranks(bench: Bench, job_ids: Sequence[JobId]) -> list[int | None]:
    return [bench.job(job_id).rank for job_id in job_ids]


def event_types(bench: Bench, batch_id: BatchId) -> list[EventType]:
    return [event.type for event in bench.do(events.list_for_job, JobId(batch_id))]


def ready(bench: Bench) -> list[JobId]:
    """Return the jobs that are ready to be composed, in order."""
    return [lease.job_id for lease in bench.claim(COMPOSITE, batch_size=100)]


def states(bench: Bench, batch_id: BatchId) -> list[str]:
    return [str(item.state) for item in bench.batch(batch_id).items or ()]


def test_album_has_finished_when_its_best_are_composed(bench: Bench) -> None:
    batch_id, _ = bench.submit_batch(3, RECIPE, best=2)
    finish(bench, rate(bench, "huge", "none"), "mild")

    bench.advance(COMPOSITE)
    before = bench.batch(batch_id).state
    bench.advance(COMPOSITE)

    assert (before, bench.batch(batch_id).state) == (BatchState.RUNNING, BatchState.FINISHED)
    assert states(bench, batch_id) == ["succeeded"] * 3
    assert event_types(bench, batch_id).count(EventType.BATCH_FINISHED) == 1
    assert event_types(bench, batch_id)[-1] == EventType.BATCH_FINISHED


def cancel(connection: Connection, lease: Lease) -> object:
    return CLIENT.cancel(connection, lease.job_id, TENANT)


def delete(connection: Connection, lease: Lease) -> object:
    return CLIENT.delete(connection, lease.job_id, TENANT)


def fail(connection: Connection, lease: Lease) -> object:
    return WORKER.fail(connection, lease, RAISED)


def retry(connection: Connection, lease: Lease) -> object:
    return WORKER.retry(connection, lease, RAISED, delay_seconds=1, max_attempts=1)


def release(connection: Connection, lease: Lease) -> object:
    _lose_patience(connection)
    return WORKER.release(connection, lease, delay_seconds=1, give_up_seconds=1)


def expire(connection: Connection, lease: Lease) -> object:
    del lease
    _lose_patience(connection)
    return WORKER.expire(connection, max_attempts=1, give_up_seconds=1)


def complete(connection: Connection, lease: Lease) -> object:
    return WORKER.complete(connection, [StageOutcome(lease, smiling("none"), 0.1, {})])


def _lose_patience(connection: Connection) -> None:
    connection.execute(
        text("""
            UPDATE stages SET patience_since = statement_timestamp() - interval '1 day',
                leased_until = leased_until - interval '1 day', attempt = 1
            WHERE state = 'running'
        """)
    )


Ending = Callable[[Connection, Lease], object]
ENDINGS: tuple[Ending, ...] = (cancel, delete, fail, retry, release, expire, complete)


@pytest.mark.parametrize("end", ENDINGS, ids=lambda end: end.__name__)
def test_every_ending_of_the_last_rating_ranks(bench: Bench, end: Ending) -> None:
    _, job_ids = bench.submit_batch(3, RECIPE, best=1)
    last = rate(bench, "mild", "huge")

    bench.do(end, last)

    assert ranks(bench, job_ids[:2]) == [2, 1]
    assert bench.job(job_ids[0]).state == JobState.SUCCEEDED
    assert ready(bench) == [job_ids[1]]
    assert invariants.broken(bench) == []


@pytest.mark.parametrize("end", ENDINGS, ids=lambda end: end.__name__)
def test_every_ending_of_the_last_job_finishes_its_batch_once(bench: Bench, end: Ending) -> None:
    batch_id, _ = bench.submit_batch(2, Recipe(outputs=(Output.FACES,)))
    last = rate(bench, "none")

    bench.do(end, last)

    assert event_types(bench, batch_id) == [EventType.BATCH_PROGRESS, EventType.BATCH_FINISHED]


@pytest.mark.parametrize("second", ENDINGS[:4], ids=lambda end: end.__name__)
@pytest.mark.parametrize("first", [cancel, complete], ids=lambda end: end.__name__)
def test_last_two_ratings_at_once_rank_once(bench: Bench, first: Ending, second: Ending) -> None:
    batch_id, job_ids = bench.submit_batch(3, RECIPE, best=1)
    leases = smiles(bench)
    finish(bench, leases[0], "huge")
    deadlocks = races.deadlocks(bench)

    overlapped(bench, lambda on: first(on, leases[2]), lambda on: second(on, leases[1]))

    assert bench.job(job_ids[0]).rank == 1
    assert ready(bench) == [job_ids[0]]
    assert bench.batch(batch_id).ranked_at is not None
    assert invariants.broken(bench) == []
    assert races.deadlocks(bench) == deadlocks


@pytest.mark.parametrize("second", ENDINGS[:4], ids=lambda end: end.__name__)
@pytest.mark.parametrize("first", [delete, complete], ids=lambda end: end.__name__)
def test_last_two_jobs_at_once_finish_once(bench: Bench, first: Ending, second: Ending) -> None:
    batch_id, _ = bench.submit_batch(2, KEEP_BACKGROUND)
    bench.complete(*bench.claim(PREPARE, batch_size=2))
    leases = bench.claim(COMPOSITE, batch_size=2)

    overlapped(bench, lambda on: first(on, leases[1]), lambda on: second(on, leases[0]))

    assert bench.batch(batch_id).state == BatchState.FINISHED
    assert event_types(bench, batch_id).count(EventType.BATCH_FINISHED) == 1


def overlapped(
    bench: Bench, first: Callable[[Connection], object], second: Callable[[Connection], object]
) -> None:
    """Make the second while the first is made and not committed."""
    with ThreadPoolExecutor(1) as pool:
        with bench.transaction() as connection:
            first(connection)
            other = pool.submit(bench.do, second)
            races.wait_for_lock_waiters(bench, other)
        other.result(60)


@pytest.mark.parametrize(("best", "composed"), [(1, 1), (5, 3)])
def test_photos_without_faces_keep_their_order(bench: Bench, best: int, composed: int) -> None:
    _, job_ids = bench.submit_batch(3, RECIPE, best=best)

    bench.complete(*smiles(bench))

    assert ranks(bench, job_ids) == [1, 2, 3]
    assert sorted(ready(bench)) == job_ids[:composed]


def test_ranking_uses_the_people_that_segmentation_found(bench: Bench) -> None:
    _, job_ids = bench.submit_batch(2, RECIPE, best=1)
    persons = dict(zip(job_ids, (0, 3), strict=True))
    bench.complete(*bench.claim(PREPARE, batch_size=2))
    for lease in bench.claim(SEGMENTATION, batch_size=2):
        found = StageOutcome(lease, {"facts": {"persons": persons[lease.job_id]}}, 0.1, {})
        bench.work(WORKER.complete, [found])

    for stage in (FACE, SMILE):
        bench.complete(*bench.claim(stage, batch_size=2))

    terms = [bench.job(job_id).rank_terms or {} for job_id in job_ids]
    said = [["No person is in it."], ["It has no face to rate."]]
    assert [term["reasons"] for term in terms] == said


def test_canceled_winner_is_not_replaced(bench: Bench) -> None:
    batch_id, job_ids = bench.submit_batch(2, RECIPE, best=1)
    finish(bench, rate(bench, "huge"), "none")

    bench.do(CLIENT.cancel, job_ids[0], TENANT)

    assert ready(bench) == []
    assert states(bench, batch_id) == ["canceled", "succeeded"]
    assert bench.batch(batch_id).state == BatchState.FINISHED


def test_job_redriven_before_the_ranking_returns_to_the_album(bench: Bench) -> None:
    batch_id, job_ids = bench.submit_batch(2, RECIPE, best=1)
    first, second = smiles(bench)
    keep_photos(bench, [first.job_id])
    with bench.transaction() as connection:
        WORKER.fail(connection, first, RAISED)
        CLIENT.redrive(connection, first.job_id, TENANT)

    finish(bench, second, "none")
    before = bench.batch(batch_id).ranked_at
    finish(bench, bench.claim_one(SMILE), "huge")

    assert before is None
    assert ranks(bench, job_ids) == [1, 2]
    assert ready(bench) == [job_ids[0]]
    assert invariants.broken(bench) == []


def test_job_redriven_after_the_ranking_is_composed_without_a_rank(bench: Bench) -> None:
    batch_id, job_ids = bench.submit_batch(2, RECIPE, best=1)
    first, second = smiles(bench)
    bench.work(WORKER.fail, first, RAISED)
    finish(bench, second, "none")
    bench.advance(COMPOSITE)
    keep_photos(bench, [first.job_id])

    bench.do(CLIENT.redrive, first.job_id, TENANT)
    again = bench.batch(batch_id).state
    bench.advance(SMILE, COMPOSITE)

    assert (again, bench.batch(batch_id).state) == (BatchState.RUNNING, BatchState.FINISHED)
    assert ranks(bench, job_ids) == [None, 1]
    assert event_types(bench, batch_id).count(EventType.BATCH_FINISHED) == 2


def keep_photos(bench: Bench, job_ids: Sequence[JobId]) -> None:
    """Store photos: the bench writes only rows."""
    bench.execute(
        "UPDATE artifacts SET marked_at = NULL WHERE job_id = ANY(:ids)", ids=list(job_ids)
    )


def test_canceled_album_is_not_ranked(bench: Bench) -> None:
    batch_id, job_ids = bench.submit_batch(3, RECIPE, best=1)
    last = rate(bench, "huge", "none")

    bench.do(CLIENT.cancel_batch, batch_id, TENANT)

    assert states(bench, batch_id) == ["canceled"] * 3
    assert ranks(bench, job_ids) == [None] * 3
    assert ready(bench) == []
    assert event_types(bench, batch_id) == [EventType.BATCH_FINISHED]
    assert bench.work(WORKER.complete, [StageOutcome(last, {}, 0.1, {})]).lost


def test_deleted_job_counts_in_its_last_state(bench: Bench) -> None:
    batch_id, job_ids = bench.submit_batch(2, KEEP_BACKGROUND)
    bench.advance(PREPARE, COMPOSITE)

    with bench.transaction() as connection:
        for job_id in job_ids:
            CLIENT.delete(connection, job_id, TENANT)

    assert sorted(states(bench, batch_id)) == ["canceled", "succeeded"]
    assert bench.batch(batch_id).state == BatchState.FINISHED
    assert event_types(bench, batch_id).count(EventType.BATCH_FINISHED) == 1


def test_photo_of_the_same_scene_is_ranked_behind_the_best_of_another(bench: Bench) -> None:
    _, job_ids = bench.submit_batch(3, RECIPE, best=2)
    scenes = dict(zip(job_ids, (0, 0, 2**64 - 1), strict=True))
    levels = dict(zip(job_ids, ("huge", "moderate", "none"), strict=True))
    for lease in bench.claim(PREPARE, batch_size=3):
        facts = {**FACTS_WITHOUT_PEOPLE[PREPARE], "fingerprint": scenes[lease.job_id]}
        done = StageOutcome(lease, {"facts": facts}, 0.1, {})
        bench.work(WORKER.complete, [done])
    for stage in (SEGMENTATION, FACE):
        bench.complete(*bench.claim(stage, batch_size=3))

    for lease in bench.claim(SMILE, batch_size=3):
        finish(bench, lease, levels[lease.job_id])

    assert ranks(bench, job_ids) == [1, 3, 2]
    terms = bench.job(job_ids[1]).rank_terms or {}
    assert (terms["alike"], terms["better"]) == (2, str(job_ids[0]))
    assert sorted(ready(bench)) == [job_ids[0], job_ids[2]]
