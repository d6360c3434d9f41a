"""How stages and jobs end otherwise than by success."""

from sqlalchemy import Connection

from smart_filter_shared.errors import (
    JobFinal,
)
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs import data_items, sharing, uploads
from smart_filter_shared.jobs.leases import (
    Failure,
    Lease,
)
from smart_filter_shared.jobs.retention import Marked
from smart_filter_shared.jobs.transitions import (
    batch_statements,
    batches,
    failing,
    locks,
    statements,
)
from smart_filter_shared.jobs.transitions.batches import Jobs


def fail(connection: Connection, lease: Lease, failure: Failure) -> None:
    """End a stage and its job as failed, and cancel the other stages.

    Raises LeaseLost.
    """
    batches.moving(
        connection,
        [lease.job_id],
        lambda _: failing.end_as_failed(connection, lease, failure),
        albums=[lease.album],
    )


def cancel(connection: Connection, job_id: JobId, tenant: Tenant) -> None:
    """Withdraw a job: its tokens are cleared, so that no running stage can complete.

    Raises NotFound when the tenant has no such job, JobFinal when it has ended.
    """
    found = locks.find_own(connection, job_id, tenant)

    def move(jobs: Jobs) -> None:
        outcome = locks.still(jobs, job_id).outcome
        if outcome is not None:
            raise JobFinal(f"job {job_id} has ended already: it {locks.ENDED[outcome]}")
        batches.cancel_jobs(connection, [job_id])

    batches.moving_of_any_day(connection, [job_id], move, albums=[found.album])


def delete(connection: Connection, job_id: JobId, tenant: Tenant) -> list[Marked]:
    """Forget a job, whatever its state; return the artifacts whose objects are to be removed.

    What stays is a tombstone: the job's id, its tenant and the time.  Raises NotFound.
    """
    found = locks.find_own(connection, job_id, tenant)

    def move(jobs: Jobs) -> list[Marked]:
        job = locks.still(jobs, job_id)
        if job.batch_id is not None:
            connection.execute(batch_statements.LEAVE_GAP, {"job_id": job_id})
        # Consent ends with its job: what it was given for leaves every data set.
        data_items.forget(connection, job_id)
        artifacts = sharing.let_go(connection, job_id)
        artifacts += uploads.mark_last_of(connection, job_id)
        for statement in statements.FORGET:
            connection.execute(statement, {"job_id": job_id})
        return artifacts

    artifacts, _ = batches.moving_of_any_day(connection, [job_id], move, albums=[found.album])
    return artifacts
