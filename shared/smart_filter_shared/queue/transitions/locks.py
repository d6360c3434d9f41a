"""The row locks of transitions, always taken in one order (see sql.py)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, TextClause, text

from smart_filter_shared.db import driver_queries
from smart_filter_shared.errors import (
    LeaseLost,
    NotFound,
)
from smart_filter_shared.ids import BatchId, JobId, Tenant, UploadId
from smart_filter_shared.queue.leases import Lease
from smart_filter_shared.queue.transitions import sql

# The phrase for each outcome in error messages.
OUTCOME_PHRASES = {"succeeded": "succeeded", "failed": "failed", "canceled": "was canceled"}

# album: the batch that the job is ranked in, if any.
_FIND_JOB = text("""
    SELECT photo_key, upload_id, expired_at, batches.id AS album
    FROM jobs LEFT JOIN batches ON batches.id = jobs.batch_id AND batches.best IS NOT NULL
    WHERE jobs.id = :job_id AND jobs.tenant = :tenant AND jobs.deleted_by IS NULL
""")


@dataclass(frozen=True, slots=True)
class LockedJob:
    """The fields read when a job is locked."""

    tenant: Tenant
    outcome: str | None
    batch_id: BatchId | None = None


@dataclass(frozen=True, slots=True)
class UnlockedJob:
    """The fields read before a job is locked; album: the batch that it is ranked in, if any."""

    photo_key: str | None
    upload_id: UploadId | None
    is_expired: bool
    album: BatchId | None


def lock(
    connection: Connection, job_ids: Collection[JobId], statement: TextClause | None = None
) -> dict[JobId, LockedJob]:
    """Lock jobs, then by default their stages, in the global order; return the locked jobs.

    statement: LOCK_JOBS or LOCK_IDLE of sql.py; None: LOCK.
    """
    locking = sql.LOCK if statement is None else statement
    rows = driver_queries.fetch_rows(connection, locking, ids_of(job_ids))
    return {id_: LockedJob(*fields) for id_, *fields in rows}


def ids_of(job_ids: Collection[JobId]) -> dict[str, object]:
    """Return the parameters of `sql.LOCK` and its like."""
    return {"ids": driver_queries.array_text(job_ids)}


def get_owned(connection: Connection, job_id: JobId, tenant: Tenant) -> UnlockedJob:
    """Return a tenant's job without locking it.  Raises NotFound."""
    where = {"job_id": job_id, "tenant": tenant}
    row = connection.execute(_FIND_JOB, where).one_or_none()
    if row is None:
        raise NotFound(f"there is no job {job_id}")
    return UnlockedJob(
        row.photo_key,
        None if row.upload_id is None else UploadId(row.upload_id),
        row.expired_at is not None,
        None if row.album is None else BatchId(row.album),
    )


def require(jobs: Mapping[JobId, LockedJob], job_id: JobId) -> LockedJob:
    """Return a locked job.  Raises NotFound when it was deleted before it could be locked."""
    if job_id not in jobs:
        raise NotFound(f"there is no job {job_id}")
    return jobs[job_id]


def lease_lost(lease: Lease) -> LeaseLost:
    """Return the LeaseLost error of a lease that does not hold."""
    return LeaseLost(f"{lease.stage} of job {lease.job_id}, attempt {lease.attempt}")


def lease_parameters(lease: Lease) -> dict[str, object]:
    """Return the SQL parameters that identify one lease."""
    return {"job_id": lease.job_id, "stage": str(lease.stage), "token": lease.token}
