"""What a worker does when the doorbell rings: claim, load, run, store, complete.

Errors decide what happens next by their family: an unusable photo fails its job,
infrastructure that is away hands the stage back with its attempt refunded, a lost lease
drops the work, and anything else spends the attempt.
"""

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from sqlalchemy import Engine

from smart_filter_shared.db import sessions
from smart_filter_shared.doorbell import Doorbell
from smart_filter_shared.errors import (
    Conflict,
    DatabaseUnavailable,
    LeaseLost,
    TryAgain,
    Unusable,
)
from smart_filter_shared.ids import Capability, WorkerId
from smart_filter_shared.jobs import queries, retention, transitions
from smart_filter_shared.jobs.leases import Completion, Done, Failure, Lease
from smart_filter_shared.jobs.measures import Count
from smart_filter_shared.jobs.queries import JobRow, Rows
from smart_filter_shared.jobs.retention import Keeping
from smart_filter_shared.settings import Settings
from smart_filter_shared.telemetry.logs import logger
from smart_filter_shared.telemetry.metrics import Step
from smart_filter_workers import isolation, stage_code
from smart_filter_workers.artifacts import Artifacts, Kept
from smart_filter_workers.catalogue import Catalogue, LoadedModels
from smart_filter_workers.heartbeat import Heartbeat, Held
from smart_filter_workers.tally import Tally

# A ring's task ends after so long, so that a worker can be shut down and others get a turn.
_TURN_SECONDS = 30.0
# What a child process takes to start and to load its models, and an answer to come back.
_CHILD_SECONDS = 30.0
_LONGEST_BACKOFF_SECONDS = 60.0
_log = logger("runner")

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Services:
    """What a worker process works with.

    served: the capabilities it claims from.  draining: set when it should claim no more.
    extra_models: modules with models beside those of the stages' own folders.
    """

    engine: Engine
    doorbell: Doorbell
    artifacts: Artifacts
    catalogue: Catalogue
    models: LoadedModels
    heartbeat: Heartbeat
    tally: Tally
    settings: Settings
    keeping: Keeping
    worker: WorkerId
    served: tuple[Capability, ...]
    draining: threading.Event
    extra_models: tuple[str, ...]


def run(services: Services, rung: Capability) -> None:
    """Work until nothing is ready in any capability that this process serves.

    Starts with the one that was rung; then whichever head has the lowest rank. After 30 s
    it rings for what is left and ends.  Raises DatabaseUnavailable: the sweeper rings again.
    """
    ends_at = time.monotonic() + _TURN_SECONDS
    capability: Capability | None = rung if rung in services.served else None
    unrung: list[Capability] = []  # what this thread has made ready
    while not services.draining.is_set():
        if time.monotonic() >= ends_at:
            unrung = [*_unserved(services, unrung), *_still_ready(services)]
            break
        taken = _take(services, capability)
        if taken is None:
            unrung = _unserved(services, unrung)
            break
        services.doorbell.ring(without(unrung, [lease.capability for lease in taken.leases]))
        unrung = _work(services, taken) if taken.leases else []
        capability = None
    services.doorbell.ring(unrung)


def without(ready: Sequence[Capability], taken: Sequence[Capability]) -> list[Capability]:
    """Return what to ring for rows made ready when the same thread has taken some rows since.

    A row that it took from the same capability needs no ring any more: should it have been
    another row than the one made ready, that other one's ring is on its way.
    """
    left = list(ready)
    for capability in taken:
        if capability in left:
            left.remove(capability)
    return left


@dataclass(frozen=True, slots=True)
class _Taken:
    """Leases of one batch, and the rows of their jobs, read in the same transaction."""

    leases: list[Lease]
    rows: Rows


def _take(services: Services, capability: Capability | None) -> _Taken | None:
    """Claim from a capability, or where the head's rank is lowest; None: nothing is ready."""
    with sessions.transaction(services.engine) as connection:
        chosen = capability or queries.next_capability(connection, services.served)
        if chosen is None:
            return None
        with services.tally.timed(Step.CLAIM, chosen):
            leases = transitions.claim(
                connection,
                chosen,
                worker=services.worker,
                batch_size=services.catalogue.batch_size(chosen),
                lease_seconds=services.settings.engine.lease_seconds,
                max_attempts=services.settings.engine.max_attempts,
            )
        rows = queries.for_leases(connection, leases)
    services.tally.claimed(leases)
    return _Taken(leases, rows)


