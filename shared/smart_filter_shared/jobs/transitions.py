"""Every move that a job or a stage can make: nothing else writes their state.

Each function takes an open connection and leaves the commit to its caller; whoever made
rows ready rings the doorbell once for each, after the commit. The states are drawn in
states.py; the SQL and the lock order stand in statements.py.
"""

import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, extract, func

from smart_filter_shared.cards import TaskName
from smart_filter_shared.db import tables
from smart_filter_shared.errors import JobFinal, LeaseLost, NotFound
from smart_filter_shared.ids import Capability, JobId, LeaseToken, Tenant, WorkerId
from smart_filter_shared.jobs import statements
from smart_filter_shared.jobs.states import JobState, StageState
from smart_filter_shared.pipeline import PIPELINE, StageName, needs_within
from smart_filter_shared.recipe import Recipe, stages

# How far past the head a claim looks for rows that fit into its batch.
_NEAR_A_BATCH = 8
# One sweep moves at most so many rows of a kind; the next one comes in a second.
_SWEPT_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Submission:
    """A job about to be written.

    models: for each task that its stages run, the name of the model.
    capabilities: for each stage, what a worker must serve to run it.
    """

    job_id: JobId
    tenant: Tenant
    recipe: Recipe
    seed: int
    photo_key: str
    photo_digest: str
    models: Mapping[StageName, Mapping[TaskName, str]]
    capabilities: Mapping[StageName, Capability]


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to run one stage of one job until it is lost or given back.

    token: fences every later transition.  attempt: 1 for the first.  releases: how often
    the stage was handed back because infrastructure failed.
    """

    job_id: JobId
    stage: StageName
    token: LeaseToken
    attempt: int
    releases: int
    capability: Capability
    models: Mapping[TaskName, str]


@dataclass(frozen=True, slots=True)
class Done:
    """What a stage run ended with.

    result: JSON of numbers and of artifacts' keys; seconds: how long the stage's code ran.
    """

    lease: Lease
    result: Mapping[str, object]
    seconds: float


@dataclass(frozen=True, slots=True)
class Completion:
    """What a completion changed.

    ready: one entry for each row made ready.  lost: leases that somebody else has by now.
    """

    ready: list[Capability]
    succeeded: list[JobId]
    lost: list[Lease]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something failed: a stable code, and a detail for people."""

    code: str
    title: str
    detail: str

    def as_json(self, stage: StageName) -> str:
        """Return it as the job's `error`."""
        return json.dumps(
            {"code": self.code, "title": self.title, "detail": self.detail, "stage": stage}
        )


POISON = Failure(
    "poison",
    "The photo stops its workers",
    "every attempt at this stage lost its worker or outlasted its time limit",
)
UNAVAILABLE = Failure(
    "unavailable",
    "The service could not finish",
    "storage or database stayed away for too long; submit the photo again",
)


def submit(connection: Connection, submission: Submission) -> list[Capability]:
    """Write a job and the stages that it runs; return what to ring."""
    running = stages(submission.recipe)
    now = func.statement_timestamp()
    connection.execute(
        tables.jobs.insert().values(
            id=submission.job_id,
            tenant=submission.tenant,
            recipe=submission.recipe.as_json(),
            seed=submission.seed,
            metadata=dict(submission.recipe.metadata),
            photo_key=submission.photo_key,
            photo_digest=submission.photo_digest,
            created_at=now,
        )
    )
    rows = [
        {
            "job_id": submission.job_id,
            "stage": str(stage.name),
            "capability": submission.capabilities[stage.name],
            "models": submission.models[stage.name],
            "batch_key": json.dumps(submission.models[stage.name], sort_keys=True),
            "open_needs": len(needs_within(stage, running)),
        }
        for stage in PIPELINE
        if stage.name in running
    ]
    for row in rows:
        row["state"] = str(StageState.WAITING if row["open_needs"] else StageState.READY)
    # `rank` is the submission's time: whoever came first is served first.
    connection.execute(tables.stages.insert().values(rank=extract("epoch", now)), rows)
    return [Capability(str(row["capability"])) for row in rows if not row["open_needs"]]


def claim(
    connection: Connection,
    capability: Capability,
    *,
    worker: WorkerId,
    batch_size: int,
    lease_seconds: float,
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
        },
    )
    return [
        Lease(
            job_id=JobId(row.job_id),
            stage=StageName(row.stage),
            token=LeaseToken(row.lease_token),
            attempt=row.attempt,
            releases=row.releases,
            capability=Capability(row.capability),
            models={TaskName(task): name for task, name in row.models.items()},
        )
        for row in rows
    ]


