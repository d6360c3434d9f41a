"""The locks that transitions take, in one order."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection

from smart_filter_shared.errors import (
    LeaseLost,
    NotFound,
)
from smart_filter_shared.ids import JobId, Tenant
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


def lock(connection: Connection, job_ids: Collection[JobId]) -> dict[JobId, Locked]:
    """Lock jobs, then their stages, in the one order; return the jobs."""
    ids = {"ids": list(job_ids)}
    rows = connection.execute(statements.LOCK_JOBS, ids)
    jobs = {
        JobId(row.id): Locked(
            Tenant(row.tenant),
            row.outcome,
            None
            if row.keep_input_seconds is None
            else Keeping(row.keep_input_seconds, row.keep_result_seconds),
        )
        for row in rows
    }
    connection.execute(statements.LOCK_STAGES, ids)
    return jobs


def lock_own(connection: Connection, job_id: JobId, tenant: Tenant) -> str | None:
    """Lock a job of a tenant; return its outcome.  Raises NotFound."""
    where = {"job_id": job_id, "tenant": tenant}
    if connection.execute(statements.FIND_JOB, where).one_or_none() is None:
        raise NotFound(f"job {job_id}")
    job = lock(connection, [job_id]).get(job_id)
    if job is None:  # deleted in between
        raise NotFound(f"job {job_id}")
    return job.outcome


def lost(lease: Lease) -> LeaseLost:
    """Return the error of a lease that does not hold."""
    return LeaseLost(f"{lease.stage} of job {lease.job_id}, attempt {lease.attempt}")


def named_lease(lease: Lease) -> dict[str, object]:
    """Return the parameters of a statement about one lease."""
    return {"job_id": lease.job_id, "stage": str(lease.stage), "token": lease.token}
