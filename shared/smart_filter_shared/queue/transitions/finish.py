"""Fail, cancel and delete jobs; delete batches.

A batch is marked at once, then its jobs are deleted a few at a time. When the process that began
the deletion stops, the garbage collector continues it.
"""

from sqlalchemy import Connection, text

from smart_filter_shared.artifacts import references, uploads
from smart_filter_shared.artifacts.retention import MarkedArtifact
from smart_filter_shared.errors import JobFinal, NotFound
from smart_filter_shared.ids import BatchId, JobId, Tenant
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue import events
from smart_filter_shared.queue.leases import Failure, Lease
from smart_filter_shared.queue.states import JobState
from smart_filter_shared.queue.transitions import batches, locks, sql
from smart_filter_shared.queue.transitions.batches import JobHooks, Jobs

# Deletes all rows of a job; a tombstone takes its place.
_DELETE_JOB = (
    # Holds the job's cost while that is not settled; settlement clears it.
    text("""
        INSERT INTO tombstones (
            job_id, tenant, deleted_at, written_in,
            outcome, ended_on, owed, megapixels, seconds
        )
        SELECT id, tenant, statement_timestamp(),
            CAST(CAST(pg_current_xact_id() AS text) AS bigint), owing.*
        FROM jobs LEFT JOIN LATERAL (
            SELECT coalesce(outcome, 'canceled'),
                CAST(coalesce(finished_at, statement_timestamp()) AT TIME ZONE 'UTC' AS date),
                ran.seconds - estimated_seconds,
                CASE WHEN counted_seconds IS NULL THEN jobs.megapixels ELSE 0 END,
                ran.seconds - coalesce(counted_seconds, 0)
            FROM (
                SELECT coalesce(sum(seconds), 0) AS seconds FROM stages
                WHERE stages.job_id = :job_id
            ) AS ran
            WHERE outcome IS NULL
                OR EXISTS (SELECT FROM unsettled_jobs WHERE unsettled_jobs.job_id = jobs.id)
        ) AS owing ON true
        WHERE id = :job_id
    """),
    text("DELETE FROM begun_jobs WHERE job_id = :job_id"),
    text("DELETE FROM unsettled_jobs WHERE job_id = :job_id"),
    text("DELETE FROM stages WHERE job_id = :job_id"),
    text("DELETE FROM ended_stages WHERE job_id = :job_id"),
    text("DELETE FROM events WHERE job_id = :job_id"),
    text("DELETE FROM corrections WHERE job_id = :job_id"),
    # Waits for a sender that is recording an attempt, so that no row of `delivery_attempts` stays.
    text("SELECT id FROM deliveries WHERE job_id = :job_id ORDER BY id FOR UPDATE"),
    text("""
        DELETE FROM delivery_attempts USING deliveries
        WHERE deliveries.id = delivery_attempts.delivery_id AND deliveries.job_id = :job_id
    """),
    text("DELETE FROM deliveries WHERE job_id = :job_id"),
    text("DELETE FROM jobs WHERE id = :job_id"),
    # The stored response describes the job and is cleared; the idempotency key is kept.
    text("UPDATE requests SET body = NULL WHERE job_id = :job_id"),
)

# A deleted job keeps counting with its outcome; deletion cancels a job that had not ended.
_INSERT_GAP = text("""
    INSERT INTO batch_gaps (batch_id, index, job_id, outcome)
    SELECT batch_id, batch_index, id, coalesce(outcome, 'canceled') FROM jobs
    WHERE id = :job_id AND batch_index IS NOT NULL
""")

_FAIL_STAGE = text("""
    UPDATE stages SET
        state = 'failed', lease_token = NULL, leased_until = NULL,
        finished_at = statement_timestamp(), error = CAST(:error AS jsonb)
    WHERE job_id = :job_id AND stage = :stage
""")

# A failed job keeps the results of its stages as long as its photo: a redrive continues from them.
_FAIL_JOB = text(f"""
    UPDATE jobs SET
        outcome = 'failed', finished_at = statement_timestamp(), error = CAST(:error AS jsonb),
        expires_at = statement_timestamp() + make_interval(
            secs => greatest(keep_input_seconds, keep_result_seconds)
        )
    WHERE id = :job_id AND {sql.UNFINISHED_NO_INDEX}
""")  # noqa: S608 - both parts stand here

# The tombstone notifies waiting clients; the batch's jobs are deleted later.
_MARK_DELETED = text("""
    WITH marked AS (
        UPDATE batches SET deleted_at = coalesce(deleted_at, statement_timestamp())
        WHERE id = :id AND tenant = :tenant
        RETURNING id, tenant
    ), buried AS (
        INSERT INTO tombstones (job_id, tenant, deleted_at, written_in)
        SELECT id, tenant, statement_timestamp(),
            CAST(CAST(pg_current_xact_id() AS text) AS bigint)
        FROM marked
        ON CONFLICT DO NOTHING
    )
    SELECT id FROM marked
""")

_LIST_SOME_JOBS = text("SELECT id FROM jobs WHERE batch_id = :id ORDER BY id LIMIT :most")

# One probe of `batches_deleted`.
_LIST_STALLED_DELETIONS = text("""
    SELECT id, tenant FROM batches
    WHERE deleted_at < statement_timestamp() - make_interval(secs => :seconds)
    ORDER BY deleted_at LIMIT :most
""")