def renew(
    connection: Connection, leases: Sequence[Lease], *, lease_seconds: float
) -> set[LeaseToken]:
    """Extend leases; return the tokens of those that still hold."""
    rows = connection.execute(statements.RENEW, {**_named(leases), "lease_seconds": lease_seconds})
    return {LeaseToken(row.lease_token) for row in rows}


def complete(connection: Connection, batch: Sequence[Done]) -> Completion:
    """Store results of stages whose leases hold, and make ready what waited only for them."""
    leases = [done.lease for done in batch]
    job_ids = sorted({lease.job_id for lease in leases})
    _lock(connection, job_ids)
    rows = connection.execute(
        statements.COMPLETE,
        {
            **_named(leases),
            "seconds": [done.seconds for done in batch],
            "results": [json.dumps(done.result) for done in batch],
        },
    )
    completed = {(row.job_id, row.stage) for row in rows}
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
    finished = connection.execute(statements.FINISH_JOBS, {"ids": job_ids})
    return Completion(
        ready=ringing,
        succeeded=[JobId(row.id) for row in finished],
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
    found = connection.execute(statements.FIND_JOB, {"job_id": job_id, "tenant": tenant})
    if found.one_or_none() is None:
        raise NotFound(f"job {job_id}")
    outcome = _lock(connection, [job_id])[job_id]
    if outcome is not None:
        raise JobFinal(f"job {job_id} has {outcome} already")
    connection.execute(statements.CANCEL_STAGES, {"job_id": job_id})
    connection.execute(
        statements.END_JOB, {"job_id": job_id, "outcome": JobState.CANCELED, "error": None}
    )


def expire(connection: Connection, *, max_attempts: int) -> int:
    """Take lost leases away; return how many.

    Their rows wait until now, so that `wake` makes them ready; a row without attempts left
    fails its job as `poison`.
    """
    found = connection.execute(statements.FIND_EXPIRED, {"most": _SWEPT_AT_ONCE})
    job_ids = sorted(row.job_id for row in found)
    locked = connection.execute(statements.LOCK_IDLE_JOBS, {"ids": job_ids})
    expired = connection.execute(
        statements.EXPIRED_STAGES, {"ids": [row.id for row in locked]}
    ).all()
    ended: set[uuid.UUID] = set()
    for row in expired:
        if row.job_id in ended:
            continue
        where = {"job_id": row.job_id, "stage": row.stage}
        if row.attempt < max_attempts:
            connection.execute(statements.EXPIRE, where)
        else:
            _end_job(connection, JobId(row.job_id), StageName(row.stage), POISON)
            ended.add(row.job_id)
    return len(expired)


def wake(connection: Connection) -> list[Capability]:
    """Make ready what waited only for its time; return what to ring."""
    rows = connection.execute(statements.WAKE, {"most": _SWEPT_AT_ONCE})
    return [Capability(row.capability) for row in rows]


def _lock(connection: Connection, job_ids: Collection[JobId]) -> dict[JobId, str | None]:
    """Lock jobs, then their stages, in the one order; return the jobs' outcomes."""
    ids = {"ids": list(job_ids)}
    outcomes = {JobId(row.id): row.outcome for row in connection.execute(statements.LOCK_JOBS, ids)}
    connection.execute(statements.LOCK_STAGES, ids)
    return outcomes


def _end_as_failed(connection: Connection, lease: Lease, failure: Failure) -> None:
    if connection.execute(statements.HELD, _one(lease)).one_or_none() is None:
        raise LeaseLost(f"{lease.stage} of job {lease.job_id}, attempt {lease.attempt}")
    _end_job(connection, lease.job_id, lease.stage, failure)


def _end_job(connection: Connection, job_id: JobId, stage: StageName, failure: Failure) -> None:
    error = failure.as_json(stage)
    where = {"job_id": job_id, "stage": stage, "error": error}
    connection.execute(statements.FAIL_STAGE, where)
    connection.execute(statements.CANCEL_STAGES, {"job_id": job_id})
    connection.execute(
        statements.END_JOB, {"job_id": job_id, "outcome": JobState.FAILED, "error": error}
    )


def _one(lease: Lease) -> dict[str, object]:
    return {"job_id": lease.job_id, "stage": str(lease.stage), "token": lease.token}


def _named(leases: Sequence[Lease]) -> dict[str, object]:
    return {
        "job_ids": [lease.job_id for lease in leases],
        "stages": [str(lease.stage) for lease in leases],
        "tokens": [lease.token for lease in leases],
    }
