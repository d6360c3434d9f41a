"""What is not well with the service, in words, the worst first.

The bounds are those of the alerts (deploy/prometheus/alerts.yml), but at once: whoever looks
wants to see what begins.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from smart_filter_shared.ids import Capability
from smart_filter_shared.jobs.presence import SENDING, WorkerState
from smart_filter_shared.jobs.roster import Member
from smart_filter_shared.jobs.standing import Standing

# Sweeps come once a second.
_UNSWEPT: Final = dt.timedelta(seconds=15)
_LONG_WAIT_SECONDS: Final = 300.0
_LATE_WEBHOOK_SECONDS: Final = 60.0
_LATE_RETENTION_SECONDS: Final = 900.0
# Of what a worker is there for, so many are named.
_NAMED: Final = 3
# What these are there for, nobody else can count on.
_NOT_COUNTED_ON: Final = (WorkerState.UNHEALTHY, WorkerState.DRAINING)


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


# Told alone: workers fall silent because no heartbeat can be written, and what they do waits.
_READ_ONLY: Final = Concern(
    Gravity.BAD,
    "",
    "The database takes no writes",
    "It is read-only (a replica?): photos are refused, and workers wait. Let "
    "SMART_FILTER_DATABASE_URL lead to the primary.",
)


def found(standing: Standing) -> list[Concern]:
    """Return all that is not well, the worst first."""
    if standing.read_only:
        return [_READ_ONLY]
    every = [*_of_all(standing), *_of_webhooks(standing), *_of_queues(standing)]
    every += [*_of_retention(standing), *_of_workers(standing.workers), *_of_failures(standing)]
    return sorted(every, key=lambda one: one.gravity != Gravity.BAD)


def _of_all(standing: Standing) -> Iterator[Concern]:
    if not _is_anybody_there(standing.workers):
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


def _of_webhooks(standing: Standing) -> Iterator[Concern]:
    if standing.webhook_lag_seconds > _LATE_WEBHOOK_SECONDS:
        yield Concern(
            Gravity.BAD,
            "",
            "Webhooks are late",
            "One has been due for longer than a minute, and nobody sends it. "
            + (
                "All senders are drained: resume one."
                if SENDING in _resting(standing.workers)
                else "Is a sender running?"
            ),
            standing.now - dt.timedelta(seconds=standing.webhook_lag_seconds),
        )


def _of_retention(standing: Standing) -> Iterator[Concern]:
    if standing.retention_lag_seconds > _LATE_RETENTION_SECONDS:
        yield Concern(
            Gravity.FAIR,
            "",
            "Photos are kept for too long",
            "One should have been removed a quarter of an hour ago. Look into the workers' logs.",
            standing.now - dt.timedelta(seconds=standing.retention_lag_seconds),
        )
    if standing.bucket_fault is not None:
        yield Concern(
            Gravity.FAIR, "", "Objects that no row names are kept", f"{standing.bucket_fault}."
        )


def _of_queues(standing: Standing) -> Iterator[Concern]:
    is_anybody_there = _is_anybody_there(standing.workers)
    resting = _resting(standing.workers)
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
        elif length.ready and name in resting:
            yield Concern(
                Gravity.BAD,
                name,
                f"Only drained workers serve {name}",
                f"{_stages(length.ready)} until one of them is resumed, or another is started.",
                oldest,
            )
        elif length.ready and not queue.workers:
            # Without any worker that goes for each, and is said once.
            if is_anybody_there:
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
        kind = "worker" if _is_worker(one) else "sender"
        left = _left_alone(one, workers)
        if one.state == WorkerState.UNHEALTHY:
            yield Concern(
                Gravity.FAIR,
                str(one.id),
                f"A {kind} is not well",
                f"{where}: it was not heard from lately, or does not hear from the broker. "
                + (f"Nobody else {left}." if left else "Others take over its work."),
                one.seen_at,
            )
        elif _is_drained(one):
            yield Concern(
                Gravity.FAIR,
                str(one.id),
                f"A {kind} is drained",
                f"{where}: it takes no more. "
                + (f"Nobody else {left}: resume it." if left else "Resume it, or stop it."),
                one.drained_from,
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
            # One that is redriven and fails again is among them again.
            failed = (
                "One job failed" if problem.jobs == 1 else f"Jobs failed {problem.jobs:,} times"
            )
            yield Concern(
                Gravity.BAD,
                problem.capability,
                f"{failed} in {problem.capability} within the hour",
                f"With {problem.code}, though nothing is known to be wrong with the photos. Once "
                "that is mended, redrive them.",
            )


def _stages(count: int) -> str:
    return "One photo waits" if count == 1 else f"{count:,} photos wait"


def _is_anybody_there(workers: Sequence[Member]) -> bool:
    return any(_is_worker(one) and one.state != WorkerState.UNHEALTHY for one in workers)


def _is_worker(member: Member) -> bool:
    return set(member.wanted) != {SENDING}


def _is_drained(member: Member) -> bool:
    """Whether an operator said so; one that ends drains too."""
    return member.state == WorkerState.DRAINING and member.drained_from is not None


def _resting(workers: Sequence[Member]) -> set[Capability]:
    """Return what only drained members are there for."""
    drained = [one for one in workers if _is_drained(one)]
    return {name for one in drained for name in one.there_for} - _counted_on(workers)


def _counted_on(workers: Sequence[Member]) -> set[Capability]:
    well = [one for one in workers if one.state not in _NOT_COUNTED_ON]
    return {name for one in well for name in one.there_for}


def _left_alone(member: Member, workers: Sequence[Member]) -> str:
    """Return what nobody does in place of a member that is not counted on, such as "serves x"."""
    left = [name for name in member.there_for if name not in _counted_on(workers)]
    if left == [SENDING]:
        return "sends webhooks"
    more = len(left) - _NAMED
    named = ", ".join(left[:_NAMED]) + (f" and {more} more" if more > 0 else "")
    return f"serves {named}" if left else ""
