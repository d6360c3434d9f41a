"""How stages go back to waiting, and jobs to running."""

import json

from sqlalchemy import Connection

from smart_filter_shared.errors import (
    InputsExpired,
    JobFinal,
    JobNotFinished,
)
from smart_filter_shared.ids import Capability, JobId, Tenant
from smart_filter_shared.jobs import events, fairness, retention, uploads
from smart_filter_shared.jobs.events import Happened
from smart_filter_shared.jobs.leases import (
    UNAVAILABLE,
    Failure,
    Lease,
)
from smart_filter_shared.jobs.models import Plan
from smart_filter_shared.jobs.presence import CELL
from smart_filter_shared.jobs.states import JobState, StageState
from smart_filter_shared.jobs.submission import batch_key
from smart_filter_shared.jobs.transitions import batches, failing, locks, statements
from smart_filter_shared.jobs.transitions.batches import Jobs
from smart_filter_shared.pipeline import PIPELINE, StageName, needs_within


def release(
    connection: Connection,
    lease: Lease,
    *,
    delay_seconds: float,
    give_up_seconds: float,
    failure: Failure = UNAVAILABLE,
) -> list[Capability]:
    """Hand a stage back because infrastructure failed: its attempt is refunded.

    failure: what its job fails with when the stage has waited for give_up_seconds already.
    Returns what to ring.  Raises LeaseLost.
    """

    def move(_: Jobs) -> list[Capability]:
        row = connection.execute(
            statements.RELEASE,
            {
                **locks.named_lease(lease),
                "delay_seconds": delay_seconds,
                "give_up_seconds": give_up_seconds,
            },
        ).one_or_none()
        if row is None:
            failing.end_as_failed(connection, lease, failure)
            return []
        return [Capability(row.capability)] if row.state == StageState.READY else []

    ready, followed = batches.moving(connection, [lease.job_id], move, albums=[lease.album])
    return [*ready, *followed.ready]


def retry(
    connection: Connection,
    lease: Lease,
    failure: Failure,
    *,
    delay_seconds: float,
    max_attempts: int,
) -> None:
    """Let a stage that raised wait for another attempt; fail its job when none is left.

    Raises LeaseLost.
    """

    def move(_: Jobs) -> None:
        row = connection.execute(
            statements.RETRY,
            {
                **locks.named_lease(lease),
                "delay_seconds": delay_seconds,
                "max_attempts": max_attempts,
                "error": failure.as_json(lease.stage),
            },
        ).one_or_none()
        if row is None:
            failing.end_as_failed(connection, lease, failure)

    batches.moving(connection, [lease.job_id], move, albums=[lease.album])


def reroute(connection: Connection, lease: Lease, plan: Plan) -> bool:
    """Hand a stage on to another capability, where `plan` runs it; once a job.

    Returns whether it was; False when it had been before: then the lease still holds, and
    its result is the one that counts.  Raises LeaseLost.
    """
    locks.lock(connection, [lease.job_id])
    moved = connection.execute(
        statements.REROUTE,
        {
            **locks.named_lease(lease),
            "capability": plan.capability,
            "models": json.dumps(plan.models),
            "parameters": json.dumps(plan.parameters),
            "digests": json.dumps(plan.digests),
            "batch_key": batch_key(plan),
        },
    ).one_or_none()
    if (
        moved is None
        and connection.execute(statements.HELD, locks.named_lease(lease)).one_or_none() is None
    ):
        raise locks.lost(lease)
    return moved is not None


def redrive(connection: Connection, job_id: JobId, tenant: Tenant) -> list[Capability]:
    """Let a failed job go on from what has succeeded, with all attempts; return what to ring.

    What is left of it takes its tenant's next place, as if it were new.
    Raises NotFound, JobFinal when it ended otherwise, JobNotFinished when it has not ended,
    InputsExpired when its photo is not kept any more.
    """
    locks.find_own(connection, job_id, tenant)  # no job of another tenant is locked
    job = locks.still(locks.lock_of_any_day(connection, [job_id]), job_id)
    # Read under the lock: the job may have expired while this transaction waited for it.
    found = locks.find_own(connection, job_id, tenant)
    outcome = job.outcome
    if outcome is None:
        raise JobNotFinished(f"job {job_id} has not ended; only a failed one can be redriven")
    if outcome != JobState.FAILED:
        raise JobFinal(f"job {job_id} {locks.ENDED[outcome]}; only a failed one can be redriven")
    if found.photo_key is not None:
        is_there = retention.is_kept(connection, tenant, found.photo_key)
    else:  # at an address it may be still: whoever goes there will see
        is_there = found.upload_id is None or uploads.is_there(connection, found.upload_id)
    if not is_there or found.is_expired:
        raise InputsExpired(f"the photo of job {job_id} is not kept any more; submit it again")
    unfinished = {
        StageName(row.stage): Capability(row.capability)
        for row in connection.execute(statements.STAGES_OF, {"job_id": job_id})
        if row.state != StageState.SUCCEEDED
    }
    again = [stage for stage in PIPELINE if stage.name in unfinished]
    # Into an album that is not ranked yet it comes back; else it is composed without a rank.
    waits = job.batch_id is not None and batches.reopen(connection, job.batch_id, job_id)
    # At its old place it would overtake every job that has come since. The tenant's row comes last
    # in the lock order: while the batch is locked by another, the tenant's submissions go on.
    place = fairness.reserve(connection, tenant, unfinished.values(), cell=CELL, is_durable=True)
    reopened = {"job_id": job_id, "seconds": place.estimated_seconds}
    connection.execute(statements.REOPEN_JOB, reopened)
    events.record(connection, [Happened.to_job(job_id, JobState.RUNNING)])
    rows = connection.execute(
        statements.REDRIVE_STAGES,
        {
            "job_id": job_id,
            "start": place.start,
            "stages": [str(stage.name) for stage in again],
            "needs": [
                len(needs_within(stage, unfinished)) + (waits and stage.name == StageName.COMPOSITE)
                for stage in again
            ],
        },
    )
    return [Capability(row.capability) for row in rows if row.state == StageState.READY]