def _unserved(services: Services, capabilities: Sequence[Capability]) -> list[Capability]:
    return [capability for capability in capabilities if capability not in services.served]


def _still_ready(services: Services) -> list[Capability]:
    with sessions.transaction(services.engine) as connection:
        return queries.ready_among(connection, services.served)


@dataclass(frozen=True, slots=True)
class _Task:
    """One lease on its way through the pipe."""

    held: Held
    job: JobRow
    inputs: object = None
    result: object = None
    seconds: float = 0.0
    kept: Kept | None = None

    @property
    def lease(self) -> Lease:
        return self.held.lease


def _work(services: Services, taken: _Taken) -> list[Capability]:
    """Take a batch from its claim to its completion; whatever goes wrong is settled here.

    Returns what to ring for stages that it has made ready.
    """
    engine = services.settings.engine
    leases = taken.leases
    last = leases[0].attempt >= engine.max_attempts  # then it was claimed alone
    limit_seconds = engine.stage_seconds + (_CHILD_SECONDS if last else 0)
    with services.heartbeat.holding(leases, limit_seconds=limit_seconds) as held:
        tasks = _attempt(services, held, "internal", lambda: _with_jobs(taken, held)) or []
        if last:
            ran = _each(services, tasks, "model_failed", lambda task: _run_apart(services, task))
        else:
            loaded = _each(services, tasks, "internal", lambda task: _load(services, task))
            ran = _run(services, loaded)
        stored = _each(services, ran, "internal", lambda task: _store(services, task))
        if not stored:
            return []
        holders = [task.held for task in stored]
        return _attempt(services, holders, "internal", lambda: _complete(services, stored)) or []


def _with_jobs(taken: _Taken, held: Sequence[Held]) -> list[_Task]:
    # Not in the transaction that claims: a row that cannot be read would be claimed for ever.
    jobs = queries.jobs_in(taken.rows)
    return [_Task(one, jobs[one.lease.job_id]) for one in held]


def _load(services: Services, task: _Task) -> _Task:
    code = stage_code.of(task.lease.stage)
    with services.tally.timed(Step.LOAD, task.lease.capability):
        return replace(task, inputs=services.artifacts.load(task.job, code.Inputs))


def _run(services: Services, tasks: list[_Task]) -> list[_Task]:
    """Run a batch in one pass; when it raises, one by one, so that only the guilty fail."""
    if not tasks:
        return []
    lease = tasks[0].lease
    code = stage_code.of(lease.stage)

    def in_one_pass(some: list[_Task]) -> list[_Task]:
        models = services.models.of(lease.models)
        started = time.perf_counter()
        results = code.run(models, [task.inputs for task in some])
        seconds = (time.perf_counter() - started) / len(some)
        return [
            replace(task, result=result, seconds=seconds)
            for task, result in zip(some, results, strict=True)
        ]

    if len(tasks) > 1:
        try:
            return in_one_pass(tasks)
        except Exception:  # noqa: BLE001 - whose fault it was is found out below
            _log.info("batch raised, running it one by one", stage=lease.stage, size=len(tasks))
    return _each(services, tasks, "model_failed", lambda task: in_one_pass([task])[0])


def _run_apart(services: Services, task: _Task) -> _Task:
    """Load and run in a child process, which may die of it."""
    request = isolation.Request(services.settings, services.extra_models, task.lease, task.job)
    limit_seconds = services.settings.engine.stage_seconds
    answer = isolation.run(request, limit_seconds=limit_seconds)
    if answer.error is not None:
        raise answer.error
    return replace(task, result=answer.result, seconds=answer.seconds)


def _store(services: Services, task: _Task) -> _Task:
    if task.held.lost.is_set():
        raise LeaseLost(f"{task.lease.stage} of job {task.lease.job_id}")
    with services.tally.timed(Step.STORE, task.lease.capability):
        return replace(task, kept=services.artifacts.keep(task.job, task.lease, task.result))


def _complete(services: Services, tasks: list[_Task]) -> list[Capability]:
    done = [
        Done(task.lease, task.kept.row, task.seconds, task.kept.artifacts)
        for task in tasks
        if task.kept is not None
    ]

    def commit() -> Completion:
        with sessions.transaction(services.engine) as connection:
            return transitions.complete(connection, done, services.keeping)

    completion = _insist(services, commit)
    services.tally.ran(done)
    for task in tasks:
        if task.lease in completion.lost and task.kept is not None:
            _log.warning("lease lost, work dropped", **_named(task.lease))
            _drop(services, task.kept)
    return completion.ready


