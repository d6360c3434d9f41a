"""Release, retry and reroute stages, and redrive failed jobs."""

import json
from collections.abc import Mapping

from sqlalchemy import Connection, text

from smart_filter_shared.artifacts import retention, uploads
from smart_filter_shared.errors import (
    InputsExpired,
    JobFinal,
    JobNotFinished,
)
from smart_filter_shared.ids import Capability, JobId, Tenant
from smart_filter_shared.pipeline import PIPELINE, StageName, needs_within
from smart_filter_shared.queue import events, fair_queueing
from smart_filter_shared.queue.leases import UNAVAILABLE, Failure, Lease
from smart_filter_shared.queue.states import JobState, StageState
from smart_filter_shared.queue.transitions import batches, locks, sql
from smart_filter_shared.queue.transitions.batches import JobHooks, Jobs
from smart_filter_shared.queue.transitions.finish import fail_held_stage

# Infrastructure failed, not the model: the attempt is refunded. With a delay of 0 the row is ready
# at once. Rows that have waited for give_up_seconds are left out; the caller fails those.
_RELEASE = text("""
    UPDATE stages SET
        state = CASE WHEN :delay_seconds > 0 THEN 'waiting' ELSE 'ready' END,
        not_before = CASE WHEN :delay_seconds > 0
            THEN statement_timestamp() + make_interval(secs => :delay_seconds) END,
        ready_at = statement_timestamp(), attempt = attempt - 1, releases = releases + 1,
        patience_since = coalesce(patience_since, statement_timestamp()),
        lease_token = NULL, leased_until = NULL
    WHERE job_id = :job_id AND stage = :stage AND state = 'running' AND lease_token = :token
        AND coalesce(
            patience_since > statement_timestamp() - make_interval(secs => :give_up_seconds), true
        )
    RETURNING capability, state
""")

# The model failed: the attempt stays spent. The caller fails a row that has no attempts left.
_RETRY = text("""
    UPDATE stages SET
        state = 'waiting',
        not_before = statement_timestamp() + make_interval(secs => :delay_seconds),
        error = CAST(:error AS jsonb), lease_token = NULL, leased_until = NULL
    WHERE job_id = :job_id AND stage = :stage AND state = 'running' AND lease_token = :token
        AND attempt < :max_attempts
    RETURNING stage
""")

# Another model runs the stage, with all attempts. A stage is rerouted at most once.
_REROUTE = text("""
    UPDATE stages SET
        state = 'ready', capability = :capability, models = CAST(:models AS jsonb),
        parameters = CAST(:parameters AS jsonb), digests = CAST(:digests AS jsonb),
        batch_key = :batch_key, rerouted = true,
        ready_at = statement_timestamp(), attempt = 0, error = NULL,
        lease_token = NULL, leased_until = NULL
    WHERE job_id = :job_id AND stage = :stage AND state = 'running' AND lease_token = :token
        AND NOT rerouted
    RETURNING stage
""")

_DELETE_UNSETTLED = text("DELETE FROM unsettled_jobs WHERE job_id = :job_id")
# Of a settled job.
_RESTORE_STAGES = text("""
    WITH ended AS (
        DELETE FROM ended_stages WHERE job_id = :job_id RETURNING job_id, stages
    ), begun AS (
        INSERT INTO begun_jobs (job_id)
        SELECT DISTINCT ended.job_id FROM ended, unnest(ended.stages) AS stage
        WHERE stage.started_at IS NOT NULL
        ON CONFLICT DO NOTHING
    )
    INSERT INTO stages
    SELECT stage.* FROM ended, unnest(ended.stages) AS stage
""")
_STAGES_OF = text("SELECT stage, state, capability FROM stages WHERE job_id = :job_id")

# Succeeded stages stay; the others wait again for their unfinished needs.
# :needs are the numbers of unfinished needs, :start is the job's start in virtual time.
_REDRIVE_STAGES = text("""
    UPDATE stages SET
        state = CASE WHEN again.needs = 0 THEN 'ready' ELSE 'waiting' END,
        open_needs = again.needs, attempt = 0, releases = 0, patience_since = NULL,
        not_before = NULL, ready_at = statement_timestamp(), finished_at = NULL, error = NULL,
        deadline_at = NULL, rank = :start - head_start
    FROM unnest(CAST(:stages AS text[]), CAST(:needs AS smallint[])) AS again (stage, needs)
    WHERE stages.job_id = :job_id AND stages.stage = again.stage
    RETURNING stages.capability, stages.state
""")

# :seconds, the cost of the remaining stages, has just been charged. When the earlier cost was
# already settled, it is added to the estimate, so the next settlement charges and counts only the
# difference. The deadline is dropped: the redrive asks for the result in spite of it.
_REDRIVE_JOB = text("""
    UPDATE jobs SET
        outcome = NULL, finished_at = NULL, error = NULL, expires_at = NULL, deadline_at = NULL,
        counted_seconds = coalesce(settled.seconds, counted_seconds),
        estimated_seconds = :seconds + coalesce(settled.seconds, estimated_seconds)
    FROM (
        SELECT CASE WHEN :is_settled THEN coalesce(sum(seconds), 0) END AS seconds
        FROM stages WHERE job_id = :job_id
    ) AS settled
    WHERE id = :job_id
""")


