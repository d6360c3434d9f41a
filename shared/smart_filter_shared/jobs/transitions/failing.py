"""The end of a job whose stage failed, whichever transition finds that."""

from sqlalchemy import Connection

from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs import events
from smart_filter_shared.jobs.events import Happened
from smart_filter_shared.jobs.leases import (
    Failure,
    Lease,
)
from smart_filter_shared.jobs.states import JobState
from smart_filter_shared.jobs.transitions import locks, statements
from smart_filter_shared.pipeline import StageName


def end_as_failed(connection: Connection, lease: Lease, failure: Failure) -> None:
    """End a stage that is held and its job as failed.  Raises LeaseLost."""
    if connection.execute(statements.HELD, locks.named_lease(lease)).one_or_none() is None:
        raise locks.lost(lease)
    end_job(connection, lease.job_id, lease.stage, failure)


def end_job(connection: Connection, job_id: JobId, stage: StageName, failure: Failure) -> None:
    """End a job as failed at one of its stages, and cancel the other stages."""
    error = failure.as_json(stage)
    where = {"job_id": job_id, "stage": stage, "error": error}
    connection.execute(statements.FAIL_STAGE, where)
    connection.execute(statements.CANCEL_STAGES, {"job_id": job_id})
    connection.execute(statements.FAIL_JOB, {"job_id": job_id, "error": error})
    events.record(connection, [Happened.to_job(job_id, JobState.FAILED)])
