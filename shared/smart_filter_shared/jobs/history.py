"""History: how queues and jobs were, a sample a minute, kept for a month.

What workers count only grows (measures.py), so that a sample holds sums, and what happened in a
time is the difference of its ends: a minute that nobody sampled loses nothing, and neither does a
restart of whatever process. The last step goes on, and ends with what is now.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, text

from smart_filter_shared.ids import Capability
from smart_filter_shared.jobs import measures
from smart_filter_shared.jobs.measures import Amount, Count, Measure
from smart_filter_shared.jobs.states import JobState
from smart_filter_shared.telemetry.metrics import Step

KEPT: Final = dt.timedelta(days=30)
_MINUTE: Final = dt.timedelta(minutes=1)
_NOTHING: Final = Amount(0)
# What was seen at a moment, by the names of the samples' columns.
_Seen = Mapping[Any, Any]  # rows of SQLAlchemy have keys of several types
_ENDS: Final = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELED)
# Where the sample stands from which the first difference is taken.
_BASE_STEP: Final = -1

_IS_DUE = text("""
    SELECT NOT EXISTS (
        SELECT FROM samples WHERE at >= date_trunc('minute', statement_timestamp())
    )
""")
_SAMPLE = text("""
    INSERT INTO samples (at, succeeded, failed, canceled, webhook_lag_seconds)
    VALUES (
        date_trunc('minute', statement_timestamp()),
        :succeeded, :failed, :canceled, :webhook_lag_seconds
    ) ON CONFLICT DO NOTHING RETURNING at
""")
_SAMPLE_QUEUE = text("""
    INSERT INTO queue_samples (
        at, capability, waiting, ready, running, oldest_wait_seconds,
        completed, retries, releases, expiries
    ) VALUES (
        :at, :capability, :waiting, :ready, :running, :oldest_wait_seconds,
        :completed, :retries, :releases, :expiries
    )
""")
_FORGET = (
    text("DELETE FROM samples WHERE at < :before"),
    text("DELETE FROM queue_samples WHERE at < :before"),
    text("DELETE FROM failures WHERE minute < :before"),
)
# The sample from which differences are taken: the last one before, else the first there is.
_BASE = text("""
    SELECT coalesce(
        (SELECT max(at) FROM samples WHERE at <= :first), (SELECT min(at) FROM samples)
    )
""")
_AS_STEP = "CAST(ceil(extract(epoch FROM at - :first) / :step_seconds) AS integer) - 1"
_JOBS = text(f"""
    SELECT CASE WHEN at > :base THEN greatest(0, {_AS_STEP}) ELSE -1 END AS step,
        max(succeeded) AS succeeded, max(failed) AS failed, max(canceled) AS canceled,
        max(webhook_lag_seconds) AS webhook_lag_seconds
    FROM samples WHERE at >= :base AND at <= :last
    GROUP BY 1 ORDER BY 1
""")  # noqa: S608 - one of our own constants
_QUEUES = text(f"""
    SELECT capability, CASE WHEN at > :base THEN greatest(0, {_AS_STEP}) ELSE -1 END AS step,
        max(ready) AS ready, max(running) AS running,
        max(oldest_wait_seconds) AS oldest_wait_seconds, max(completed) AS completed,
        max(retries) AS retries, max(releases) AS releases, max(expiries) AS expiries
    FROM queue_samples WHERE at >= :base AND at <= :last
    GROUP BY 1, 2 ORDER BY 1, 2
""")  # noqa: S608 - one of our own constants
_FAILED = text("""
    SELECT capability,
        CAST(floor(extract(epoch FROM minute - :first) / :step_seconds) AS integer) AS step,
        CAST(sum(jobs) AS bigint) AS failed
    FROM failures WHERE minute >= :first AND minute < :last
    GROUP BY 1, 2
""")


class Span(StrEnum):
    """How far back one looks."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Steps:
    """A time in equal steps: from `first` on, as many as `count`, each `long`."""

    first: dt.datetime
    long: dt.timedelta
    count: int

    @property
    def last(self) -> dt.datetime:
        """The end of the last one."""
        return self.first + self.count * self.long


@dataclass(frozen=True, slots=True)
class Jobs:
    """How many jobs ended in each step, and how late webhooks were at most; null: not sampled."""

    succeeded: Sequence[int | None]
    failed: Sequence[int | None]
    canceled: Sequence[int | None]
    webhook_lag_seconds: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Queue:
    """What happened in a capability in each step; null: not sampled.

    completed, retries, releases, expiries: as in measures.  failed: jobs that ended there.
    ready, running, oldest_wait_seconds: the greatest that was seen.
    """

    completed: Sequence[int | None]
    failed: Sequence[int | None]
    retries: Sequence[int | None]
    releases: Sequence[int | None]
    expiries: Sequence[int | None]
    ready: Sequence[int | None]
    running: Sequence[int | None]
    oldest_wait_seconds: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class History:
    """How things were, step by step."""

    steps: Steps
    jobs: Jobs
    queues: Mapping[Capability, Queue]


# As many steps as are told apart in a chart of a hand's width.
_STEPS: Final[Mapping[Span, tuple[dt.timedelta, int]]] = {
    Span.HOUR: (_MINUTE, 60),
    Span.DAY: (dt.timedelta(minutes=20), 72),
    Span.MONTH: (dt.timedelta(hours=8), 90),
}


