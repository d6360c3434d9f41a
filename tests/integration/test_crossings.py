"""Interactions of derivations, albums, deadlines and deletions; completions and claims."""

import dataclasses
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from smart_filter_shared.artifacts import references, uploads
from smart_filter_shared.ids import BatchId, JobId, new_upload_id
from smart_filter_shared.jobs.photo_queue import CLIENT, WORKER
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue import events
from smart_filter_shared.queue.batches import BatchState
from smart_filter_shared.queue.events import EventType
from smart_filter_shared.queue.states import JobState
from smart_filter_shared.queue.transitions import locks
from smart_filter_tests import claiming, face_worker, invariants, races, scenarios
from smart_filter_tests.bench import TENANT, Bench, capability
from smart_filter_tests.face_worker import FaceWorker
from smart_filter_tests.scenarios import Scenario
from smart_filter_tests.stages import COMPOSITE, FACE, PREPARE, SEGMENTATION, SMILE
from smart_filter_workers.runtime import runner
from smart_filter_workers.runtime.capabilities import ServedCapabilities


def types(bench: Bench, thing: JobId | BatchId) -> list[EventType]:
    with bench.transaction() as connection:
        return [event.type for event in events.list_for_job(connection, JobId(thing))]


def whole(bench: Bench) -> JobId:
    job_id = bench.submit()
    bench.advance(*StageName)
    return job_id


def claim(stage: StageName) -> scenarios.Action:
    return scenarios.Action(
        "claim",
        stage,
        lambda connection, scenario: [
            lease.stage
            for lease in claiming.claim(
                connection,
                [capability(stage)],
                worker=scenario.bench.worker,
                batch_size=8,
            )
        ],
    )


def test_two_first_stages_claimed_at_the_same_moment_begin_a_job_once(bench: Bench) -> None:
    job_ids = [bench.derive(whole(bench), PREPARE) for _ in range(3)]

    first, second = races.run_overlapped(
        Scenario(bench, job_ids[0], {}), claim(SEGMENTATION), claim(FACE)
    )

    assert (first, second) == ([SEGMENTATION] * 3, [FACE] * 3)
    for job_id in job_ids:
        assert types(bench, job_id).count(EventType.RUNNING) == 1


def test_taken_over_stage_that_reruns_does_not_begin_the_job_again(bench: Bench) -> None:
    job_id = bench.derive(whole(bench), PREPARE)
    lease = bench.claim_one(SEGMENTATION)
    gone = references.artifact_keys(bench.job(job_id).result(PREPARE))

    bench.work(WORKER.rerun, lease, gone)
    scenarios.drain(bench)

    assert bench.job(job_id).state == JobState.SUCCEEDED
    assert types(bench, job_id).count(EventType.RUNNING) == 1


def test_redriven_job_with_a_missing_artifact_succeeds_despite_its_old_deadline(
    bench: Bench,
) -> None:
    job_id = bench.submit(photo="photo")
    bench.advance(PREPARE)
    scenarios.set_deadline_past(bench, job_id)
    bench.sweep()
    gone = references.artifact_keys(bench.job(job_id).result(PREPARE))

    bench.do(CLIENT.redrive, job_id, TENANT)
    lease = bench.claim_one(SEGMENTATION)
    bench.work(WORKER.rerun, lease, gone)
    scenarios.drain(bench)

    assert bench.job(job_id).state == JobState.SUCCEEDED
    assert invariants.broken(bench) == []


def test_album_is_ranked_without_overdue_jobs_and_finishes_once(bench: Bench) -> None:
    scenario = scenarios.overdue_album(bench)
    (batch_id,) = {bench.job(scenario.job_id).batch_id}
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


def test_winner_that_is_overdue_after_the_ranking_ends_its_album_once(bench: Bench) -> None:
    batch_id, job_ids = bench.submit_batch(2, best=1)
    for stage in (PREPARE, SEGMENTATION, FACE, SMILE):
        bench.complete(*bench.claim(stage, batch_size=2))
    scenarios.set_deadline_past(bench, job_ids[0])

    bench.sweep()

    assert [item.state for item in bench.batch(batch_id).items or ()] == ["failed", "succeeded"]
    assert types(bench, batch_id).count(EventType.BATCH_FINISHED) == 1
    assert invariants.broken(bench) == []


def test_overdue_job_redriven_into_its_album_is_ranked_with_the_others(bench: Bench) -> None:
    batch_id, job_ids = bench.submit_batch(2, best=1)
    bench.complete(*bench.claim(PREPARE, batch_size=2))
    scenarios.set_deadline_past(bench, job_ids[0])
    bench.sweep()

    bench.do(CLIENT.redrive, job_ids[0], TENANT)
    scenarios.drain(bench)

    assert sorted(item.rank or 0 for item in bench.batch(batch_id).items or ()) == [1, 2]
    assert [item.state for item in bench.batch(batch_id).items or ()] == ["succeeded"] * 2
    assert invariants.broken(bench) == []


def test_album_waits_for_a_rating_that_is_repeated(bench: Bench) -> None:
    batch_id, job_ids = bench.submit_batch(2, best=1)
    for stage in (PREPARE, SEGMENTATION, FACE):
        bench.complete(*bench.claim(stage, batch_size=2))
    first, second = sorted(bench.claim(SMILE, batch_size=2), key=lambda lease: lease.job_id)
    gone = references.artifact_keys(bench.job(job_ids[1]).result(SEGMENTATION))

    bench.work(WORKER.rerun, second, gone)
    bench.complete(first)
    between = invariants.broken(bench), bench.batch(batch_id).ranked_at
    scenarios.drain(bench)

    assert between == ([], None)
    assert bench.batch(batch_id).ranked_at is not None
    assert bench.batch(batch_id).state == BatchState.FINISHED
    assert invariants.broken(bench) == []


