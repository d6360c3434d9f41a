"""Issues of the service, described for operators, the most severe first.

The thresholds equal the alerts' (deploy/prometheus/alerts.yml), without their delays: an
operator who looks should see an issue when it begins.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from smart_filter_shared.ids import Capability
from smart_filter_shared.operations.overview import Overview, WorkerInfo
from smart_filter_shared.queue.worker_registry import SENDER_ROLE, WorkerState

# A sweep runs once a second.
_MAX_SWEEP_AGE: Final = dt.timedelta(seconds=15)
_LONG_WAIT_SECONDS: Final = 300.0
_LATE_WEBHOOK_SECONDS: Final = 60.0
_LATE_RETENTION_SECONDS: Final = 900.0
# Capabilities of a worker that are named in a text.
_MAX_NAMES: Final = 3
# Workers in these states do not count as serving their capabilities.
_UNRELIABLE_STATES: Final = (WorkerState.UNHEALTHY, WorkerState.DRAINING)


class Severity(StrEnum):
    """The severity of an issue.

    bad: photos wait or fail because of it.  fair: an operator should know about it.
    """

    BAD = "bad"
    FAIR = "fair"


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue of the service.

    subject: the capability or worker concerned; "": the whole service.
    since: when it began, if known.
    """

    gravity: Severity
    subject: str
    title: str
    detail: str
    since: dt.datetime | None = None


# Reported alone: without writes there are no heartbeats and no progress, so the other issues follow
# from it.
_READ_ONLY_ISSUE: Final = Issue(
    Severity.BAD,
    "",
    "The database is read-only",
    "It may be a replica. Photos are refused, and workers wait. Point "
    "SMART_FILTER_DATABASE_URL to the primary.",
)


def find_issues(standing: Overview) -> list[Issue]:
    """Return all issues, the most severe first."""
    if standing.read_only:
        return [_READ_ONLY_ISSUE]
    every = [*_service_issues(standing), *_webhook_issues(standing), *_queue_issues(standing)]
    every += [
        *_retention_issues(standing),
        *_worker_issues(standing.workers),
        *_failure_issues(standing),
    ]
    return sorted(every, key=lambda issue: issue.gravity != Severity.BAD)


def _service_issues(standing: Overview) -> Iterator[Issue]:
    if not _has_live_worker(standing.workers):
        yield Issue(
            Severity.BAD if standing.unfinished else Severity.FAIR,
            "",
            "No worker is running",
            "Photos are accepted and wait. Start a worker with `smart-filter worker`.",
        )
    elif standing.now - standing.swept_at > _MAX_SWEEP_AGE:
        yield Issue(
            Severity.BAD,
            "",
            "No sweeper is running",
            "Retries, expired leases and history wait for it. Read the workers' logs.",
            standing.swept_at,
        )


def _webhook_issues(standing: Overview) -> Iterator[Issue]:
    if standing.webhook_lag_seconds > _LATE_WEBHOOK_SECONDS:
        yield Issue(
            Severity.BAD,
            "",
            "Webhook deliveries are late",
            "A delivery has been due for more than a minute and is not being sent. "
            + (
                "All senders are drained: resume one."
                if SENDER_ROLE in _served_by_drained_only(standing.workers)
                else "Is a sender running?"
            ),
            standing.now - dt.timedelta(seconds=standing.webhook_lag_seconds),
        )


def _retention_issues(standing: Overview) -> Iterator[Issue]:
    if standing.retention_lag_seconds > _LATE_RETENTION_SECONDS:
        yield Issue(
            Severity.FAIR,
            "",
            "Retention is overdue",
            "A photo or a result should have been deleted 15 minutes ago. Read the workers' logs.",
            standing.now - dt.timedelta(seconds=standing.retention_lag_seconds),
        )
    if standing.bucket_fault is not None:
        yield Issue(
            Severity.FAIR, "", "Orphaned objects are not deleted", f"{standing.bucket_fault}."
        )


