"""Every guard of the protocol is needed: a check fails without it."""

import dataclasses
import datetime as dt
import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy.exc import DBAPIError

from mutants import overlaps
from mutants.guards import MUTANTS, WALKS, Mutant, applied
from smart_filter_shared.artifacts.references import artifact_keys
from smart_filter_shared.artifacts.retention import ArtifactKind
from smart_filter_shared.doorbell import Doorbell
from smart_filter_shared.errors import (
    ArtifactsGone,
    DatabaseUnavailable,
    Error,
    ImageUnreadable,
    InputsExpired,
    LeaseLost,
    StorageUnavailable,
)
from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs.photo_queue import WORKER
from smart_filter_shared.operations import consistency
from smart_filter_shared.queue.leases import Lease
from smart_filter_shared.telemetry.tracing import NULL_TRACES
from smart_filter_tests import face_worker, invariants
from smart_filter_tests.bench import TENANT, Bench, stage_result
from smart_filter_tests.face_worker import FaceWorker
from smart_filter_tests.protocol import walks
from smart_filter_tests.stages import FACE, PREPARE, SEGMENTATION, SMILE
from smart_filter_workers.runtime import error_policy, runner
from smart_filter_workers.runtime.bells.stage_events import StageEvents
from smart_filter_workers.runtime.capabilities import ServedCapabilities
from smart_filter_workers.runtime.context import WorkerContext
from smart_filter_workers.runtime.counters import WorkerCounters
from smart_filter_workers.runtime.heartbeat import Heartbeat
from smart_filter_workers.runtime.shutdown import GracefulShutdown
from smart_filter_workers.runtime.task import Task

_MOST = 20
# Classes of SQLSTATE.
_CONSTRAINT, _RAISED = "23", "P0001"
OF_NO_STAGE = f"2026-01-01/{TENANT}/of-no-stage"


class Away:
    """A database that does not answer."""

    def begin(self) -> object:
        raise DatabaseUnavailable("no answer")


class Watched:
    """An object whose method is called through a function of the test."""

    def __init__(self, inner: object, name: str, instead: Callable[..., object]) -> None:
        self._inner, self._name, self._instead = inner, name, instead

    def __getattr__(self, name: str) -> object:
        return self._instead if name == self._name else getattr(self._inner, name)


def check_overlaps(bench: Bench) -> None:
    overlaps.check_pairs(bench)
    overlaps.check_batches(bench)


def rerun(bench: Bench) -> None:
    """An artifact is missing, at most twice: its stage runs again, those that succeeded do not."""
    job_id = bench.submit()
    bench.advance(PREPARE, FACE, SMILE)
    for _ in range(2):
        lease = bench.claim_one(SEGMENTATION)
        assert lease.attempt == 1
        (gone,) = artifact_keys(bench.row(job_id, PREPARE)["result"])
        bench.work(WORKER.rerun, lease, [gone])
        assert bench.row(job_id, SEGMENTATION)["state"] == "waiting"
        bench.advance(PREPARE)
        assert bench.states(job_id)["face"] == "succeeded"
        assert invariants.broken(bench) == []
    lease = bench.claim_one(SEGMENTATION)
    (gone,) = artifact_keys(bench.row(job_id, PREPARE)["result"])
    _lose(bench, lease)
    for held, refusal in ((lease, LeaseLost), (bench.claim_one(SEGMENTATION), InputsExpired)):
        try:
            bench.work(WORKER.rerun, held, [gone])
        except refusal:
            continue
        except Error as error:
            raise AssertionError(f"{error}, not {refusal.__name__}") from error
        raise AssertionError(f"the rerun should have raised {refusal.__name__}")


# --- errors of a stage ---------------------------------------------------------------------


def lost_lease(bench: Bench) -> None:
    """A stage raises after its lease was lost: the thread goes on."""
    lease = _claim(bench)
    _lose(bench, lease)

    _meet(bench, lease, ValueError("a defect"))

    assert bench.row(lease.job_id, PREPARE)["state"] == "ready"


