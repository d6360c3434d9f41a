"""Adaptive conformal calibration: factors that correct estimates by their earlier errors.

Each end of a job moves the two factors of its priority by a small step: up when the job took
longer than estimated, down when it took less. The step sizes are balanced so that 50 %, or 90 %,
of the jobs end within the corrected estimate in the long run, whatever its errors are.

Source: I. Gibbs, E. Candès, "Adaptive Conformal Inference Under Distribution Shift", NeurIPS
2021, here on the logarithm of the ratio; H. Robbins, S. Monro, 1951, for the step's form.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from smart_filter_shared.priority import Priority

MEDIAN, NINTH_DECILE = 0.5, 0.9
# Step of the log factors, chosen in benchmarks/calibration.py: a changed service is learned within
# a few dozen jobs.
_STEP = 0.08
# Bound of the log factors either way: a factor of at most e², about seven.
_MAX_LOG = 2.0

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
class Observation:
    """The estimated quantiles of a job and its real duration, in seconds."""

    p50: float
    p90: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """The factors for estimates of one priority, as logarithms; jobs: number of observations."""

    jobs: int = 0
    p50_log: float = 0.0
    p90_log: float = 0.0

    def corrected(self, p50: float, p90: float) -> tuple[float, float]:
        """Return both quantiles with the factors applied, p50 no larger than p90."""
        middle = p50 * math.exp(self.p50_log)
        return middle, max(middle, p90 * math.exp(self.p90_log))

    def after(self, job: Observation) -> "Calibration":
        """Return the calibration after one more observation."""
        return Calibration(
            self.jobs + 1,
            _adjust(self.p50_log, job.seconds, job.p50, MEDIAN),
            _adjust(self.p90_log, job.seconds, job.p90, NINTH_DECILE),
        )


def learn(connection: Connection, ended: Sequence[tuple[Priority, Observation]]) -> None:
    """Update the stored calibrations with jobs that have ended."""
    if not ended:
        return
    stored = read_calibrations(connection)
    learned = apply_observations(stored, ended)
    changed = sorted(priority for priority in learned if learned[priority] != stored.get(priority))
    connection.execute(
        _WRITE,
        {
            "priorities": [str(priority) for priority in changed],
            "jobs": [learned[priority].jobs for priority in changed],
            "p50": [learned[priority].p50_log for priority in changed],
            "p90": [learned[priority].p90_log for priority in changed],
        },
    )


def apply_observations(
    stored: Mapping[Priority, Calibration], ended: Iterable[tuple[Priority, Observation]]
) -> dict[Priority, Calibration]:
    """Return the calibrations after these observations, applied in this order."""
    learned = dict(stored)
    for priority, job in ended:
        learned[priority] = learned.get(priority, Calibration()).after(job)
    return learned


def read_calibrations(connection: Connection) -> dict[Priority, Calibration]:
    """Return the stored calibration of each priority."""
    return {
        Priority(row.priority): Calibration(row.jobs, row.p50_log, row.p90_log)
        for row in connection.execute(_READ)
    }


def _adjust(log: float, seconds: float, eta: float, quantile: float) -> float:
    is_late = seconds > eta * math.exp(log)
    step = _STEP * (quantile if is_late else quantile - 1)
    return min(max(log + step, -_MAX_LOG), _MAX_LOG)