def _queue_issues(standing: Overview) -> Iterator[Issue]:
    has_live_worker = _has_live_worker(standing.workers)
    drained_only = _served_by_drained_only(standing.workers)
    for queue in standing.queues:
        length, name = queue.length, queue.capability
        oldest = standing.now - dt.timedelta(seconds=length.oldest_wait_seconds)
        if queue.paused_at is not None:
            yield Issue(
                Severity.FAIR,
                name,
                f"{name} is paused",
                f"{_format_waiting(length.ready + length.waiting)} until it is resumed."
                if length.ready + length.waiting
                else "New photos wait until it is resumed.",
                queue.paused_at,
            )
        elif length.ready and name in drained_only:
            yield Issue(
                Severity.BAD,
                name,
                f"Only drained workers serve {name}",
                f"{_format_waiting(length.ready)} until one is resumed or another is started.",
                oldest,
            )
        elif length.ready and not queue.workers:
            # Without any live worker, `_service_issues` reports it once for all queues.
            if has_live_worker:
                yield Issue(
                    Severity.BAD,
                    name,
                    f"No worker serves {name}",
                    f"{_format_waiting(length.ready)} for a worker that serves it.",
                    oldest,
                )
        elif length.oldest_wait_seconds > _LONG_WAIT_SECONDS:
            yield Issue(
                Severity.BAD,
                name,
                f"Photos wait too long for {name}",
                f"{_format_waiting(length.ready)}, the oldest for more than five minutes. "
                "Add workers, or check why they are slow.",
                oldest,
            )


def _worker_issues(workers: Sequence[WorkerInfo]) -> Iterator[Issue]:
    for worker in workers:
        where = f"{worker.host}, process {worker.pid}"
        kind = "worker" if _is_worker(worker) else "sender"
        left = _describe_unserved(worker, workers)
        if worker.state == WorkerState.UNHEALTHY:
            yield Issue(
                Severity.FAIR,
                str(worker.id),
                f"A {kind} is unhealthy",
                f"{where}: its heartbeats have stopped, or its threads take no work. "
                + (f"No other {kind} {left}." if left else "Others take over its work."),
                worker.seen_at,
            )
        elif _is_drained(worker):
            yield Issue(
                Severity.FAIR,
                str(worker.id),
                f"A {kind} is drained",
                f"{where}: it claims no more. "
                + (f"No other {kind} {left}: resume it." if left else "Resume it, or stop it."),
                worker.drained_from,
            )
        elif worker.failed:
            name, why = next(iter(worker.failed.items()))
            more = len(worker.failed) - 1
            yield Issue(
                Severity.BAD if worker.state == WorkerState.SETUP_FAILED else Severity.FAIR,
                str(worker.id),
                f"A worker cannot serve {name}" + (f" and {more} more" if more else ""),
                f"{where}: {why}",
                worker.started_at,
            )


def _failure_issues(standing: Overview) -> Iterator[Issue]:
    for problem in standing.problems:
        if problem.is_dead:
            # A job that is redriven and fails again counts again.
            failed = (
                "One job failed" if problem.jobs == 1 else f"Jobs failed {problem.jobs:,} times"
            )
            yield Issue(
                Severity.BAD,
                problem.capability,
                f"{failed} in {problem.capability} within the hour",
                f"The code is {problem.code}; no fault of the photos is known. Fix the cause, "
                "then redrive the jobs.",
            )


def _format_waiting(count: int) -> str:
    return "One photo waits" if count == 1 else f"{count:,} photos wait"


def _has_live_worker(workers: Sequence[WorkerInfo]) -> bool:
    return any(_is_worker(worker) and worker.state != WorkerState.UNHEALTHY for worker in workers)


def _is_worker(member: WorkerInfo) -> bool:
    return set(member.wanted) != {SENDER_ROLE}


def _is_drained(member: WorkerInfo) -> bool:
    """Return whether an operator drained it; a worker that shuts down also drains."""
    return member.state == WorkerState.DRAINING and member.drained_from is not None


def _served_by_drained_only(workers: Sequence[WorkerInfo]) -> set[Capability]:
    """Return the capabilities that only drained workers serve."""
    drained = [worker for worker in workers if _is_drained(worker)]
    return {name for worker in drained for name in worker.intended_capabilities} - _served_reliably(
        workers
    )


def _served_reliably(workers: Sequence[WorkerInfo]) -> set[Capability]:
    reliable = [worker for worker in workers if worker.state not in _UNRELIABLE_STATES]
    return {name for worker in reliable for name in worker.intended_capabilities}


def _describe_unserved(member: WorkerInfo, workers: Sequence[WorkerInfo]) -> str:
    """Return the work that no other member does, such as "serves face.x"; "" without any."""
    left = [name for name in member.intended_capabilities if name not in _served_reliably(workers)]
    if left == [SENDER_ROLE]:
        return "sends webhooks"
    more = len(left) - _MAX_NAMES
    listed = ", ".join(left[:_MAX_NAMES]) + (f" and {more} more" if more > 0 else "")
    return f"serves {listed}" if left else ""
