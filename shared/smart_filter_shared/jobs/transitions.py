"""Every move that a job or a stage can make: nothing else writes their state.

Each function takes an open connection and leaves the commit to its caller; whoever made
rows ready rings the doorbell once for each, after the commit. The states are drawn in
states.py; the SQL and the lock order stand in statements.py.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func

from smart_filter_shared.cards import TaskName
from smart_filter_shared.db import tables
from smart_filter_shared.errors import (
    InputsExpired,
    JobFinal,
    JobNotFinished,
    LeaseLost,
    NotFound,
)
from smart_filter_shared.ids import Capability, JobId, LeaseToken, Tenant, WorkerId
from smart_filter_shared.jobs import events, fairness, retention, statements
from smart_filter_shared.jobs.events import Happened
from smart_filter_shared.jobs.leases import (
    UNAVAILABLE,
    Completion,
    Done,
    Failure,
    Lease,
    named,
)
from smart_filter_shared.jobs.models import Plan
from smart_filter_shared.jobs.retention import Keeping, Kind, Marked
from smart_filter_shared.jobs.states import JobState, StageState
from smart_filter_shared.jobs.submission import Submission, batch_key, stage_rows
from smart_filter_shared.pipeline import PIPELINE, StageName, needs_within

# How far past the head a claim looks for rows that fit into its batch.
_NEAR_A_BATCH = 8
# One sweep moves at most so many rows of a kind; the next one comes in a second.
_SWEPT_AT_ONCE = 500
_ENDED = {"succeeded": "succeeded", "failed": "failed", "canceled": "was canceled"}


def submit(connection: Connection, submission: Submission) -> list[Capability]:
    """Write a job and the stages that it runs; return what to ring."""
    recipe = submission.recipe
    connection.execute(
        tables.jobs.insert().values(
            id=submission.job_id,
            tenant=submission.tenant,
            recipe=recipe.as_json(),
            seed=submission.seed,
            metadata=dict(recipe.metadata),
            photo_key=submission.photo_key,
            photo_digest=submission.photo_digest,
            background_key=submission.background_key,
            created_at=func.statement_timestamp(),
            estimated_seconds=submission.place.estimated_seconds,
            webhook_url=submission.webhook_url,
            megapixels=submission.megapixels,
        )
    )
    given = [submission.photo_key, submission.background_key]
    retention.record(
        connection,
        submission.tenant,
        submission.job_id,
        {key: Kind.PHOTO for key in given if key is not None},
        submission.keeping,
    )
    rows = stage_rows(submission)
    connection.execute(tables.stages.insert(), rows)
    events.record(connection, [Happened.to_job(submission.job_id, JobState.QUEUED)])
    return [Capability(str(row["capability"])) for row in rows if row["state"] == StageState.READY]


def claim(
    connection: Connection,
    capability: Capability,
    *,
    worker: WorkerId,
    batch_size: int,
    lease_seconds: float,
    max_attempts: int,
) -> list[Lease]:
    """Take the head of a capability's queue, and up to batch_size − 1 rows that fit to it."""
    rows = connection.execute(
        statements.CLAIM,
        {
            "capability": capability,
            "mates": batch_size - 1,
            "near": _NEAR_A_BATCH * batch_size,
            "lease_seconds": lease_seconds,
            "worker": worker,
            "max_attempts": max_attempts,
        },
    ).all()
    events.record(connection, [_running(row.job_id) for row in rows if row.begins_job])
    return [
        Lease(
            job_id=JobId(row.job_id),
            stage=StageName(row.stage),
            token=LeaseToken(row.lease_token),
            attempt=row.attempt,
            releases=row.releases,
            mark=row.mark,
            capability=Capability(row.capability),
            models={TaskName(task): name for task, name in row.models.items()},
            parameters={TaskName(task): given for task, given in row.parameters.items()},
        )
        for row in rows
    ]


def renew(
    connection: Connection, leases: Sequence[Lease], *, lease_seconds: float
) -> set[LeaseToken]:
    """Extend leases; return the tokens of those that still hold."""
    rows = connection.execute(statements.RENEW, {**named(leases), "lease_seconds": lease_seconds})
    return {LeaseToken(row.lease_token) for row in rows}