def sample(connection: Connection) -> bool:
    """Write down how things are, and forget what is too old; return whether it was time to.

    Once a minute, whoever asks; whoever comes second in a minute writes nothing.
    """
    if not connection.execute(_IS_DUE).scalar_one():
        return False
    totals = measures.totals(connection)
    at = connection.execute(_SAMPLE, _jobs_now(connection, totals)).scalar()
    if at is None:
        return False
    queues = _queues_now(connection, totals)
    rows = [{"at": at, "capability": name, **queues[name]} for name in sorted(queues)]
    if rows:
        connection.execute(_SAMPLE_QUEUE, rows)
    for statement in _FORGET:
        connection.execute(statement, {"before": at - KEPT})
    return True


def steps_of(span: Span, now: dt.datetime) -> Steps:
    """Return the steps of the time until now; the last one is not over yet.

    now: aware.
    """
    long, count = _STEPS[span]
    epoch = dt.datetime.fromtimestamp(0, dt.UTC)
    over = epoch + (now - epoch) // long * long
    return Steps(over - (count - 1) * long, long, count)


def between(connection: Connection, steps: Steps) -> History:
    """Return how things were."""
    base = connection.execute(_BASE, {"first": steps.first}).scalar()
    where = {
        "first": steps.first,
        "last": steps.last,
        "step_seconds": steps.long.total_seconds(),
        "base": base,
    }
    jobs: dict[int, _Seen] = {
        row["step"]: row for row in connection.execute(_JOBS, where).mappings()
    }
    failed = {(row.capability, row.step): row.failed for row in connection.execute(_FAILED, where)}
    by_name: dict[Capability, dict[int, _Seen]] = {}
    for row in connection.execute(_QUEUES, where).mappings():
        by_name.setdefault(Capability(row["capability"]), {})[row["step"]] = row
    if base is not None:  # without any sample nothing is known of when sums grew
        totals = measures.totals(connection)
        _end_with(_jobs_now(connection, totals), jobs, steps)
        for name, now in _queues_now(connection, totals).items():
            _end_with(now, by_name.setdefault(Capability(name), {}), steps)
    return History(
        steps,
        _jobs(jobs, steps),
        {
            name: _queue(rows, {step: failed.get((name, step), 0) for step in rows}, steps)
            for name, rows in by_name.items()
        },
    )


def _jobs_now(connection: Connection, totals: Mapping[Measure, Amount]) -> _Seen:
    return {
        **{str(state): _count(totals, Count.ENDED, state) for state in _ENDS},
        "webhook_lag_seconds": measures.webhook_lag_seconds(connection),
    }


def _queues_now(connection: Connection, totals: Mapping[Measure, Amount]) -> Mapping[str, _Seen]:
    return {
        name: {
            **asdict(queue),
            "completed": _count(totals, Step.INFER, name),
            "retries": _count(totals, Count.RETRIES, name),
            "releases": _count(totals, Count.RELEASES, name),
            "expiries": _count(totals, Count.EXPIRIES, name),
        }
        for name, queue in measures.queues(connection).items()
    }


def _end_with(now: _Seen, rows: dict[int, _Seen], steps: Steps) -> None:
    """Let the last step hold what is now as well."""
    last = steps.count - 1
    sampled = rows.get(last, now)
    rows[last] = {name: max(value, sampled.get(name, value)) for name, value in now.items()}


def _jobs(rows: Mapping[int, _Seen], steps: Steps) -> Jobs:
    return Jobs(
        succeeded=_grown(rows, "succeeded", steps),
        failed=_grown(rows, "failed", steps),
        canceled=_grown(rows, "canceled", steps),
        webhook_lag_seconds=_seen(rows, "webhook_lag_seconds", steps),
    )


def _queue(rows: Mapping[int, _Seen], failed: Mapping[int, int], steps: Steps) -> Queue:
    return Queue(
        completed=_grown(rows, "completed", steps),
        failed=[failed.get(step) for step in range(steps.count)],
        retries=_grown(rows, "retries", steps),
        releases=_grown(rows, "releases", steps),
        expiries=_grown(rows, "expiries", steps),
        ready=_seen(rows, "ready", steps),
        running=_seen(rows, "running", steps),
        oldest_wait_seconds=_seen(rows, "oldest_wait_seconds", steps),
    )


def _seen(rows: Mapping[int, _Seen], name: str, steps: Steps) -> list[Any]:
    return [rows[step][name] if step in rows else None for step in range(steps.count)]


def _grown(rows: Mapping[int, _Seen], name: str, steps: Steps) -> list[int | None]:
    """Return by how much a sum has grown in each step since it was seen last.

    What was not there at the base is new, and began with nothing.
    """
    before = rows[_BASE_STEP][name] if _BASE_STEP in rows else 0
    grown: list[int | None] = []
    for now in _seen(rows, name, steps):
        # A database that was restored begins again with less.
        grown.append(None if now is None else max(0, now - before))
        before = before if now is None else now
    return grown


def _count(totals: Mapping[Measure, Amount], what: Step | Count, subject: JobState | str) -> int:
    return totals.get(Measure(what, str(subject)), _NOTHING).count