def _drop(services: Services, kept: Kept) -> None:
    """Remove what was stored under a lost lease; what is away now is left to retention.

    A completion whose commit was made, but whose answer was lost, finds its own lease gone
    when it is repeated: what a row names stays.
    """
    with contextlib.suppress(TryAgain):
        with sessions.transaction(services.engine) as connection:
            unnamed = retention.unnamed(connection, kept.artifacts)
        services.artifacts.discard(unnamed)


def _each(
    services: Services,
    tasks: Iterable[_Task],
    code: str,
    step: Callable[[_Task], Answer],
) -> list[Answer]:
    """Take each task one step further; return the answers of those that got there."""
    answers = []
    for task in tasks:
        answer = _attempt(services, [task.held], code, lambda task=task: step(task))  # type: ignore[misc]  # binds the loop's variable
        if answer is not None:
            answers.append(answer)
    return answers


def _attempt(
    services: Services, held: Sequence[Held], code: str, step: Callable[[], Answer]
) -> Answer | None:
    """Return what a step gives; when it raises, settle its leases by the error's family.

    code: what a job fails with when the error is a defect and no attempt is left.
    """
    try:
        return step()
    except Conflict as error:
        _log.warning("work dropped", reason=str(error))
    except Unusable as error:
        failure = Failure(error.code, _title(error), str(error))
        _settle(services, held, lambda lease: _fail(services, lease, failure))
    except TryAgain as error:
        _log.warning("stage released", reason=str(error))
        _settle(services, held, lambda lease: _release(services, lease))
    except Exception as error:  # noqa: BLE001 - the top of a worker: defects end here
        _log.exception("stage raised", **_named(held[0].lease))
        title = "A model failed" if code == "model_failed" else "Something of ours failed"
        failure = Failure(code, title, f"{type(error).__name__} in {held[0].lease.stage}")
        _settle(services, held, lambda lease: _retry(services, lease, failure))
    return None


def _settle(services: Services, held: Sequence[Held], move: Callable[[Lease], None]) -> None:
    for one in held:
        try:
            _insist(services, lambda one=one: move(one.lease))  # type: ignore[misc]  # binds the loop's variable
        except Conflict as error:
            _log.warning("lease lost, work dropped", reason=str(error))
        except TryAgain as error:
            _log.warning("left to the sweeper", reason=str(error), **_named(one.lease))


def _fail(services: Services, lease: Lease, failure: Failure) -> None:
    with sessions.transaction(services.engine) as connection:
        transitions.fail(connection, lease, failure)


def _release(services: Services, lease: Lease) -> None:
    with sessions.transaction(services.engine) as connection:
        ready = transitions.release(
            connection,
            lease,
            delay_seconds=_backoff(lease.releases),
            give_up_seconds=services.settings.engine.give_up_seconds,
        )
    services.tally.count(Count.RELEASES, lease.capability)
    services.doorbell.ring(ready)


def _retry(services: Services, lease: Lease, failure: Failure) -> None:
    with sessions.transaction(services.engine) as connection:
        transitions.retry(
            connection,
            lease,
            failure,
            delay_seconds=_backoff(lease.attempt - 1),
            max_attempts=services.settings.engine.max_attempts,
        )
    services.tally.count(Count.RETRIES, lease.capability)


def _insist(services: Services, move: Callable[[], Answer]) -> Answer:
    """Move a row though the database may be away: while the lease may hold, try again."""
    gives_up_at = time.monotonic() + services.settings.engine.lease_seconds
    pause_seconds = 0.1
    while True:
        try:
            return move()
        except DatabaseUnavailable:
            if time.monotonic() > gives_up_at:
                raise
            time.sleep(pause_seconds)
            pause_seconds = min(2.0, 2 * pause_seconds)


def _backoff(times: int) -> float:
    """Return seconds to wait before a stage is tried again: exponential, with full jitter.

    Source: M. Brooker, "Exponential Backoff And Jitter", 2015; halved here at the most.
    """
    longest = min(_LONGEST_BACKOFF_SECONDS, 0.5 * 2.0 ** min(times, 10))
    return random.uniform(longest / 2, longest)  # noqa: S311 - spreads load, hides nothing


def _title(error: Unusable) -> str:
    documentation = type(error).__doc__ or ""
    return documentation.partition("\n")[0].rstrip(".")


def _named(lease: Lease) -> dict[str, str]:
    return {"job": str(lease.job_id), "stage": lease.stage, "attempt": str(lease.attempt)}