def complete(connection: Connection, batch: Sequence[Done], keeping: Keeping) -> Completion:
    """Store results of stages whose leases hold, and make ready what waited only for them.

    keeping: how long the artifacts that they name are kept.
    """
    leases = [done.lease for done in batch]
    job_ids = sorted({lease.job_id for lease in leases})
    tenants = {job_id: job.tenant for job_id, job in _lock(connection, job_ids).items()}
    rows = connection.execute(
        statements.COMPLETE,
        {
            **named(leases),
            "seconds": [done.seconds for done in batch],
            "results": [json.dumps(done.result) for done in batch],
        },
    )
    completed = {(row.job_id, row.stage) for row in rows}
    events.record(connection, [Happened.to_stage(job_id, stage) for job_id, stage in completed])
    for done in batch:
        if (done.lease.job_id, done.lease.stage) in completed:
            job_id = done.lease.job_id
            retention.record(connection, tenants[job_id], job_id, done.artifacts, keeping)
    met = [
        (job_id, dependent.name)
        for job_id, stage in completed
        for dependent in PIPELINE
        if stage in dependent.needs
    ]
    ready = connection.execute(
        statements.MEET_NEEDS,
        {"job_ids": [job for job, _ in met], "stages": [str(stage) for _, stage in met]},
    )
    ringing = [Capability(row.capability) for row in ready if row.state == StageState.READY]
    finished = [
        JobId(row.id) for row in connection.execute(statements.FINISH_JOBS, {"ids": job_ids})
    ]
    events.record(connection, [Happened.to_job(one, JobState.SUCCEEDED) for one in finished])
    return Completion(
        ready=ringing,
        succeeded=finished,
        lost=[lease for lease in leases if (lease.job_id, lease.stage) not in completed],
    )


def release(
    connection: Connection, lease: Lease, *, delay_seconds: float, give_up_seconds: float
) -> list[Capability]:
    """Hand a stage back because infrastructure failed: its attempt is refunded.

    Its job fails as `unavailable` when the stage has waited for give_up_seconds already.
    Returns what to ring.  Raises LeaseLost.
    """
    _lock(connection, [lease.job_id])
    row = connection.execute(
        statements.RELEASE,
        {**_one(lease), "delay_seconds": delay_seconds, "give_up_seconds": give_up_seconds},
    ).one_or_none()
    if row is None:
        _end_as_failed(connection, lease, UNAVAILABLE)
        return []
    return [Capability(row.capability)] if row.state == StageState.READY else []


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
    _lock(connection, [lease.job_id])
    row = connection.execute(
        statements.RETRY,
        {
            **_one(lease),
            "delay_seconds": delay_seconds,
            "max_attempts": max_attempts,
            "error": failure.as_json(lease.stage),
        },
    ).one_or_none()
    if row is None:
        _end_as_failed(connection, lease, failure)


def reroute(connection: Connection, lease: Lease, plan: Plan) -> bool:
    """Hand a stage on to another capability, where `plan` runs it; once a job.

    Returns whether it was; False when it had been before: then the lease still holds, and
    its result is the one that counts.  Raises LeaseLost.
    """
    _lock(connection, [lease.job_id])
    moved = connection.execute(
        statements.REROUTE,
        {
            **_one(lease),
            "capability": plan.capability,
            "models": json.dumps(plan.models),
            "parameters": json.dumps(plan.parameters),
            "batch_key": batch_key(plan),
        },
    ).one_or_none()
    if moved is None and connection.execute(statements.HELD, _one(lease)).one_or_none() is None:
        raise _lost(lease)
    return moved is not None


def fail(connection: Connection, lease: Lease, failure: Failure) -> None:
    """End a stage and its job as failed, and cancel the other stages.

    Raises LeaseLost.
    """
    _lock(connection, [lease.job_id])
    _end_as_failed(connection, lease, failure)


def cancel(connection: Connection, job_id: JobId, tenant: Tenant) -> None:
    """Withdraw a job: its tokens are cleared, so that no running stage can complete.

    Raises NotFound when the tenant has no such job, JobFinal when it has ended.
    """
    outcome = _lock_own(connection, job_id, tenant)
    if outcome is not None:
        raise JobFinal(f"job {job_id} has ended already: it {_ENDED[outcome]}")
    connection.execute(statements.CANCEL_STAGES, {"job_id": job_id})
    connection.execute(
        statements.END_JOB, {"job_id": job_id, "outcome": JobState.CANCELED, "error": None}
    )
    events.record(connection, [Happened.to_job(job_id, JobState.CANCELED)])


def delete(connection: Connection, job_id: JobId, tenant: Tenant) -> list[Marked]:
    """Forget a job, whatever its state; return the artifacts whose objects are to be removed.

    What stays is a tombstone: the job's id, its tenant and the time.  Raises NotFound.
    """
    _lock_own(connection, job_id, tenant)
    artifacts = retention.mark_all_of(connection, job_id)
    fairness.settle_deleted(connection, job_id)
    where = {"job_id": job_id, "tenant": tenant}
    for statement in statements.FORGET:
        connection.execute(statement, where)
    return artifacts


