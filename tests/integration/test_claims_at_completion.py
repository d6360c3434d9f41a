"""A thread that completes a stage claims the next one with it: on real servers, in this process."""

import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType

import numpy as np
import pytest
from sqlalchemy import text

from smart_filter_shared.cards import LEADING_TASK, ModelCard
from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs import transitions
from smart_filter_shared.jobs.leases import Done
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Output, Recipe
from smart_filter_shared.telemetry.tracing import UNTOLD
from smart_filter_tests import invariants
from smart_filter_tests.bench import KEEPING, Bench, capability
from smart_filter_workers import app, catalogue, runner
from smart_filter_workers.results import Face, Prepared, Srgb8
from smart_filter_workers.services import Services
from smart_filter_workers.serving import Serving

PREPARE, FACE = StageName.PREPARE, StageName.FACE


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


def test_all_that_is_ready_is_done_in_one_turn(
    bench: Bench, services: Services, submit: Callable[[], JobId]
) -> None:
    jobs = [submit() for _ in range(3)]

    runner.run(services, capability(FACE))

    rows = [bench.row(job_id, FACE) for job_id in jobs]
    assert [(row["state"], row["attempt"]) for row in rows] == [("succeeded", 1)] * 3
    assert invariants.broken(bench) == []


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