def database_away(bench: Bench) -> None:
    """A stage raises while the database is away: the thread goes on, and the lease runs out."""
    lease = _claim(bench)

    _meet(bench, lease, ValueError("a defect"), engine=Away(), lease_seconds=0.0)

    assert bench.row(lease.job_id, PREPARE)["state"] == "running"


def outage(bench: Bench) -> None:
    """Storage does not answer: the stage waits with its attempt."""
    lease = _claim(bench)

    _meet(bench, lease, StorageUnavailable("no answer"))

    row = bench.row(lease.job_id, PREPARE)
    assert (row["state"], row["attempt"], row["releases"]) == ("waiting", 0, 1)


def unusable_photo(bench: Bench) -> None:
    """A photo cannot be read: its job fails at once."""
    lease = _claim(bench)

    _meet(bench, lease, ImageUnreadable("cut off"))

    assert bench.row(lease.job_id, PREPARE)["state"] == "failed"


def inputs_expired(bench: Bench) -> None:
    """An artifact is missing that no stage can make again: the job fails."""
    bench.submit()
    bench.advance(PREPARE)
    lease = bench.claim_one(FACE)

    _meet(bench, lease, ArtifactsGone("an artifact is missing", keys=(OF_NO_STAGE,)))

    assert bench.row(lease.job_id, FACE)["state"] == "failed"


def repeated_commit(bench: Bench) -> None:
    """The answer to a commit is lost: its repetition finds the lease gone, and the object stays."""
    lease = _claim(bench)
    key = f"{dt.date(2026, 1, 1)}/{TENANT}/made"
    done = dataclasses.replace(stage_result(lease), artifacts={key: ArtifactKind.RESULT})
    bench.store.put(key, b"made", length=4, media_type="image/png")
    context = _worker_context(bench, lease_seconds=600.0)
    commits = 0

    def complete(_: WorkerContext) -> Sequence[Lease]:
        nonlocal commits
        commits += 1
        lost = bench.work(WORKER.complete, [done]).lost
        if commits == 1:
            raise DatabaseUnavailable("the answer was lost")
        return lost

    try:
        lost = error_policy.retry_until_lease_ends(context, complete)
    except DatabaseUnavailable as error:
        raise AssertionError("the commit was not repeated") from error
    error_policy.remove_unreferenced(context, [key])

    assert lost == [lease]
    assert bench.store.has(key)


# --- a thread's turn -------------------------------------------------------------------------


def lost_completion(bench: Bench) -> None:
    """The lease is lost while the model runs: no object of it is left, and the next run counts."""
    with _worker(bench) as worker:
        job_id = worker.submit()

        worker.run(meanwhile=lambda: _lose_running(bench, job_id))

        row = bench.row(job_id, FACE)
        assert (row["state"], row["attempt"]) == ("succeeded", 2)
        findings = consistency.check_objects(
            bench.engine, bench.store, most=_MOST, old=dt.timedelta(seconds=-60)
        )
        assert [finding for finding in findings if finding.fault == "orphaned"] == []


def lost_before_storing(bench: Bench) -> None:
    """The heartbeat has found the lease lost: the thread stores nothing under it."""
    with _worker(bench) as worker:
        job_id = worker.submit()

        def lose() -> None:
            _lose_running(bench, job_id)
            worker.context.heartbeat.beat()

        worker.run(meanwhile=lose)

        assert worker.stored == 1  # by the second run


def failed_claim(bench: Bench) -> None:
    """The next claim raises in the transaction of a completion: the completion holds."""
    with _worker(bench) as worker:
        job_id = worker.submit()
        cards_of = worker.context.serving.cards_of
        asked = 0

        def fail_once(chosen: Any) -> object:  # noqa: ANN401 - a capability
            nonlocal asked
            asked += 1
            if asked == 2:
                raise ValueError("a defect of a claim")
            return cards_of(chosen)

        worker.replace(serving=Watched(worker.context.serving, "cards_of", fail_once))
        worker.run()

        row = bench.row(job_id, FACE)
        assert (row["state"], row["attempt"]) == ("succeeded", 1)


