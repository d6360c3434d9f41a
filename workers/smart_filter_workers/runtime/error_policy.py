"""Settle a lease whose work raised, by the family of the error.

An unusable photo fails its job. Unavailable infrastructure returns the stage with its attempt
refunded. A lost lease drops the work. Any other error spends the attempt, an unavailable server
of a third party included.
"""

import contextlib
import dataclasses
import random
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Concatenate, ParamSpec, TypeVar

from smart_filter_shared.artifacts import retention
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import (
    ArtifactsGone,
    Conflict,
    DatabaseUnavailable,
    DocumentRefused,
    Error,
    InputsExpired,
    ModelNotLoaded,
    OutcomeUnknown,
    PictureTemporarilyUnreachable,
    RowUnreadable,
    TryAgain,
    UnusablePhoto,
)
from smart_filter_shared.ids import Capability
from smart_filter_shared.jobs import result_cache
from smart_filter_shared.jobs.photo_queue import WORKER
from smart_filter_shared.operations.counters import CounterName
from smart_filter_shared.queue.leases import UNAVAILABLE, UNREADABLE, Failure, Lease
from smart_filter_shared.storage import keys
from smart_filter_shared.telemetry.logs import logger
from smart_filter_workers.runtime.context import WorkerContext
from smart_filter_workers.runtime.task import Task

_MAX_RETRY_SECONDS = 60.0
# Work goes on within this time when storage or database is back, or has room again.
_MAX_RELEASE_SECONDS = 8.0
_log = logger("runner")

Answer = TypeVar("Answer")
Reason = TypeVar("Reason")
Parameters = ParamSpec("Parameters")


