"""Failure counts by minute, capability and error code; they contain nothing about the photos.

Settlement counts a failed job (settlement.py) in the minute in which it failed, so that reads scan
no jobs. A job that is redriven and fails again is counted again.
"""

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from smart_filter_shared.db.rows import read_row
from smart_filter_shared.ids import Capability, JobId

# Error codes of dead letters: no fault of the photo is known, so an operator must look into them
# and can redrive the jobs.
_DEAD_LETTER_CODES: Final = frozenset({"model_failed", "internal", "poison", "unavailable"})
# The capability of a job that failed before any stage.
_NO_CAPABILITY: Final = Capability("")

_COUNT = text("""
    INSERT INTO failures (minute, capability, code, jobs, last_job_id, last_at)
    SELECT date_trunc('minute', failed_at) AS minute, capability, code, count(*),
        (array_agg(job_id ORDER BY failed_at DESC))[1], max(failed_at)
    FROM unnest(
        CAST(:capabilities AS text[]), CAST(:codes AS text[]), CAST(:jobs AS uuid[]),
        CAST(:failed_at AS timestamptz[])
    ) AS failed (capability, code, job_id, failed_at)
    GROUP BY minute, capability, code ORDER BY minute, capability, code
    ON CONFLICT (minute, capability, code) DO UPDATE SET
        jobs = failures.jobs + excluded.jobs,
        last_job_id = excluded.last_job_id,
        last_at = greatest(failures.last_at, excluded.last_at)
""")
_LIST_SINCE = text("""
    SELECT capability, code, sum(jobs) AS jobs, max(last_at) AS last_at,
        (array_agg(last_job_id ORDER BY last_at DESC))[1] AS last_job_id
    FROM failures WHERE minute >= :since
    GROUP BY capability, code ORDER BY max(last_at) DESC
    LIMIT :most
""")


@dataclass(frozen=True, slots=True)
class JobFailure:
    """Why a job failed, in which capability, and when."""

    job_id: JobId
    code: str
    capability: Capability
    failed_at: dt.datetime

    @classmethod
    def from_json(cls, stored: Mapping[str, str | None]) -> "JobFailure":
        """Return the failure of the JSON that settlement reads."""
        return cls(
            JobId(uuid.UUID(str(stored["job_id"]))),
            stored["code"] or "internal",
            Capability(stored["capability"] or _NO_CAPABILITY),
            dt.datetime.fromisoformat(str(stored["failed_at"])),
        )

    @property
    def is_dead(self) -> bool:
        """Whether the failure is a dead letter: no fault of the photo is known."""
        return is_dead(self.capability, self.code)


@dataclass(frozen=True, slots=True)
class FailureCount:
    """The failures of a capability with one error code: their number, and the last one."""

    capability: Capability
    code: str
    jobs: int
    last_at: dt.datetime
    last_job_id: JobId

    @property
    def is_dead(self) -> bool:
        """Whether the failures are dead letters."""
        return is_dead(self.capability, self.code)


def count_failures(connection: Connection, failures: Sequence[JobFailure]) -> None:
    """Count jobs that have failed."""
    if not failures:
        return
    connection.execute(
        _COUNT,
        {
            "capabilities": [failure.capability for failure in failures],
            "codes": [failure.code for failure in failures],
            "jobs": [failure.job_id for failure in failures],
            "failed_at": [failure.failed_at for failure in failures],
        },
    )


def list_since(connection: Connection, moment: dt.datetime, *, most: int) -> list[FailureCount]:
    """Return the failure counts since a moment, the latest failure first."""
    rows = connection.execute(_LIST_SINCE, {"since": moment, "most": most})
    return [read_row(FailureCount, row) for row in rows]


def is_dead(capability: Capability, code: str) -> bool:
    """Return whether a failure is a dead letter: a stage failed without a known photo fault."""
    return code in _DEAD_LETTER_CODES and capability != _NO_CAPABILITY
