"""Where two parts meet: derivations, albums, deadlines, deletions and what is borrowed."""

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import text

from smart_filter_shared.ids import BatchId, JobId, new_upload_id
from smart_filter_shared.jobs import events, transitions, uploads
from smart_filter_shared.jobs.batches import BatchState
from smart_filter_shared.jobs.events import EventType
from smart_filter_shared.jobs.memory import artifacts_of
from smart_filter_shared.jobs.states import JobState
from smart_filter_shared.jobs.transitions import locks
from smart_filter_shared.pipeline import StageName
from smart_filter_tests import invariants, races, worlds
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.worlds import World

PREPARE, SEGMENTATION, FACE, SMILE, COMPOSITE = StageName


def types(bench: Bench, thing: JobId | BatchId) -> list[EventType]:
    with bench.transaction() as connection:
        return [event.type for event in events.of_job(connection, JobId(thing))]


def whole(bench: Bench) -> JobId:
    job_id = bench.submit()
    bench.advance(*StageName)
    return job_id


def claim(stage: StageName) -> worlds.Action:
    return worlds.Action(
        "claim",
        stage,
        lambda connection, world: [
            lease.stage
            for lease in transitions.claim(
                connection,
                worlds.capability(stage),
                worker=world.bench.worker,
                batch_size=8,
                lease_seconds=30,
                max_attempts=3,
            )
        ],
    )


def test_two_first_stages_claimed_at_the_same_moment_begin_a_job_once(bench: Bench) -> None:
    job_ids = [bench.derive(whole(bench), PREPARE) for _ in range(3)]

    first, second = races.overlapped(World(bench, job_ids[0], {}), claim(SEGMENTATION), claim(FACE))

    assert (first, second) == ([SEGMENTATION] * 3, [FACE] * 3)
    for job_id in job_ids:
        assert types(bench, job_id).count(EventType.RUNNING) == 1


def test_stage_taken_over_that_runs_after_all_begins_no_job_again(bench: Bench) -> None:
    job_id = bench.derive(whole(bench), PREPARE)
    lease = bench.claim_one(SEGMENTATION)
    gone = artifacts_of(bench.job(job_id).result(PREPARE))

    bench.do(transitions.reopen, lease, gone)
    worlds.drain(bench)

    assert bench.job(job_id).state == JobState.SUCCEEDED
    assert types(bench, job_id).count(EventType.RUNNING) == 1


def test_redriven_job_whose_artifact_is_gone_is_done_in_spite_of_its_deadline(bench: Bench) -> None:
    job_id = bench.submit(photo="photo")
    bench.advance(PREPARE)
    worlds.pass_deadline(bench, job_id)
    bench.sweep()
    gone = artifacts_of(bench.job(job_id).result(PREPARE))

    bench.do(transitions.redrive, job_id, TENANT)
    lease = bench.claim_one(SEGMENTATION)
    bench.do(transitions.reopen, lease, gone)
    worlds.drain(bench)

    assert bench.job(job_id).state == JobState.SUCCEEDED
    assert invariants.broken(bench) == []


def test_album_is_ranked_without_whom_a_deadline_takes_and_finishes_once(bench: Bench) -> None:
    world = worlds.late_album(bench)
    (batch_id,) = {bench.job(world.job_id).batch_id}
    assert batch_id is not None

    bench.sweep()
    between = bench.batch(batch_id)
    bench.advance(COMPOSITE)

    items = between.items or ()
    assert [item.state for item in items] == ["running", "succeeded", "failed"]
    assert [item.rank for item in items] == [1, 2, None]
    assert bench.batch(batch_id).state == BatchState.FINISHED
    assert types(bench, batch_id).count(EventType.BATCH_FINISHED) == 1
    assert invariants.broken(bench) == []


def test_winner_whose_deadline_passes_after_the_ranking_ends_its_album_once(bench: Bench) -> None:
    batch_id, job_ids = bench.submit_batch(2, best=1)
    for stage in (PREPARE, SEGMENTATION, FACE, SMILE):
        bench.complete(*bench.claim(stage, batch_size=2))
    worlds.pass_deadline(bench, job_ids[0])

    bench.sweep()

    assert [item.state for item in bench.batch(batch_id).items or ()] == ["failed", "succeeded"]
    assert types(bench, batch_id).count(EventType.BATCH_FINISHED) == 1
    assert invariants.broken(bench) == []