@contextmanager
def settle_errors(context: WorkerContext, tasks: Sequence[Task], code: str) -> Iterator[None]:
    """Settle the leases of tasks when the block raises, by the error's family; the error ends here.

    code: the code that a job fails with when the error is a defect and no attempt is left.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - the top of a worker: defects end here
        for task in tasks:
            task.trouble = error.code if isinstance(error, Error) else code
        _settle(context, tasks, code, error)
        context.stage_events.record_error([task.lease for task in tasks], error)


def _settle(context: WorkerContext, tasks: Sequence[Task], code: str, error: Exception) -> None:
    first = tasks[0].lease
    match error:
        case Conflict():
            _log.warning("lease_lost", reason=str(error))
        case ArtifactsGone():
            _log.warning("artifact_missing_rerun", reason=str(error), **log_fields(first))
            _move_leases(context, tasks, _rerun, error.keys)
        case UnusablePhoto():
            _move_leases(context, tasks, _fail, _failure(error))
        case PictureTemporarilyUnreachable():
            _log.warning("background_unavailable", reason=str(error), **log_fields(first))
            _move_leases(context, tasks, _retry, _failure(error))
        case TryAgain():
            if isinstance(error, ModelNotLoaded) and error.leads:
                failed = Capability(error.capability) or first.capability
                context.serving.fail(failed, str(error))
            _log.warning("stage_released", reason=str(error))
            given_up = UNREADABLE if isinstance(error, RowUnreadable) else UNAVAILABLE
            _move_leases(context, tasks, _release, given_up)
        case _:
            _log.error("stage_failed", exc_info=error, **log_fields(first))
            title = "A model failed" if code == "model_failed" else "Internal error"
            failure = Failure(code, title, f"{type(error).__name__} in {first.stage}")
            _move_leases(context, tasks, _retry, failure)


def _move_leases(
    context: WorkerContext,
    tasks: Sequence[Task],
    move: Callable[[WorkerContext, Lease, Reason], None],
    reason: Reason,
) -> None:
    for task in tasks:
        try:
            retry_until_lease_ends(context, _charge, task)
            retry_until_lease_ends(context, move, task.lease, reason)
        except Conflict as error:
            _log.warning("lease_lost", reason=str(error))
        except TryAgain as error:
            _log.warning("left_to_sweeper", reason=str(error), **log_fields(task.lease))


def _charge(context: WorkerContext, task: Task) -> None:
    """Charge the time of a failed fetch, so that a slow address costs its own tenant."""
    if task.fetching_seconds:
        # An unknown outcome is not repeated: the tenant would be charged twice.
        with (
            contextlib.suppress(OutcomeUnknown),
            sessions.transaction(context.engine) as connection,
        ):
            WORKER.charge(connection, task.lease, task.fetching_seconds)


def _fail(context: WorkerContext, lease: Lease, failure: Failure) -> None:
    with sessions.transaction(context.engine) as connection:
        WORKER.fail(connection, lease, failure)


def _rerun(context: WorkerContext, lease: Lease, gone: Sequence[str]) -> None:
    try:
        with sessions.transaction(context.engine) as connection:
            ready = WORKER.rerun(connection, lease, gone)
    except InputsExpired as error:
        with sessions.transaction(context.engine) as connection:
            WORKER.fail(connection, lease, _failure(error))
            # Jobs with the same photo would go on to share what is gone.
            for key in gone:
                result_cache.stop_sharing(connection, keys.tenant_of(key), key)
    else:
        context.counters.count(CounterName.RELEASES, lease.capability)
        context.doorbell.ring(ready)


def _release(context: WorkerContext, lease: Lease, given_up: Failure) -> None:
    with sessions.transaction(context.engine) as connection:
        ready = WORKER.release(
            connection,
            lease,
            delay_seconds=_backoff(lease.releases, most=_MAX_RELEASE_SECONDS),
            give_up_seconds=context.settings.engine.give_up_seconds,
            failure=given_up,
        )
    context.counters.count(CounterName.RELEASES, lease.capability)
    context.doorbell.ring(ready)


def _retry(context: WorkerContext, lease: Lease, failure: Failure) -> None:
    with sessions.transaction(context.engine) as connection:
        WORKER.retry(
            connection,
            lease,
            failure,
            delay_seconds=_backoff(lease.attempt - 1, most=_MAX_RETRY_SECONDS),
            max_attempts=context.settings.engine.max_attempts,
        )
    context.counters.count(CounterName.RETRIES, lease.capability)


def retry_until_lease_ends(
    context: WorkerContext,
    move: Callable[Concatenate[WorkerContext, Parameters], Answer],
    *given: Parameters.args,
    **more: Parameters.kwargs,
) -> Answer:
    """Move a row and return the answer; retry an unavailable database while the lease may hold."""
    gives_up_at = time.monotonic() + context.settings.engine.lease_seconds
    pause_seconds = 0.1
    while True:
        try:
            return move(context, *given, **more)
        except DatabaseUnavailable:
            if time.monotonic() > gives_up_at:
                raise
            time.sleep(pause_seconds)
            pause_seconds = min(2.0, 2 * pause_seconds)


def remove_unreferenced(context: WorkerContext, stored: Collection[str]) -> None:
    """Remove the objects that no row names; objects that storage cannot delete now expire later.

    When the answer to a committed completion is lost, its repetition finds the lease gone.
    Therefore objects that a row names stay.
    """
    if not stored:
        return
    with contextlib.suppress(TryAgain):
        with sessions.transaction(context.engine) as connection:
            unnamed = retention.unreferenced(connection, stored)
        context.artifacts.discard(unnamed)


def _backoff(times: int, *, most: float) -> float:
    """Return the seconds to wait before a stage is tried again: exponential, at most `most`.

    Source: M. Brooker, "Exponential Backoff And Jitter", 2015; here jitter takes off at most half.
    """
    longest = min(most, 0.5 * 2.0 ** min(times, 10))
    return random.uniform(longest / 2, longest)  # noqa: S311 - spreads load, hides nothing


def _failure(error: Error) -> Failure:
    """Return the failure of a job that ends with this error; its class has the title."""
    documentation = type(error).__doc__ or ""
    report = error.report if isinstance(error, DocumentRefused) else None
    return Failure(
        error.code,
        documentation.partition("\n")[0].rstrip("."),
        str(error),
        None if report is None else dataclasses.asdict(report),
    )


def log_fields(lease: Lease) -> dict[str, str]:
    """Return the fields that identify a lease in a log entry."""
    return {"job": str(lease.job_id), "stage": lease.stage, "attempt": str(lease.attempt)}
