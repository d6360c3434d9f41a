"""Time series of queues and jobs: one sample a minute, kept for a month.

Counters only grow (counters.py), so a sample stores sums, and the events of an interval are the
difference of its ends. A missed sample or the restart of a process therefore loses nothing. The
last step is still open and ends with the current values.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, text

from smart_filter_shared.ids import Capability
from smart_filter_shared.operations import counters
from smart_filter_shared.operations.counters import CounterKey, CounterName, CounterValue
from smart_filter_shared.queue.states import JobState
from smart_filter_shared.telemetry.metrics import WorkerStep

MAX_AGE: Final = dt.timedelta(days=30)
_MINUTE: Final = dt.timedelta(minutes=1)
_NOTHING: Final = CounterValue(0)
# The values of one sample, by column name.
_Values = Mapping[Any, Any]  # rows of SQLAlchemy have keys of several types
# The columns of `samples` and `queue_samples`: sums only grow, levels rise and fall.
_JOB_SUMS: Final = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELED)
_JOB_LEVELS: Final = ("webhook_lag_seconds",)
_QUEUE_SUMS: Final = ("completed", "retries", "releases", "expiries")
_QUEUE_LEVELS: Final = ("ready", "running", "oldest_wait_seconds")
# The step number of the base sample, from which the first difference is taken.
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
_DELETE_OLD = (
    text("DELETE FROM samples WHERE at < :before"),
    text("DELETE FROM queue_samples WHERE at < :before"),
    text("DELETE FROM failures WHERE minute < :before"),
)
# The base sample: the last one before the first step, else the oldest.
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


class TimeRange(StrEnum):
    """How far back a history goes."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class TimeSteps:
    """A time range in `count` equal steps of length `long`, beginning at `first`."""

    first: dt.datetime
    long: dt.timedelta
    count: int

    @property
    def last(self) -> dt.datetime:
        """The end of the last step."""
        return self.first + self.count * self.long


@dataclass(frozen=True, slots=True)
class History:
    """The time series of jobs, and of each capability: by name, one value for each step.

    jobs: the increases of _JOB_SUMS, and the largest samples of _JOB_LEVELS.
    queues: the increases of _QUEUE_SUMS, the largest samples of _QUEUE_LEVELS, and `failed`, the
    jobs that failed in the capability.
    A value is None in a step without a sample.
    """

    steps: TimeSteps
    jobs: Mapping[str, Sequence[float | None]]
    queues: Mapping[Capability, Mapping[str, Sequence[float | None]]]


# Step length and number of steps: as many as are distinguishable in a small chart.
_STEPS: Final[Mapping[TimeRange, tuple[dt.timedelta, int]]] = {
    TimeRange.HOUR: (_MINUTE, 60),
    TimeRange.DAY: (dt.timedelta(minutes=20), 72),
    TimeRange.MONTH: (dt.timedelta(hours=8), 90),
}


def record_sample(connection: Connection) -> bool:
    """Write a sample, and delete samples older than MAX_AGE; return whether one was due.

    One sample is written per minute; a second call in the same minute writes nothing.
    """
    if not connection.execute(_IS_DUE).scalar_one():
        return False
    totals = counters.read_totals(connection)
    at = connection.execute(_SAMPLE, _jobs_now(connection, totals)).scalar()
    if at is None:
        return False
    queues = _queues_now(connection, totals)
    rows = [{"at": at, "capability": name, **queues[name]} for name in sorted(queues)]
    if rows:
        connection.execute(_SAMPLE_QUEUE, rows)
    for statement in _DELETE_OLD:
        connection.execute(statement, {"before": at - MAX_AGE})
    return True


def make_steps(span: TimeRange, now: dt.datetime) -> TimeSteps:
    """Return the steps of a time range that ends now; the last step is still open.

    now: aware.
    """
    long, count = _STEPS[span]
    epoch = dt.datetime.fromtimestamp(0, dt.UTC)
    over = epoch + (now - epoch) // long * long
    return TimeSteps(over - (count - 1) * long, long, count)