def test_lapsed_job_redriven_into_its_album_is_ranked_with_the_others(bench: Bench) -> None:
    batch_id, job_ids = bench.submit_batch(2, best=1)
    bench.complete(*bench.claim(PREPARE, batch_size=2))
    worlds.pass_deadline(bench, job_ids[0])
    bench.sweep()

    bench.do(transitions.redrive, job_ids[0], TENANT)
    worlds.drain(bench)

    assert sorted(item.rank or 0 for item in bench.batch(batch_id).items or ()) == [1, 2]
    assert [item.state for item in bench.batch(batch_id).items or ()] == ["succeeded"] * 2
    assert invariants.broken(bench) == []


def test_album_waits_for_a_rating_that_is_made_again(bench: Bench) -> None:
    batch_id, job_ids = bench.submit_batch(2, best=1)
    for stage in (PREPARE, SEGMENTATION, FACE):
        bench.complete(*bench.claim(stage, batch_size=2))
    first, second = sorted(bench.claim(SMILE, batch_size=2), key=lambda lease: lease.job_id)
    gone = artifacts_of(bench.job(job_ids[1]).result(SEGMENTATION))

    bench.do(transitions.reopen, second, gone)
    bench.complete(first)
    between = invariants.broken(bench), bench.batch(batch_id).ranked_at
    worlds.drain(bench)

    assert between == ([], None)
    assert bench.batch(batch_id).ranked_at is not None
    assert bench.batch(batch_id).state == BatchState.FINISHED
    assert invariants.broken(bench) == []


def test_deleted_batch_leaves_jobs_derived_from_it(bench: Bench) -> None:
    batch_id, job_ids = bench.submit_batch(2)
    worlds.drain(bench)
    children = [bench.derive(job_id, PREPARE, SEGMENTATION) for job_id in job_ids]

    bench.do(transitions.begin_to_delete, batch_id, TENANT)
    bench.do(transitions.go_on_deleting, batch_id, TENANT, most=10)
    worlds.drain(bench)

    assert [bench.job(child).state for child in children] == [JobState.SUCCEEDED] * 2
    assert invariants.broken(bench) == []
    for child in children:
        bench.do(transitions.delete, child, TENANT)
    with bench.transaction() as connection:
        left = connection.execute(text("SELECT key FROM artifacts WHERE marked_at IS NULL"))
        assert list(left) == []


def test_end_of_a_batch_that_is_deleted_is_news_whatever_else_happened_to_it(bench: Bench) -> None:
    batch_id, job_ids = bench.submit_batch(3)
    horizon = bench.do(events.news, None).horizon

    for job_id in job_ids[:2]:
        bench.do(transitions.cancel, job_id, TENANT)
    bench.do(transitions.begin_to_delete, batch_id, TENANT)

    assert bench.do(events.news, horizon).jobs[JobId(batch_id)] is True


def test_batch_and_one_of_its_jobs_deleted_at_once_do_not_deadlock(bench: Bench) -> None:
    upload_id = new_upload_id()
    bench.do(uploads.write, TENANT, upload_id, media_type="image/png", length=1)
    batch_id, job_ids = bench.submit_batch(3)
    with bench.transaction() as connection:
        connection.execute(text("UPDATE jobs SET upload_id = :id"), {"id": upload_id})
        transitions.begin_to_delete(connection, batch_id, TENANT)
    before = races.deadlocks(bench)

    with ThreadPoolExecutor(1) as pool:
        with bench.transaction() as connection:
            locks.lock(connection, job_ids[1:2])  # as far as its deletion has come
            rest = pool.submit(_go_on, bench, batch_id)
            races.await_waiting(bench, rest)
            transitions.delete(connection, job_ids[1], TENANT)
        rest.result()

    assert races.deadlocks(bench) == before


def _go_on(bench: Bench, batch_id: BatchId) -> object:
    return bench.do(transitions.go_on_deleting, batch_id, TENANT, most=2)
