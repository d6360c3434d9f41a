"""What is not well with the service, in words, the worst first.

The bounds are those of the alerts (deploy/prometheus/alerts.yml), but at once: whoever looks
wants to see what begins.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from smart_filter_shared.jobs.presence import WorkerState
from smart_filter_shared.jobs.roster import Member
from smart_filter_shared.jobs.standing import Standing

# Sweeps come once a second.
_UNSWEPT: Final = dt.timedelta(seconds=15)
_LONG_WAIT_SECONDS: Final = 300.0
_LATE_WEBHOOK_SECONDS: Final = 60.0


class Gravity(StrEnum):
    """How bad something is.

    bad: photos wait or fail for it.  fair: somebody should know of it.
    """

    BAD = "bad"
    FAIR = "fair"


@dataclass(frozen=True, slots=True)
class Concern:
    """Something that is not well.

    subject: the capability or worker that it is about; empty: all.  since: when it began, where
    that is known.
    """

    gravity: Gravity
    subject: str
    title: str
    detail: str
    since: dt.datetime | None = None


def found(standing: Standing) -> list[Concern]:
    """Return all that is not well, the worst first."""
    every = [*_of_all(standing), *_of_queues(standing), *_of_workers(standing.workers)]
    every += _of_failures(standing)
    return sorted(every, key=lambda one: one.gravity != Gravity.BAD)


def _of_all(standing: Standing) -> Iterator[Concern]:
    serving = [one for one in standing.workers if one.state != WorkerState.UNHEALTHY]
    if not serving:
        yield Concern(
            Gravity.BAD if standing.unfinished else Gravity.FAIR,
            "",
            "No worker is running",
            "Photos are accepted and wait. Start one with smart-filter worker.",
        )
    elif standing.now - standing.swept_at > _UNSWEPT:
        yield Concern(
            Gravity.BAD,
            "",
            "No worker sweeps",
            "Retries, lost leases and history wait for one. Look into the workers' logs.",
            standing.swept_at,
        )
    if standing.webhook_lag_seconds > _LATE_WEBHOOK_SECONDS:
        yield Concern(
            Gravity.BAD,
            "",
            "Webhooks are late",
            "One has been due for longer than a minute, and nobody sends it. Is a sender running?",
            standing.now - dt.timedelta(seconds=standing.webhook_lag_seconds),
        )


def _of_queues(standing: Standing) -> Iterator[Concern]:
    for queue in standing.queues:
        length, name = queue.length, queue.capability
        oldest = standing.now - dt.timedelta(seconds=length.oldest_wait_seconds)
        if queue.paused_at is not None:
            yield Concern(
                Gravity.FAIR,
                name,
                f"{name} is paused",
                f"{_stages(length.ready + length.waiting)} until it is resumed."
                if length.ready + length.waiting
                else "What comes waits until it is resumed.",
                queue.paused_at,
            )
        elif length.ready and not queue.workers:
            yield Concern(
                Gravity.BAD,
                name,
                f"Nobody serves {name}",
                f"{_stages(length.ready)} for a worker that does.",
                oldest,
            )
        elif length.oldest_wait_seconds > _LONG_WAIT_SECONDS:
            yield Concern(
                Gravity.BAD,
                name,
                f"{name} keeps photos waiting",
                f"{_stages(length.ready)}, the first of them for longer than five minutes. "
                "Add workers, or look what they do.",
                oldest,
            )


def _of_workers(workers: Sequence[Member]) -> Iterator[Concern]:
    for one in workers:
        where = f"{one.host}, process {one.pid}"
        if one.state == WorkerState.UNHEALTHY:
            yield Concern(
                Gravity.FAIR,
                str(one.id),
                "A worker is not well",
                f"{where}: it was not heard from lately, or does not hear from the broker. "
                "Others take over its work.",
                one.seen_at,
            )
        elif one.failed:
            name, why = next(iter(one.failed.items()))
            more = len(one.failed) - 1
            yield Concern(
                Gravity.BAD if one.state == WorkerState.SETUP_FAILED else Gravity.FAIR,
                str(one.id),
                f"A worker cannot serve {name}" + (f" and {more} more" if more else ""),
                f"{where}: {why}",
                one.started_at,
            )


def _of_failures(standing: Standing) -> Iterator[Concern]:
    for problem in standing.problems:
        if problem.is_dead:
            jobs = "One job" if problem.jobs == 1 else f"{problem.jobs:,} jobs"
            yield Concern(
                Gravity.BAD,
                problem.capability,
                f"{jobs} failed in {problem.capability} within the hour",
                f"With {problem.code}, though nothing is known to be wrong with the photos. Once "
                "that is mended, redrive them.",
            )


def _stages(count: int) -> str:
    return "One photo waits" if count == 1 else f"{count:,} photos wait"