def read_history(connection: Connection, steps: TimeSteps) -> History:
    """Read and return the history of these steps."""
    base = connection.execute(_BASE, {"first": steps.first}).scalar()
    where = {
        "first": steps.first,
        "last": steps.last,
        "step_seconds": steps.long.total_seconds(),
        "base": base,
    }
    jobs: dict[int, _Values] = {
        row["step"]: row for row in connection.execute(_JOBS, where).mappings()
    }
    failed = {(row.capability, row.step): row.failed for row in connection.execute(_FAILED, where)}
    by_name: dict[Capability, dict[int, _Values]] = {}
    for row in connection.execute(_QUEUES, where).mappings():
        by_name.setdefault(Capability(row["capability"]), {})[row["step"]] = row
    if base is not None:  # without a sample, increases cannot be computed
        totals = counters.read_totals(connection)
        _merge_current(_jobs_now(connection, totals), jobs, steps)
        for name, now in _queues_now(connection, totals).items():
            _merge_current(now, by_name.setdefault(Capability(name), {}), steps)
    return History(
        steps,
        _series(jobs, steps, sums=_JOB_SUMS, levels=_JOB_LEVELS),
        {
            name: {
                **_series(rows, steps, sums=_QUEUE_SUMS, levels=_QUEUE_LEVELS),
                "failed": [
                    failed.get((name, step), 0) if step in rows else None
                    for step in range(steps.count)
                ],
            }
            for name, rows in by_name.items()
        },
    )


def _jobs_now(connection: Connection, totals: Mapping[CounterKey, CounterValue]) -> _Values:
    return {
        **{str(state): _count(totals, CounterName.ENDED, state) for state in _JOB_SUMS},
        "webhook_lag_seconds": counters.webhook_lag_seconds(connection),
    }


def _queues_now(
    connection: Connection, totals: Mapping[CounterKey, CounterValue]
) -> Mapping[str, _Values]:
    return {
        name: {
            **asdict(queue),
            "completed": _count(totals, WorkerStep.INFER, name),
            "retries": _count(totals, CounterName.RETRIES, name),
            "releases": _count(totals, CounterName.RELEASES, name),
            "expiries": _count(totals, CounterName.EXPIRIES, name),
        }
        for name, queue in counters.read_queue_lengths(connection).items()
    }


def _merge_current(now: _Values, rows: dict[int, _Values], steps: TimeSteps) -> None:
    """Merge the current values into the last step."""
    last = steps.count - 1
    sampled = rows.get(last, now)
    rows[last] = {name: max(value, sampled.get(name, value)) for name, value in now.items()}


def _series(
    rows: Mapping[int, _Values], steps: TimeSteps, *, sums: Sequence[str], levels: Sequence[str]
) -> dict[str, list[float | None]]:
    return {
        **{name: _increases(rows, name, steps) for name in sums},
        **{name: _values_by_step(rows, name, steps) for name in levels},
    }


def _values_by_step(rows: Mapping[int, _Values], name: str, steps: TimeSteps) -> list[Any]:
    return [rows[step][name] if step in rows else None for step in range(steps.count)]


def _increases(rows: Mapping[int, _Values], name: str, steps: TimeSteps) -> list[float | None]:
    """Return the increase of a sum in each step since its previous sample.

    A sum that has no base sample started at 0.
    """
    before = rows[_BASE_STEP][name] if _BASE_STEP in rows else 0
    grown: list[float | None] = []
    for now in _values_by_step(rows, name, steps):
        # A restored database may have smaller sums.
        grown.append(None if now is None else max(0, now - before))
        before = before if now is None else now
    return grown


def _count(
    totals: Mapping[CounterKey, CounterValue],
    what: WorkerStep | CounterName,
    subject: JobState | str,
) -> int:
    return totals.get(CounterKey(what, str(subject)), _NOTHING).count
