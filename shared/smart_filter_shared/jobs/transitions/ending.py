"""How stages and jobs end."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace

from sqlalchemy import Connection

from smart_filter_shared.errors import (
    JobFinal,
)
from smart_filter_shared.ids import Capability, JobId, Tenant
from smart_filter_shared.jobs import data_items, events, retention, sharing, uploads
from smart_filter_shared.jobs.events import Happened
from smart_filter_shared.jobs.leases import (
    Completion,
    Done,
    Failure,
    Lease,
    named,
)
from smart_filter_shared.jobs.retention import Keeping, Marked
from smart_filter_shared.jobs.states import JobState, StageState
from smart_filter_shared.jobs.transitions import (
    batch_statements,
    batches,
    failing,
    locks,
    statements,
)
from smart_filter_shared.jobs.transitions.batches import Jobs
from smart_filter_shared.pipeline import PIPELINE


def complete(connection: Connection, batch: Sequence[Done], keeping: Keeping) -> Completion:
    """Store results of stages whose leases hold, and make ready what waited only for them.

    keeping: how long the artifacts that they name are kept when their jobs do not say.
    """
    leases = [done.lease for done in batch]
    job_ids = sorted({lease.job_id for lease in leases})
    completion, followed = batches.moving(
        connection,
        job_ids,
        lambda jobs: _complete(connection, batch, jobs, keeping),
        albums=[lease.album for lease in leases],
    )
    return replace(
        completion,
        ready=[*completion.ready, *followed.ready],
        succeeded=[*completion.succeeded, *followed.succeeded],
    )


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
        connection.execute(statements.CANCEL_STAGES, {"job_id": job_id})
        connection.execute(
            statements.END_JOB, {"job_id": job_id, "outcome": JobState.CANCELED, "error": None}
        )
        events.record(connection, [Happened.to_job(job_id, JobState.CANCELED)])

    batches.moving(connection, [job_id], move, albums=[found.album])


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

    artifacts, _ = batches.moving(connection, [job_id], move, albums=[found.album])
    return artifacts


def _complete(
    connection: Connection, batch: Sequence[Done], jobs: Jobs, keeping: Keeping
) -> Completion:
    leases = [done.lease for done in batch]
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
            job = jobs[job_id]
            kept = job.keeping or keeping
            retention.record(connection, job.tenant, job_id, done.artifacts, kept)
            if done.photo is not None:
                connection.execute(statements.BRING_PHOTO, {"job_id": job_id, **asdict(done.photo)})
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
    ending = {"ids": list(jobs), "result_seconds": keeping.result_seconds}
    finished = [JobId(row.id) for row in connection.execute(statements.FINISH_JOBS, ending)]
    events.record(connection, [Happened.to_job(one, JobState.SUCCEEDED) for one in finished])
    return Completion(
        ready=ringing,
        succeeded=finished,
        lost=[lease for lease in leases if (lease.job_id, lease.stage) not in completed],
    )
