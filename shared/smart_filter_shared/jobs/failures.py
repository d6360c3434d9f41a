"""Why jobs failed, counted by the minute: a code and where it happened, nothing of the photo.

Whoever settles an ended job counts it (fairness.py), so that no job has to be looked for again;
one that is redriven and fails again is counted again.
"""

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from smart_filter_shared.ids import Capability, JobId

# What jobs fail with for which nothing is wrong with their photos, as far as is known: what
# somebody has to look into, and can redrive.
_DEAD: Final = frozenset({"model_failed", "internal", "poison", "unavailable"})
# Where a job failed that had not come to any stage.
_NOWHERE: Final = Capability("")

_NOTE = text("""
    INSERT INTO failures (minute, capability, code, jobs, last_job_id, last_at)
    SELECT date_trunc('minute', statement_timestamp()), capability, code, count(*),
        (array_agg(job_id ORDER BY job_id DESC))[1], statement_timestamp()
    FROM unnest(
        CAST(:capabilities AS text[]), CAST(:codes AS text[]), CAST(:jobs AS uuid[])
    ) AS failed (capability, code, job_id)
    GROUP BY capability, code ORDER BY capability, code
    ON CONFLICT (minute, capability, code) DO UPDATE SET
        jobs = failures.jobs + excluded.jobs,
        last_job_id = excluded.last_job_id, last_at = excluded.last_at
""")
_SINCE = text("""
    SELECT capability, code, sum(jobs) AS jobs, max(last_at) AS last_at,
        (array_agg(last_job_id ORDER BY last_at DESC))[1] AS last_job_id
    FROM failures WHERE minute >= :since
    GROUP BY capability, code ORDER BY max(last_at) DESC
    LIMIT :most
""")


@dataclass(frozen=True, slots=True)
class JobFailure:
    """Why a job failed, and in which capability."""

    job_id: JobId
    code: str
    capability: Capability

    @classmethod
    def of(cls, told: Mapping[str, str | None]) -> "JobFailure":
        """Return what a row tells."""
        return cls(
            JobId(uuid.UUID(str(told["job_id"]))),
            told["code"] or "internal",
            Capability(told["capability"] or _NOWHERE),
        )

    @property
    def is_dead(self) -> bool:
        """Whether a stage failed for good though nothing was found wrong with the photo."""
        return is_dead(self.capability, self.code)


@dataclass(frozen=True, slots=True)
class Problem:
    """A code with which jobs failed in a capability: how many, and which did last, when."""

    capability: Capability
    code: str
    jobs: int
    last_at: dt.datetime
    last_job_id: JobId

    @property
    def is_dead(self) -> bool:
        """As of a job's failure."""
        return is_dead(self.capability, self.code)


def note(connection: Connection, failures: Sequence[JobFailure]) -> None:
    """Count jobs that have failed."""
    if not failures:
        return
    connection.execute(
        _NOTE,
        {
            "capabilities": [one.capability for one in failures],
            "codes": [one.code for one in failures],
            "jobs": [one.job_id for one in failures],
        },
    )


def since(connection: Connection, moment: dt.datetime, *, most: int) -> list[Problem]:
    """Return why jobs have failed from a moment on, what happened last first."""
    return [
        Problem(
            Capability(row.capability), row.code, int(row.jobs), row.last_at, JobId(row.last_job_id)
        )
        for row in connection.execute(_SINCE, {"since": moment, "most": most})
    ]


def is_dead(capability: Capability, code: str) -> bool:
    """Whether that is for somebody to look into: a stage failed, and not for the photo."""
    return code in _DEAD and capability != _NOWHERE