def redrive(connection: Connection, job_id: JobId, tenant: Tenant) -> list[Capability]:
    """Let a failed job go on from what has succeeded, with all attempts; return what to ring.

    Raises NotFound, JobFinal when it ended otherwise, JobNotFinished when it has not ended,
    InputsExpired when its photo is not kept any more.
    """
    outcome = _lock_own(connection, job_id, tenant)
    if outcome is None:
        raise JobNotFinished(f"job {job_id} has not ended; only a failed one can be redriven")
    if outcome != JobState.FAILED:
        raise JobFinal(f"job {job_id} {_ENDED[outcome]}; only a failed one can be redriven")
    found = connection.execute(statements.FIND_JOB, {"job_id": job_id, "tenant": tenant}).one()
    if not retention.is_kept(connection, tenant, found.photo_key):
        raise InputsExpired(f"the photo of job {job_id} is not kept any more; submit it again")
    states = {
        StageName(row.stage): row.state
        for row in connection.execute(statements.STAGES_OF, {"job_id": job_id})
    }
    unfinished = [name for name, state in states.items() if state != StageState.SUCCEEDED]
    again = [stage for stage in PIPELINE if stage.name in unfinished]
    connection.execute(statements.REOPEN_JOB, {"job_id": job_id})
    events.record(connection, [_running(job_id)])
    rows = connection.execute(
        statements.REDRIVE_STAGES,
        {
            "job_id": job_id,
            "stages": [str(stage.name) for stage in again],
            "needs": [len(needs_within(stage, unfinished)) for stage in again],
        },
    )
    return [Capability(row.capability) for row in rows if row.state == StageState.READY]


def expire(
    connection: Connection, *, max_attempts: int, give_up_seconds: float
) -> list[Capability]:
    """Take lost leases away; return what they were for, one entry for each.

    Their rows wait until now, so that `wake` makes them ready. An attempt that was the last
    is refunded; a job whose machines have died for give_up_seconds fails as `unavailable`.
    """
    found = connection.execute(statements.FIND_EXPIRED, {"most": _SWEPT_AT_ONCE})
    job_ids = sorted(row.job_id for row in found)
    locked = connection.execute(statements.LOCK_IDLE_JOBS, {"ids": job_ids})
    ids = {"ids": [row.id for row in locked]}
    # All their stages: a job that ends here takes its siblings along, out of order otherwise.
    connection.execute(statements.LOCK_STAGES, ids)
    expired = connection.execute(statements.EXPIRED_STAGES, ids).all()
    for row in expired:
        where = {
            "job_id": row.job_id,
            "stage": row.stage,
            "token": row.lease_token,
            "max_attempts": max_attempts,
            "give_up_seconds": give_up_seconds,
        }
        waits = connection.execute(statements.EXPIRE, where).one_or_none()
        # Another stage of its job may have ended the job a moment ago, in this very loop.
        if waits is None and connection.execute(statements.HELD, where).one_or_none() is not None:
            _end_job(connection, JobId(row.job_id), StageName(row.stage), UNAVAILABLE)
    return [Capability(row.capability) for row in expired]


def wake(connection: Connection) -> list[Capability]:
    """Make ready what waited only for its time; return what to ring."""
    rows = connection.execute(statements.WAKE, {"most": _SWEPT_AT_ONCE})
    return [Capability(row.capability) for row in rows]


@dataclass(frozen=True, slots=True)
class _Locked:
    tenant: Tenant
    outcome: str | None


def _lock(connection: Connection, job_ids: Collection[JobId]) -> dict[JobId, _Locked]:
    """Lock jobs, then their stages, in the one order; return the jobs."""
    ids = {"ids": list(job_ids)}
    rows = connection.execute(statements.LOCK_JOBS, ids)
    jobs = {JobId(row.id): _Locked(Tenant(row.tenant), row.outcome) for row in rows}
    connection.execute(statements.LOCK_STAGES, ids)
    return jobs


def _lock_own(connection: Connection, job_id: JobId, tenant: Tenant) -> str | None:
    """Lock a job of a tenant; return its outcome.  Raises NotFound."""
    where = {"job_id": job_id, "tenant": tenant}
    if connection.execute(statements.FIND_JOB, where).one_or_none() is None:
        raise NotFound(f"job {job_id}")
    job = _lock(connection, [job_id]).get(job_id)
    if job is None:  # deleted in between
        raise NotFound(f"job {job_id}")
    return job.outcome


def _end_as_failed(connection: Connection, lease: Lease, failure: Failure) -> None:
    if connection.execute(statements.HELD, _one(lease)).one_or_none() is None:
        raise _lost(lease)
    _end_job(connection, lease.job_id, lease.stage, failure)


def _end_job(connection: Connection, job_id: JobId, stage: StageName, failure: Failure) -> None:
    error = failure.as_json(stage)
    where = {"job_id": job_id, "stage": stage, "error": error}
    connection.execute(statements.FAIL_STAGE, where)
    connection.execute(statements.CANCEL_STAGES, {"job_id": job_id})
    connection.execute(
        statements.END_JOB, {"job_id": job_id, "outcome": JobState.FAILED, "error": error}
    )
    events.record(connection, [Happened.to_job(job_id, JobState.FAILED)])


def _running(job_id: JobId) -> Happened:
    return Happened.to_job(job_id, JobState.RUNNING)


def _lost(lease: Lease) -> LeaseLost:
    return LeaseLost(f"{lease.stage} of job {lease.job_id}, attempt {lease.attempt}")


def _one(lease: Lease) -> dict[str, object]:
    return {"job_id": lease.job_id, "stage": str(lease.stage), "token": lease.token}