def test_deleted_batch_leaves_jobs_derived_from_it(bench: Bench) -> None:
    batch_id, job_ids = bench.submit_batch(2)
    scenarios.drain(bench)
    children = [bench.derive(job_id, PREPARE, SEGMENTATION) for job_id in job_ids]

    bench.do(CLIENT.begin_batch_deletion, batch_id, TENANT)
    bench.do(CLIENT.continue_batch_deletion, batch_id, TENANT, most=10)
    scenarios.drain(bench)

    assert [bench.job(child).state for child in children] == [JobState.SUCCEEDED] * 2
    assert invariants.broken(bench) == []
    for child in children:
        bench.do(CLIENT.delete, child, TENANT)
    with bench.transaction() as connection:
        left = connection.execute(text("SELECT key FROM artifacts WHERE marked_at IS NULL"))
        assert list(left) == []


def test_end_of_a_deleted_batch_is_an_event_in_spite_of_other_changes(bench: Bench) -> None:
    batch_id, job_ids = bench.submit_batch(3)
    horizon = bench.do(events.read_changes, None).horizon

    for job_id in job_ids[:2]:
        bench.do(CLIENT.cancel, job_id, TENANT)
    bench.do(CLIENT.begin_batch_deletion, batch_id, TENANT)

    assert bench.do(events.read_changes, horizon).jobs[JobId(batch_id)] is True


def test_batch_and_one_of_its_jobs_deleted_at_once_do_not_deadlock(bench: Bench) -> None:
    upload_id = new_upload_id()
    bench.do(uploads.create, TENANT, upload_id, media_type="image/png", length=1)
    batch_id, job_ids = bench.submit_batch(3)
    with bench.transaction() as connection:
        connection.execute(text("UPDATE jobs SET upload_id = :id"), {"id": upload_id})
        CLIENT.begin_batch_deletion(connection, batch_id, TENANT)
    before = races.deadlocks(bench)

    with ThreadPoolExecutor(1) as pool:
        with bench.transaction() as connection:
            locks.lock(connection, job_ids[1:2])  # the state that its deletion has reached
            rest = pool.submit(_go_on, bench, batch_id)
            races.wait_for_lock_waiters(bench, rest)
            CLIENT.delete(connection, job_ids[1], TENANT)
        rest.result()

    assert races.deadlocks(bench) == before


def _go_on(bench: Bench, batch_id: BatchId) -> object:
    return bench.do(CLIENT.continue_batch_deletion, batch_id, TENANT, most=2)


class Pauses(threading.Event):
    """An event that is set after a number of waits, each without delay."""

    def __init__(self, left: int) -> None:
        super().__init__()
        self.left = left

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout
        self.left -= 1
        if not self.left:
            self.set()
        return self.is_set()


@pytest.fixture
def worker(bench: Bench) -> Iterator[FaceWorker]:
    with face_worker.start(bench) as started:
        yield started


def test_next_stage_is_claimed_by_the_completing_transaction(
    bench: Bench, worker: FaceWorker
) -> None:
    first, second = worker.submit(), worker.submit()
    with bench.transaction() as connection:
        # As for the first stage of a job, whose beginning is an event.
        connection.execute(
            text("UPDATE stages SET started_at = NULL WHERE job_id = :id"), {"id": second}
        )
        connection.execute(text("DELETE FROM events"))

    runner.run_turn(worker.context)

    assert _written(bench, first, "job.stage") == _written(bench, second, "job.running")


def test_completion_holds_when_the_next_stage_cannot_be_read(
    bench: Bench, worker: FaceWorker
) -> None:
    first, second = worker.submit(), worker.submit()
    bench.execute(
        """
        UPDATE stages SET models = '{"of a later version": "x"}'
        WHERE job_id = :id AND stage = 'face'
    """,
        id=second,
    )

    runner.run_turn(worker.context)

    done, unread = bench.row(first, FACE), bench.row(second, FACE)
    assert (done["state"], done["attempt"]) == ("succeeded", 1)
    assert (unread["state"], unread["attempt"], unread["releases"]) == ("waiting", 0, 1)


def test_thread_pauses_while_another_locks_the_ready_stage(
    bench: Bench, worker: FaceWorker
) -> None:
    job_id = worker.submit()
    pauses = Pauses(3)
    # The only queue is left at once; with two, the lowest head is tried again.
    serving = ServedCapabilities([capability(FACE), capability(StageName.SMILE)], {})
    serving.open()
    busy = dataclasses.replace(worker.context, serving=serving, draining=pauses)

    with bench.transaction() as connection:
        held = text("SELECT FROM stages WHERE job_id = :id AND stage = 'face' FOR UPDATE")
        connection.execute(held, {"id": job_id})
        runner.run_turn(busy)

    assert pauses.left == 0
    assert bench.row(job_id, FACE)["state"] == "ready"


def _written(bench: Bench, job_id: JobId, kind: str) -> object:
    with bench.transaction() as connection:
        query = text("SELECT written_in FROM events WHERE job_id = :id AND type = :type")
        return connection.execute(query, {"id": job_id, "type": kind}).scalar_one()