def release(
    connection: Connection,
    lease: Lease,
    *,
    delay_seconds: float,
    give_up_seconds: float,
    failure: Failure = UNAVAILABLE,
    hooks: JobHooks,
) -> list[Capability]:
    """Release a stage because infrastructure failed; its attempt is refunded.

    failure: the error of its job, which fails when the stage has waited for give_up_seconds.
    Returns the capabilities to ring.  Raises LeaseLost.
    """

    def move(_: Jobs) -> list[Capability]:
        row = connection.execute(
            _RELEASE,
            {
                **locks.lease_parameters(lease),
                "delay_seconds": delay_seconds,
                "give_up_seconds": give_up_seconds,
            },
        ).one_or_none()
        if row is None:
            fail_held_stage(connection, lease, failure)
            return []
        return [Capability(row.capability)] if row.state == StageState.READY else []

    ready, followed = batches.with_locked_jobs(
        connection, [lease.job_id], move, hooks=hooks, albums=[lease.album]
    )
    return [*ready, *followed.ready]


def retry(
    connection: Connection,
    lease: Lease,
    failure: Failure,
    *,
    delay_seconds: float,
    max_attempts: int,
    hooks: JobHooks,
) -> None:
    """Schedule another attempt of a stage that raised; fail its job when none is left.

    Raises LeaseLost.
    """

    def move(_: Jobs) -> None:
        row = connection.execute(
            _RETRY,
            {
                **locks.lease_parameters(lease),
                "delay_seconds": delay_seconds,
                "max_attempts": max_attempts,
                "error": failure.as_json(lease.stage),
            },
        ).one_or_none()
        if row is None:
            fail_held_stage(connection, lease, failure)

    batches.with_locked_jobs(connection, [lease.job_id], move, hooks=hooks, albums=[lease.album])


def reroute(connection: Connection, lease: Lease, columns: Mapping[str, object]) -> bool:
    """Move a stage to another capability, once per job; return whether it was moved.

    columns: what runs it, by the names of the columns of `stages`.
    False when it was rerouted before: then the lease still holds, and its own result counts.
    Raises LeaseLost.
    """
    locks.lock(connection, [lease.job_id])
    moved = connection.execute(
        _REROUTE,
        {
            **locks.lease_parameters(lease),
            **{
                name: value if isinstance(value, str) else json.dumps(value)
                for name, value in columns.items()
            },
        },
    ).one_or_none()
    if (
        moved is None
        and connection.execute(sql.FIND_HELD_STAGE, locks.lease_parameters(lease)).one_or_none()
        is None
    ):
        raise locks.lease_lost(lease)
    return moved is not None


def redrive(connection: Connection, job_id: JobId, tenant: Tenant) -> list[Capability]:
    """Continue a failed job after its succeeded stages; return the capabilities to ring.

    The other stages get all their attempts back, and the job takes its tenant's next place, like
    a new job.
    Raises NotFound, JobFinal when the job succeeded or was canceled, JobNotFinished when it has
    not ended, InputsExpired when its photo has expired.
    """
    locks.get_owned(connection, job_id, tenant)  # raises before a job of another tenant is locked
    job = locks.require(locks.lock(connection, [job_id]), job_id)
    # Read under the lock: the job may have expired while this transaction waited for it.
    owned = locks.get_owned(connection, job_id, tenant)
    outcome = job.outcome
    if outcome is None:
        raise JobNotFinished(f"job {job_id} has not ended; only a failed one can be redriven")
    if outcome != JobState.FAILED:
        raise JobFinal(
            f"job {job_id} {locks.OUTCOME_PHRASES[outcome]}; only a failed one can be redriven"
        )
    if owned.photo_key is not None:
        is_there = retention.is_available(connection, tenant, owned.photo_key)
    else:  # a photo at an address may still be there; `prepare` will find out
        is_there = owned.upload_id is None or uploads.is_unmarked(connection, owned.upload_id)
    if not is_there or owned.is_expired:
        raise InputsExpired(f"the photo of job {job_id} is not kept any more; submit it again")
    is_settled = connection.execute(_DELETE_UNSETTLED, {"job_id": job_id}).rowcount == 0
    connection.execute(_RESTORE_STAGES, {"job_id": job_id})
    unfinished = {
        StageName(row.stage): Capability(row.capability)
        for row in connection.execute(_STAGES_OF, {"job_id": job_id})
        if row.state != StageState.SUCCEEDED
    }
    again = [stage for stage in PIPELINE if stage.name in unfinished]
    # The job returns to its album when that is not ranked yet; else it is composed without a rank.
    gate = job.batch_id and batches.reopen_batch(connection, job.batch_id, job_id)
    # At its old place the job would overtake every job submitted since. The tenant's row is last
    # in the lock order, so the tenant's submissions continue while another holds the batch.
    place = fair_queueing.reserve(connection, tenant, unfinished.values(), is_durable=True)
    reopened = {"job_id": job_id, "seconds": place.estimated_seconds, "is_settled": is_settled}
    connection.execute(_REDRIVE_JOB, reopened)
    events.record(connection, [job_id], JobState.RUNNING)
    rows = connection.execute(
        _REDRIVE_STAGES,
        {
            "job_id": job_id,
            "start": place.start,
            "stages": [str(stage.name) for stage in again],
            "needs": [
                len(needs_within(stage, unfinished)) + (stage.name == gate) for stage in again
            ],
        },
    )
    return [Capability(row.capability) for row in rows if row.state == StageState.READY]
