"""What becomes of a lease when its work raises: the family of the error decides.

An unusable photo fails its job, infrastructure that is away hands the stage back with its
attempt refunded, a lost lease drops the work, and anything else spends the attempt: somebody
else's server that is away, too.
"""

import contextlib
import random
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from smart_filter_shared.db import sessions
from smart_filter_shared.errors import (
    ArtifactsGone,
    Conflict,
    DatabaseUnavailable,
    Error,
    InputsExpired,
    ModelNotLoaded,
    PictureLate,
    RowUnreadable,
    TryAgain,
    Unusable,
)
from smart_filter_shared.ids import Capability
from smart_filter_shared.jobs import retention, transitions
from smart_filter_shared.jobs.leases import UNAVAILABLE, UNREADABLE, Failure, Lease
from smart_filter_shared.jobs.measures import Count
from smart_filter_shared.telemetry.logs import logger
from smart_filter_workers.heartbeat import Held
from smart_filter_workers.services import Services

_LONGEST_BACKOFF_SECONDS = 60.0
_log = logger("runner")

Answer = TypeVar("Answer")


def attempt(
    services: Services, held: Sequence[Held], code: str, step: Callable[[], Answer]
) -> Answer | None:
    """Return what a step gives; when it raises, settle its leases by the error's family.

    code: what a job fails with when the error is a defect and no attempt is left.
    """
    try:
        with _noted(held, code):
            return step()
    except Conflict as error:
        _log.warning("work dropped", reason=str(error))
    except ArtifactsGone as error:
        _log.warning("to be made again", reason=str(error), **named(held[0].lease))
        gone = error.keys
        _settle(services, held, lambda lease: _reopen(services, lease, gone))
    except Unusable as error:
        failure = Failure(error.code, _title(error), str(error))
        _settle(services, held, lambda lease: _fail(services, lease, failure))
    except PictureLate as error:
        _log.warning("picture did not come", reason=str(error), **named(held[0].lease))
        failure = Failure(error.code, _title(error), str(error))
        _settle(services, held, lambda lease: _retry(services, lease, failure))
    except TryAgain as error:
        if isinstance(error, ModelNotLoaded) and error.leads:
            failed = Capability(error.capability) or held[0].lease.capability
            services.serving.fail(failed, str(error))
        _log.warning("stage released", reason=str(error))
        given_up = UNREADABLE if isinstance(error, RowUnreadable) else UNAVAILABLE
        _settle(services, held, lambda lease: _release(services, lease, given_up))
    except Exception as error:  # noqa: BLE001 - the top of a worker: defects end here
        _log.exception("stage raised", **named(held[0].lease))
        title = "A model failed" if code == "model_failed" else "Something of ours failed"
        failure = Failure(code, title, f"{type(error).__name__} in {held[0].lease.stage}")
        _settle(services, held, lambda lease: _retry(services, lease, failure))
    return None


@contextmanager
def _noted(held: Sequence[Held], code: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        for one in held:
            one.trouble = error.code if isinstance(error, Error) else code
        raise


def _settle(services: Services, held: Sequence[Held], move: Callable[[Lease], None]) -> None:
    for one in held:
        try:
            insist(services, lambda one=one: _charge(services, one))  # type: ignore[misc]  # binds the loop's variable
            insist(services, lambda one=one: move(one.lease))  # type: ignore[misc]  # binds the loop's variable
        except Conflict as error:
            _log.warning("lease lost, work dropped", reason=str(error))
        except TryAgain as error:
            _log.warning("left to the sweeper", reason=str(error), **named(one.lease))


def _charge(services: Services, held: Held) -> None:
    """Count what fetching took though it failed: a slow address costs its tenant, not others."""
    if held.fetching_seconds:
        with sessions.transaction(services.engine) as connection:
            transitions.charge(connection, held.lease, held.fetching_seconds)


def _fail(services: Services, lease: Lease, failure: Failure) -> None:
    with sessions.transaction(services.engine) as connection:
        transitions.fail(connection, lease, failure)


def _reopen(services: Services, lease: Lease, gone: Sequence[str]) -> None:
    try:
        with sessions.transaction(services.engine) as connection:
            ready = transitions.reopen(connection, lease, gone)
    except InputsExpired as error:
        _fail(services, lease, Failure(error.code, _title(error), str(error)))
    else:
        services.tally.count(Count.RELEASES, lease.capability)
        services.doorbell.ring(ready)


def _release(services: Services, lease: Lease, given_up: Failure) -> None:
    with sessions.transaction(services.engine) as connection:
        ready = transitions.release(
            connection,
            lease,
            delay_seconds=_backoff(lease.releases),
            give_up_seconds=services.settings.engine.give_up_seconds,
            failure=given_up,
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


def insist(services: Services, move: Callable[[], Answer]) -> Answer:
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


def drop(services: Services, stored: Collection[str]) -> None:
    """Remove those objects that no row names; what is away now is left to retention.

    A completion whose commit was made, but whose answer was lost, finds its own lease gone
    when it is repeated: what a row names stays.
    """
    if not stored:
        return
    with contextlib.suppress(TryAgain):
        with sessions.transaction(services.engine) as connection:
            unnamed = retention.unnamed(connection, stored)
        services.artifacts.discard(unnamed)


def _backoff(times: int) -> float:
    """Return seconds to wait before a stage is tried again: exponential, with full jitter.

    Source: M. Brooker, "Exponential Backoff And Jitter", 2015; halved here at the most.
    """
    longest = min(_LONGEST_BACKOFF_SECONDS, 0.5 * 2.0 ** min(times, 10))
    return random.uniform(longest / 2, longest)  # noqa: S311 - spreads load, hides nothing


def _title(error: Error) -> str:
    documentation = type(error).__doc__ or ""
    return documentation.partition("\n")[0].rstrip(".")


def named(lease: Lease) -> dict[str, str]:
    """Return what a log entry says of a lease."""
    return {"job": str(lease.job_id), "stage": lease.stage, "attempt": str(lease.attempt)}
