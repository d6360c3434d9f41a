"""How the service stands and stood, as its operator is answered."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Final

from smart_filter_api.schemas.operating import (
    ConcernAnswer,
    HistoryAnswer,
    JobsHistory,
    ProblemsAnswer,
    QueueAnswer,
    QueueHistory,
    StandingAnswer,
    WorkerAnswer,
)
from smart_filter_shared.jobs import concerns
from smart_filter_shared.jobs.failures import Problem
from smart_filter_shared.jobs.history import History, Span
from smart_filter_shared.jobs.presence import WorkerState
from smart_filter_shared.jobs.queues import Queue
from smart_filter_shared.jobs.roster import Member
from smart_filter_shared.jobs.standing import Standing

# Of a fleet nobody reads more, and all of them are counted.
_MOST_WORKERS: Final = 200
_MOST_CONCERNS: Final = 50
_UNWELL: Final = (WorkerState.SETUP_FAILED, WorkerState.UNHEALTHY)
_DECIMALS: Final = 3
# A name of the DNS has no more (RFC 1035, 2.3.4).
_HOST_CHARACTERS: Final = 253
_REASON_CHARACTERS: Final = 500


def answer(standing: Standing) -> StandingAnswer:
    """Return how things are."""
    standing = replace(standing, workers=[_bounded(one) for one in standing.workers])
    workers = sorted(standing.workers, key=lambda one: (one.state not in _UNWELL, not one.failed))
    return StandingAnswer(
        concerns=[
            ConcernAnswer(**asdict(one)) for one in concerns.found(standing)[:_MOST_CONCERNS]
        ],
        queues=[queue(one) for one in standing.queues],
        workers=[worker(one) for one in workers[:_MOST_WORKERS]],
        workers_by_state=dict(Counter(one.state for one in standing.workers)),
        unfinished=standing.unfinished,
        webhook_lag_seconds=round(standing.webhook_lag_seconds, _DECIMALS),
    )


def queue(found: Queue) -> QueueAnswer:
    """Return how a queue is."""
    length = found.length
    return QueueAnswer(
        capability=found.capability,
        waiting=length.waiting,
        ready=length.ready,
        running=length.running,
        oldest_wait_seconds=round(length.oldest_wait_seconds, _DECIMALS),
        workers=found.workers,
        threads=found.threads,
        paused_at=found.paused_at,
    )


def worker(member: Member) -> WorkerAnswer:
    """Return how a worker is."""
    member = _bounded(member)
    return WorkerAnswer(
        worker_id=member.id,
        host=member.host,
        pid=member.pid,
        state=member.state,
        running=member.running,
        threads=member.threads,
        capabilities=sorted(member.capabilities),
        wanted=sorted(member.wanted),
        failed={str(name): why for name, why in member.failed.items()},
        started_at=member.started_at,
        seen_at=member.seen_at,
    )


def history(span: Span, found: History, problems: Sequence[Problem]) -> HistoryAnswer:
    """Return how things were, and why jobs failed meanwhile."""
    return HistoryAnswer(
        span=span,
        first=found.steps.first,
        step_seconds=int(found.steps.long.total_seconds()),
        jobs=JobsHistory(**asdict(found.jobs)),
        queues=[
            QueueHistory(capability=name, **asdict(found.queues[name]))
            for name in sorted(found.queues)
        ],
        problems=[
            ProblemsAnswer(
                capability=one.capability,
                code=one.code,
                is_dead=one.is_dead,
                jobs=one.jobs,
                last_at=one.last_at,
                last_job_id=one.last_job_id,
            )
            for one in problems
        ],
    )


def _bounded(member: Member) -> Member:
    """Return a worker whose own words fill no page."""
    return replace(
        member,
        host=_cut(member.host, _HOST_CHARACTERS),
        failed={name: _cut(why, _REASON_CHARACTERS) for name, why in member.failed.items()},
    )


def _cut(words: str, most: int) -> str:
    return words if len(words) <= most else words[: most - 1] + "…"
