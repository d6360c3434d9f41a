"""The locks that transitions take, in one order."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Row

from smart_filter_shared.errors import (
    LeaseLost,
    NotFound,
)
from smart_filter_shared.ids import BatchId, JobId, Tenant, UploadId
from smart_filter_shared.jobs.leases import (
    Lease,
)
from smart_filter_shared.jobs.retention import Keeping
from smart_filter_shared.jobs.transitions import statements

# How messages tell what became of a job.
ENDED = {"succeeded": "succeeded", "failed": "failed", "canceled": "was canceled"}


@dataclass(frozen=True, slots=True)
class Locked:
    """What is read of a job as it is locked; keeping: None when its row does not say."""

    tenant: Tenant
    outcome: str | None
    keeping: Keeping | None
    batch_id: BatchId | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What is read of a job before it is locked; album: the batch that it is ranked in."""

    photo_key: str | None
    upload_id: UploadId | None
    is_expired: bool
    album: BatchId | None


def lock(connection: Connection, job_ids: Collection[JobId]) -> dict[JobId, Locked]:
    """Lock jobs of open days, then their stages, in the one order; return the jobs."""
    rows = connection.execute(statements.LOCK, {"ids": list(job_ids)})
    return {JobId(row.id): _read(row) for row in rows}


def lock_of_any_day(connection: Connection, job_ids: Collection[JobId]) -> dict[JobId, Locked]:
    """Lock jobs as `lock` does, those of closed days too."""
    rows = connection.execute(statements.LOCK_OF_ANY_DAY, {"ids": list(job_ids)})
    return {JobId(row.id): _read(row) for row in rows}


def lock_idle(connection: Connection, job_ids: Collection[JobId]) -> dict[JobId, Locked]:
    """Lock those of the jobs that nobody is moving, then all their stages; return them.

    All stages: a job that ends takes its siblings along, out of order otherwise.
    """
    rows = connection.execute(statements.LOCK_IDLE, {"ids": list(job_ids)})
    return {JobId(row.id): _read(row) for row in rows}


def find_own(connection: Connection, job_id: JobId, tenant: Tenant) -> Found:
    """Return a job of a tenant, not locked.  Raises NotFound."""
    where = {"job_id": job_id, "tenant": tenant}
    found = connection.execute(statements.FIND_JOB, where).one_or_none()
    if found is None:
        raise NotFound(f"job {job_id}")
    return Found(
        found.photo_key,
        None if found.upload_id is None else UploadId(found.upload_id),
        found.expired_at is not None,
        None if found.album is None else BatchId(found.album),
    )


def still(jobs: Mapping[JobId, Locked], job_id: JobId) -> Locked:
    """Return a job that was found and is locked now.  Raises NotFound: deleted in between."""
    if job_id not in jobs:
        raise NotFound(f"job {job_id}")
    return jobs[job_id]


def lost(lease: Lease) -> LeaseLost:
    """Return the error of a lease that does not hold."""
    return LeaseLost(f"{lease.stage} of job {lease.job_id}, attempt {lease.attempt}")


def _read(row: Row[tuple[object, ...]]) -> Locked:
    return Locked(
        Tenant(row.tenant),
        row.outcome,
        None
        if row.keep_input_seconds is None
        else Keeping(row.keep_input_seconds, row.keep_result_seconds),
        None if row.batch_id is None else BatchId(row.batch_id),
    )


def named_lease(lease: Lease) -> dict[str, object]:
    """Return the parameters of a statement about one lease."""
    return {"job_id": lease.job_id, "stage": str(lease.stage), "token": lease.token}