def draining(bench: Bench) -> None:
    """A worker that ends completes its stage and claims no other."""
    with _worker(bench) as worker:
        first, second = worker.submit(), worker.submit()

        worker.run(meanwhile=worker.context.draining.set)

        assert [bench.row(job_id, FACE)["state"] for job_id in (first, second)] == [
            "succeeded",
            "ready",
        ]


# --- the heartbeat and the end of a process ---------------------------------------------------


def heartbeat(bench: Bench) -> None:
    """A lease of work in time is renewed."""
    with _beating(bench, limit_seconds=600) as (beats, task):
        bench.age(task.lease, seconds=20)
        before = _leased_until(bench, task)

        beats.beat()

        assert _leased_until(bench, task) != before
        assert not task.lost.is_set()


def heartbeat_of_lost_lease(bench: Bench) -> None:
    """A lost lease is noticed."""
    with _beating(bench, limit_seconds=600) as (beats, task):
        _lose(bench, task.lease)

        beats.beat()

        assert task.lost.is_set()


def hang(bench: Bench) -> None:
    """The lease of work past its limit is not renewed."""
    with _beating(bench, limit_seconds=-1) as (beats, task):
        before = _leased_until(bench, task)

        beats.beat()

        assert _leased_until(bench, task) == before


def shutdown(bench: Bench) -> None:
    """A process that ends returns its lease, and its threads store nothing more."""
    settings = bench.settings
    task = Task(_claim(bench), overdue_at=math.inf)
    ending = GracefulShutdown(bench.engine, Doorbell(settings.broker), settings.engine, NULL_TRACES)

    ending._release_lease(task)  # noqa: SLF001 - the step before the process ends itself

    row = bench.row(task.lease.job_id, PREPARE)
    assert (row["state"], row["attempt"]) == ("ready", 0)
    assert task.lost.is_set()


def notice(bench: Bench, mutant: Mutant) -> None:
    """Run the check of a mutant.  Raises AssertionError when it notices the mutant."""
    try:
        if mutant.check == WALKS:
            walks.follow_all(bench, about=mutant.guard.partition(":")[0])
        else:
            CHECKS[mutant.check](bench)
    except DBAPIError as error:
        # A constraint of the schema, or the trigger of the tests that knows the declared moves.
        # Any other error is a mutant that is no SQL.
        state = getattr(error.orig, "sqlstate", None) or ""
        if state.startswith(_CONSTRAINT) or state == _RAISED:
            raise AssertionError(f"the database refuses it: {error.orig}") from error
        raise


CHECKS: Mapping[str, Callable[[Bench], None]] = {
    "overlaps": check_overlaps,
    "rerun": rerun,
    "lost lease": lost_lease,
    "database away": database_away,
    "outage": outage,
    "unusable photo": unusable_photo,
    "inputs expired": inputs_expired,
    "repeated commit": repeated_commit,
    "lost completion": lost_completion,
    "lost before storing": lost_before_storing,
    "failed claim": failed_claim,
    "draining": draining,
    "heartbeat": heartbeat,
    "heartbeat of a lost lease": heartbeat_of_lost_lease,
    "hang": hang,
    "shutdown": shutdown,
}


def _claim(bench: Bench) -> Lease:
    bench.submit()
    return bench.claim_one(PREPARE)


def _lose(bench: Bench, lease: Lease) -> None:
    bench.age(lease, seconds=3600)
    bench.sweep()


def _lose_running(bench: Bench, job_id: JobId) -> None:
    bench.execute(
        "UPDATE stages SET leased_until = leased_until - interval '1 hour' "
        "WHERE job_id = :id AND state = 'running'",
        id=job_id,
    )
    bench.sweep()


