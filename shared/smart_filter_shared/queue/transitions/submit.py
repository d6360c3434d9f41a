"""Write submitted jobs and batches."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, text

from smart_filter_shared.db.tables import queue as tables
from smart_filter_shared.ids import Capability
from smart_filter_shared.pipeline import StageName, get_stage
from smart_filter_shared.queue.hooks import JobHooks
from smart_filter_shared.queue.states import JobState, StageState
from smart_filter_shared.queue.submission import (
    EncodedJobs,
    NewBatch,
    NewJob,
    WrittenJob,
    encode_jobs,
)
from smart_filter_shared.queue.transitions import batches

# Rows are passed as JSON: statements with many columns are slow to build, and a round trip costs as
# much as the writes in it.
# All rows share one `statement_timestamp()`; a job's deadline counts from it and is copied to its
# stages. A stage that is written as succeeded was run for another job: no attempt, 0 seconds.
_INSERT_JOBS = text("""
    WITH job AS (
        SELECT *, statement_timestamp() + deadline_ms * interval '1 millisecond' AS deadline_at
        FROM jsonb_to_recordset(CAST(:jobs AS jsonb)) AS job (
            id uuid, tenant text, recipe jsonb, seed bigint, metadata jsonb,
            photo_key text, photo_digest text, photo_url text, upload_id uuid, upload_etag text,
            parent_id uuid, corrections jsonb, background_key text,
            estimated_seconds float8, megapixels float8, webhook_url text,
            keep_input_seconds float8, keep_result_seconds float8, keep_nothing boolean,
            degraded text[], foreseen_p50 float8, foreseen_p90 float8,
            batch_id uuid, batch_index int, deadline_ms float8,
            link_seconds int, device_key_id uuid, key_id uuid
        )
    ), written AS (
        INSERT INTO jobs (
            id, tenant, recipe, seed, metadata,
            photo_key, photo_digest, photo_url, upload_id, upload_etag,
            parent_id, corrections, background_key,
            estimated_seconds, megapixels, webhook_url,
            keep_input_seconds, keep_result_seconds, keep_nothing,
            degraded, foreseen_p50, foreseen_p90,
            batch_id, batch_index, created_at, deadline_at, link_seconds, device_key_id, key_id
        )
        SELECT id, tenant, recipe, seed, metadata,
            photo_key, photo_digest, photo_url, upload_id, upload_etag,
            parent_id, corrections, background_key,
            estimated_seconds, megapixels, webhook_url,
            keep_input_seconds, keep_result_seconds, keep_nothing,
            degraded, foreseen_p50, foreseen_p90,
            batch_id, batch_index, statement_timestamp(), deadline_at, link_seconds, device_key_id,
            key_id
        FROM job
    ), stored AS (
        INSERT INTO artifacts (tenant, key, job_id, kind, expires_at)
        SELECT job.tenant, key, job_id, kind,
            statement_timestamp() + make_interval(secs => keep_input_seconds)
        FROM jsonb_to_recordset(CAST(:pictures AS jsonb)) AS picture (
            job_id uuid, key text, kind text
        ) JOIN job ON job.id = job_id
    ), staged AS (
        INSERT INTO stages (
            job_id, stage, capability, models, parameters, digests, shadows, batch_key, work,
            open_needs, state, not_before, rank, head_start, album,
            seconds, result, deadline_at, finished_at
        )
        SELECT job_id, stage, capability, models, parameters, digests, shadows, batch_key, work,
            open_needs, state, not_before, rank, head_start, album,
            seconds, result, deadline_at,
            CASE WHEN state = 'succeeded' THEN statement_timestamp() END
        FROM jsonb_to_recordset(CAST(:stages AS jsonb)) AS stage (
            job_id uuid, stage text, capability text, models jsonb, parameters jsonb,
            digests jsonb, shadows jsonb, batch_key text, work text, open_needs smallint,
            state text, not_before timestamptz, rank float8, head_start float8, album uuid,
            seconds float8, result jsonb
        ) JOIN job ON job.id = job_id
    ), told AS (
        INSERT INTO events (job_id, type, state, at, written_in)
        SELECT id, 'job.queued', 'queued', statement_timestamp(),
            CAST(CAST(pg_current_xact_id() AS text) AS bigint)
        FROM job
    )
    SELECT statement_timestamp() AS created_at
""")


def submit(connection: Connection, job: NewJob) -> WrittenJob:
    """Write a job and its stages; return what was written."""
    return _insert_jobs(connection, encode_jobs([job]))


def submit_batch(connection: Connection, batch: NewBatch, *, hooks: JobHooks) -> list[Capability]:
    """Write a batch, its jobs and its rejected items; return the capabilities to ring."""
    connection.execute(
        tables.batches.insert().values(
            id=batch.batch_id,
            tenant=batch.tenant,
            total=batch.jobs.count + len(batch.gaps),
            best=batch.best,
            webhook_url=batch.webhook_url,
            created_at=func.statement_timestamp(),
        )
    )
    if batch.gaps:
        connection.execute(
            tables.batch_gaps.insert(),
            [
                {
                    "batch_id": batch.batch_id,
                    "index": gap.index,
                    "outcome": JobState.FAILED,
                    "error": dict(gap.error),
                }
                for gap in batch.gaps
            ],
        )
    written = _insert_jobs(connection, batch.jobs)
    if any(_is_rating(row) for row in written.stages):
        return written.ringing
    ranked = batches.rank_immediately(connection, batch.batch_id, hooks=hooks)
    return [*written.ringing, *ranked.ready]


def _insert_jobs(connection: Connection, jobs: EncodedJobs) -> WrittenJob:
    """Write jobs and the rows of their stages; return what was written."""
    created_at = connection.execute(
        _INSERT_JOBS, {"jobs": jobs.jobs, "pictures": jobs.pictures, "stages": jobs.stages}
    ).scalar_one()
    ringing = [
        Capability(str(row["capability"]))
        for row in jobs.stage_rows
        if row["state"] == StageState.READY
    ]
    return WrittenJob(created_at, jobs.stage_rows, ringing)


def _is_rating(row: Mapping[str, Any]) -> bool:
    is_gated = get_stage(StageName(row["stage"])).gated_by_album
    return not is_gated and row["state"] != StageState.SUCCEEDED
