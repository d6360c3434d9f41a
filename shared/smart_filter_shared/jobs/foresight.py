"""Foresight: how forecasts are corrected by how good earlier ones were.

Each end of a job moves two factors of its priority by a small step: up when it took longer than
was foreseen, down when less, by as much as leaves half, or nine tenths, of the jobs below. Then
the share that ends in time is right in the long run whatever the forecasts lack.

Source: I. Gibbs, E. Candès, "Adaptive Conformal Inference Under Distribution Shift", NeurIPS
2021, here on the logarithm of the ratio; H. Robbins, S. Monro, 1951, for the step's form.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from smart_filter_shared.recipe import Priority

MEDIAN, LATE = 0.5, 0.9
# Chosen in benchmarks/calibration.py; a service that has changed is known after some dozen jobs.
_STEP = 0.08
# No further from what is measured than this, either way: e² is seven times.
_MOST_LOG = 2.0

_READ = text("SELECT priority, jobs, p50_log, p90_log FROM foresight")
_WRITE = text("""
    INSERT INTO foresight (priority, jobs, p50_log, p90_log)
    SELECT * FROM unnest(
        CAST(:priorities AS text[]), CAST(:jobs AS bigint[]),
        CAST(:p50 AS float8[]), CAST(:p90 AS float8[])
    )
    ON CONFLICT (priority) DO UPDATE SET
        jobs = excluded.jobs, p50_log = excluded.p50_log, p90_log = excluded.p90_log
""")


@dataclass(frozen=True, slots=True)
class Ended:
    """How long a job was thought to take, and how long it took, in seconds."""

    p50: float
    p90: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Foresight:
    """What forecasts of a priority are multiplied by, as logarithms; jobs: learnt from so many."""

    jobs: int = 0
    p50_log: float = 0.0
    p90_log: float = 0.0

    def corrected(self, p50: float, p90: float) -> tuple[float, float]:
        """Return both quantiles as they should be told."""
        middle = p50 * math.exp(self.p50_log)
        return middle, max(middle, p90 * math.exp(self.p90_log))

    def after(self, job: Ended) -> "Foresight":
        """Return what is known when one more job has ended."""
        return Foresight(
            self.jobs + 1,
            _moved(self.p50_log, job.seconds, job.p50, MEDIAN),
            _moved(self.p90_log, job.seconds, job.p90, LATE),
        )


def learn(connection: Connection, ended: Sequence[tuple[Priority, Ended]]) -> None:
    """Take in jobs that have ended."""
    if not ended:
        return
    known = read(connection)
    learnt = after(known, ended)
    changed = sorted(priority for priority in learnt if learnt[priority] != known.get(priority))
    connection.execute(
        _WRITE,
        {
            "priorities": [str(priority) for priority in changed],
            "jobs": [learnt[priority].jobs for priority in changed],
            "p50": [learnt[priority].p50_log for priority in changed],
            "p90": [learnt[priority].p90_log for priority in changed],
        },
    )


def after(
    known: Mapping[Priority, Foresight], ended: Iterable[tuple[Priority, Ended]]
) -> dict[Priority, Foresight]:
    """Return what is known when these jobs have ended, in this order."""
    learnt = dict(known)
    for priority, job in ended:
        learnt[priority] = learnt.get(priority, Foresight()).after(job)
    return learnt


def read(connection: Connection) -> dict[Priority, Foresight]:
    """Return what is known of each priority."""
    return {
        Priority(row.priority): Foresight(row.jobs, row.p50_log, row.p90_log)
        for row in connection.execute(_READ)
    }


def _moved(log: float, seconds: float, foreseen: float, quantile: float) -> float:
    is_late = seconds > foreseen * math.exp(log)
    step = _STEP * (quantile if is_late else quantile - 1)
    return min(max(log + step, -_MOST_LOG), _MOST_LOG)