# Deletes all rows of a batch without jobs; a tombstone is written unless the batch has one.
_DELETE_BATCH = (
    text("""
        INSERT INTO tombstones (job_id, tenant, deleted_at)
        SELECT id, tenant, statement_timestamp() FROM batches WHERE id = :id
        ON CONFLICT DO NOTHING
    """),
    text("DELETE FROM batch_gaps WHERE batch_id = :id"),
    text("DELETE FROM events WHERE job_id = :id"),
    # Waits for a sender that is recording an attempt, so that no row of `delivery_attempts` stays.
    text("SELECT id FROM deliveries WHERE batch_id = :id ORDER BY id FOR UPDATE"),
    text("""
        DELETE FROM delivery_attempts USING deliveries
        WHERE deliveries.id = delivery_attempts.delivery_id AND deliveries.batch_id = :id
    """),
    text("DELETE FROM deliveries WHERE batch_id = :id"),
    text("DELETE FROM batches WHERE id = :id"),
    text("UPDATE requests SET body = NULL WHERE job_id = :id"),
)


def fail(connection: Connection, lease: Lease, failure: Failure, *, hooks: JobHooks) -> None:
    """Fail a stage and its job, and cancel the other stages.

    Raises LeaseLost.
    """
    batches.with_locked_jobs(
        connection,
        [lease.job_id],
        lambda _: fail_held_stage(connection, lease, failure),
        hooks=hooks,
        albums=[lease.album],
    )


def cancel(connection: Connection, job_id: JobId, tenant: Tenant, *, hooks: JobHooks) -> None:
    """Cancel a job; its lease tokens are cleared, so that no running stage can complete.

    Raises NotFound when the tenant has no such job, JobFinal when it has ended.
    """
    owned = locks.get_owned(connection, job_id, tenant)

    def move(jobs: Jobs) -> None:
        outcome = locks.require(jobs, job_id).outcome
        if outcome is not None:
            raise JobFinal(f"job {job_id} has ended already: it {locks.OUTCOME_PHRASES[outcome]}")
        batches.cancel_jobs(connection, [job_id])

    batches.with_locked_jobs(connection, [job_id], move, hooks=hooks, albums=[owned.album])


def delete(
    connection: Connection, job_id: JobId, tenant: Tenant, *, hooks: JobHooks
) -> list[MarkedArtifact]:
    """Delete a job in any state; return the artifacts whose objects are to be deleted.

    A tombstone stays: the job's id, its tenant and the time.  Raises NotFound.
    """
    owned = locks.get_owned(connection, job_id, tenant)

    def move(jobs: Jobs) -> list[MarkedArtifact]:
        job = locks.require(jobs, job_id)
        if job.batch_id is not None:
            connection.execute(_INSERT_GAP, {"job_id": job_id})
        hooks.forget_job(connection, job_id)
        artifacts = references.drop_references(connection, job_id)
        artifacts += uploads.mark_last_reference(connection, job_id)
        for statement in _DELETE_JOB:
            connection.execute(statement, {"job_id": job_id})
        return artifacts

    artifacts, _ = batches.with_locked_jobs(
        connection, [job_id], move, hooks=hooks, albums=[owned.album]
    )
    return artifacts


def begin_batch_deletion(connection: Connection, batch_id: BatchId, tenant: Tenant) -> None:
    """Mark a batch as deleted: readers do not find it, and its jobs have no effect on it any more.

    Raises NotFound.
    """
    where = {"id": batch_id, "tenant": tenant}
    if connection.execute(_MARK_DELETED, where).one_or_none() is None:
        raise NotFound(f"there is no batch {batch_id}")


def continue_batch_deletion(
    connection: Connection,
    batch_id: BatchId,
    tenant: Tenant,
    *,
    most: int,
    hooks: JobHooks,
) -> dict[JobId, list[MarkedArtifact]]:
    """Delete up to `most` jobs of a batch; return the marked artifacts of each, as `delete` does.

    When no job is left, the rows of the batch are deleted too, and the result is empty.
    """
    rows = connection.execute(_LIST_SOME_JOBS, {"id": batch_id, "most": most})
    # Every transition locks jobs in this order.
    job_ids = sorted(JobId(row.id) for row in rows)
    # All jobs are locked before the first upload: `delete` also locks a job before its upload.
    locks.lock(connection, job_ids)
    deleted = {}
    for job_id in job_ids:
        try:
            deleted[job_id] = delete(connection, job_id, tenant, hooks=hooks)
        except NotFound:  # deleted by another transaction a moment ago
            deleted[job_id] = []
    if not job_ids:
        for statement in _DELETE_BATCH:
            connection.execute(statement, {"id": batch_id})
    return deleted


def list_stalled_deletions(
    connection: Connection, *, seconds: float, most: int
) -> list[tuple[BatchId, Tenant]]:
    """Return up to `most` batches whose deletion began over `seconds` ago and has not ended."""
    rows = connection.execute(_LIST_STALLED_DELETIONS, {"seconds": seconds, "most": most})
    return [(BatchId(row.id), Tenant(row.tenant)) for row in rows]


def fail_held_stage(connection: Connection, lease: Lease, failure: Failure) -> None:
    """Fail a stage whose lease holds, and its job.  Raises LeaseLost."""
    if connection.execute(sql.FIND_HELD_STAGE, locks.lease_parameters(lease)).one_or_none() is None:
        raise locks.lease_lost(lease)
    fail_job(connection, lease.job_id, lease.stage, failure)


def fail_job(connection: Connection, job_id: JobId, stage: StageName, failure: Failure) -> None:
    """Fail a job at one of its stages, and cancel the other stages."""
    error = failure.as_json(stage)
    where = {"job_id": job_id, "stage": stage, "error": error}
    connection.execute(_FAIL_STAGE, where)
    connection.execute(batches.CANCEL_STAGES, {"ids": [job_id]})
    connection.execute(_FAIL_JOB, {"job_id": job_id, "error": error})
    events.record(connection, [job_id], JobState.FAILED)
