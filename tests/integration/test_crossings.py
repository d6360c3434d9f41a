"""Where two parts meet: derivations, albums, deadlines, deletions; completions and claims."""

import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import numpy as np
import pytest
from sqlalchemy import text

from smart_filter_shared.cards import LEADING_TASK, ModelCard
from smart_filter_shared.ids import BatchId, JobId, new_upload_id
from smart_filter_shared.jobs import events, transitions, uploads
from smart_filter_shared.jobs.batches import BatchState
from smart_filter_shared.jobs.events import EventType
from smart_filter_shared.jobs.leases import Done
from smart_filter_shared.jobs.memory import artifacts_of
from smart_filter_shared.jobs.states import JobState
from smart_filter_shared.jobs.transitions import locks
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Output, Recipe
from smart_filter_shared.telemetry.tracing import UNTOLD
from smart_filter_tests import invariants, races, worlds
from smart_filter_tests.bench import KEEPING, TENANT, Bench, capability
from smart_filter_tests.worlds import World
from smart_filter_workers import app, catalogue, runner
from smart_filter_workers.results import Face, Prepared, Srgb8
from smart_filter_workers.services import Services
from smart_filter_workers.serving import Serving

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


class Pauses(threading.Event):
    """An event that is set after so many waits, none of which takes any time."""

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
def services(bench: Bench) -> Iterator[Services]:
    """What a worker has that serves one capability, whose model finds nobody."""
    parts = app._wire(  # noqa: SLF001 - a worker without Celery, whose thread is the test's
        bench.settings,
        catalogue.find([_finds_nobody()]),
        [FACE],
        ["bench"],
        threads=1,
        traces=UNTOLD,
    )
    parts.setup.load(parts.services.models)
    yield parts.services
    for engine in (parts.services.engine, parts.beating):
        engine.dispose()
    parts.services.doorbell.close()


@pytest.fixture
def submit(bench: Bench, services: Services) -> Callable[[], JobId]:
    """Write a job whose photo is prepared and whose faces can be looked for."""

    def write() -> JobId:
        job_id = bench.submit(Recipe(outputs=frozenset({Output.FACES})))
        lease = bench.claim_one(PREPARE)
        proxy = np.zeros((8, 8, 3), np.uint8)
        result = Prepared(8, 8, "jpg", proxy, ())
        kept = services.artifacts.keep(bench.job(job_id), lease, result)
        done = Done(lease, {**kept.row, "digests": {}}, 0.1, kept.artifacts)
        bench.do(transitions.complete, [done], KEEPING)
        return job_id

    return write


def test_next_stage_is_claimed_by_the_transaction_that_completes(
    bench: Bench, services: Services, submit: Callable[[], JobId]
) -> None:
    first, second = submit(), submit()
    with bench.transaction() as connection:
        # As if it were the first of its stages that begins, which is told as an event.
        connection.execute(
            text("UPDATE stages SET started_at = NULL WHERE job_id = :id"), {"id": second}
        )
        connection.execute(text("DELETE FROM events"))

    runner.run(services, capability(FACE))

    assert _written(bench, first, "job.stage") == _written(bench, second, "job.running")


def test_completion_stands_when_the_next_stage_cannot_be_read(
    bench: Bench, services: Services, submit: Callable[[], JobId]
) -> None:
    first, second = submit(), submit()
    bench.execute(
        """
        UPDATE stages SET models = '{"of a later version": "x"}'
        WHERE job_id = :id AND stage = 'face'
    """,
        id=second,
    )

    runner.run(services, capability(FACE))

    done, unread = bench.row(first, FACE), bench.row(second, FACE)
    assert (done["state"], done["attempt"]) == ("succeeded", 1)
    assert (unread["state"], unread["attempt"], unread["releases"]) == ("waiting", 0, 1)


def test_thread_pauses_while_another_holds_the_ready_stage(
    bench: Bench, services: Services, submit: Callable[[], JobId]
) -> None:
    job_id = submit()
    pauses = Pauses(3)
    # Of one capability the queue is left at once; of two the lowest head is asked for again.
    serving = Serving([capability(FACE), capability(StageName.SMILE)], {})
    serving.open()
    busy = dataclasses.replace(services, serving=serving, draining=pauses)

    with bench.transaction() as connection:
        held = text("SELECT FROM stages WHERE job_id = :id AND stage = 'face' FOR UPDATE")
        connection.execute(held, {"id": job_id})
        runner.run(busy, capability(FACE))

    assert pauses.left == 0
    assert bench.row(job_id, FACE)["state"] == "ready"


def _written(bench: Bench, job_id: JobId, kind: str) -> object:
    with bench.transaction() as connection:
        query = text("SELECT written_in FROM events WHERE job_id = :id AND type = :type")
        return connection.execute(query, {"id": job_id, "type": kind}).scalar_one()


def _finds_nobody() -> ModuleType:
    def no_face(batch: Sequence[Srgb8]) -> list[tuple[Face, ...]]:
        return [() for _ in batch]

    made = ModuleType("finds_nobody")
    card = ModelCard(
        name="bench",
        version="1",
        task=LEADING_TASK[FACE],
        family="bench",
        title="Finds nobody",
        source="the tests",
        licence="Apache-2.0",
        data_terms="",
    )
    vars(made).update(CARD=card, load=lambda _: no_face)
    return made