def _worker_context(bench: Bench, *, lease_seconds: float, engine: object = None) -> WorkerContext:
    quick = bench.settings.engine.model_copy(update={"lease_seconds": lease_seconds})
    context = SimpleNamespace(
        engine=engine or bench.engine,
        settings=dataclasses.replace(bench.settings, engine=quick),
        doorbell=bench.doorbell,
        counters=WorkerCounters(),
        stage_events=StageEvents(bench.settings.broker, bench.worker, max_attempts=3),
        artifacts=SimpleNamespace(discard=lambda keys: [bench.store.remove(key) for key in keys]),
    )
    return cast(WorkerContext, context)


def _meet(
    bench: Bench,
    lease: Lease,
    trouble: Exception,
    *,
    engine: object = None,
    lease_seconds: float = 30.0,
) -> None:
    context = _worker_context(bench, lease_seconds=lease_seconds, engine=engine)
    try:
        with error_policy.settle_errors(context, [Task(lease, 0.0)], "internal"):
            raise trouble
    except Error as error:
        raise AssertionError(f"{type(error).__name__} ends the thread") from error
    assert invariants.broken(bench) == []


@contextmanager
def _beating(bench: Bench, *, limit_seconds: float) -> Iterator[tuple[Heartbeat, Task]]:
    beats = Heartbeat(
        bench.engine,
        bench.settings.engine,
        worker=bench.worker,
        serving=ServedCapabilities([], {}),
        threads=1,
        draining=threading.Event(),
        on_hang=lambda: None,
        on_announced=lambda: None,
    )
    with beats.at_work(), beats.holding([_claim(bench)], limit_seconds=limit_seconds) as (task,):
        yield beats, task


def _leased_until(bench: Bench, task: Task) -> object:
    return bench.row(task.lease.job_id, PREPARE)["leased_until"]


@dataclasses.dataclass(slots=True)
class _Worker:
    """A worker of the face stage.  stored: how many results it has stored."""

    base: FaceWorker
    stored: int = 0

    @property
    def context(self) -> WorkerContext:
        return self.base.context

    def submit(self) -> JobId:
        """Write a job whose face stage is ready, and its photo."""
        job_id = self.base.submit()
        self.base.bench.store.put(str(job_id), b"photo", length=5, media_type="image/png")
        return job_id

    def replace(self, **context: object) -> None:
        self.base.context = dataclasses.replace(self.context, **cast(Any, context))

    def run(self, *, meanwhile: Callable[[], None] | None = None) -> None:
        """Serve one ring; meanwhile: called once, while the model runs."""
        artifacts = self.context.artifacts

        def store(*given: Any, **more: Any) -> object:  # noqa: ANN401 - as ArtifactStore.store takes
            self.stored += 1
            kept = artifacts.store(*given, **more)
            # Faces have no file of their own.
            key = f"{dt.datetime.now(dt.UTC).date()}/{TENANT}/{given[1].token}"
            self.base.bench.store.put(key, b"file", length=4, media_type="image/png")
            return dataclasses.replace(kept, artifacts={key: ArtifactKind.RESULT})

        self.replace(artifacts=Watched(artifacts, "store", store))
        self.base.meanwhile.extend([] if meanwhile is None else [meanwhile])
        runner.run_turn(self.context)


@contextmanager
def _worker(bench: Bench) -> Iterator[_Worker]:
    with face_worker.start(bench) as base:
        yield _Worker(base)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.timeout(300)
def test_service_passes_the_check(bench: Bench, check: str) -> None:
    CHECKS[check](bench)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.guard)
@pytest.mark.timeout(300)
def test_check_notices_that_a_guard_is_missing(bench: Bench, mutant: Mutant) -> None:
    with applied(mutant), pytest.raises(AssertionError):
        notice(bench, mutant)
