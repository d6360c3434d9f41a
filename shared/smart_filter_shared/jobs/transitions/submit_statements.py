"""The SQL that writes jobs: one statement, however many they are and however many rows each has.

Rows come as JSON: statements with many columns are costly to put together, and each round trip
costs as much as what it writes.
"""

from sqlalchemy import text

# All of it happens at one moment; by that a job's deadline counts, and all its stages have it.
# A stage that has succeeded was run for another job: no attempt, no time of a model.
WRITE = text("""
    WITH job AS (
        SELECT *, statement_timestamp() + deadline_ms * interval '1 millisecond' AS deadline_at
        FROM jsonb_to_recordset(CAST(:jobs AS jsonb)) AS job (
            id uuid, tenant text, recipe jsonb, seed bigint, metadata jsonb,
            photo_key text, photo_digest text, photo_url text, upload_id uuid, upload_etag text,
            parent_id uuid, corrections jsonb, background_key text,
            estimated_seconds float8, megapixels float8, webhook_url text,
            keep_input_seconds float8, keep_result_seconds float8, keep_nothing boolean,
            degraded text[], foreseen_p50 float8, foreseen_p90 float8,
            batch_id uuid, batch_index int, deadline_ms float8
        )
    ), written AS (
        INSERT INTO jobs (
            id, tenant, recipe, seed, metadata,
            photo_key, photo_digest, photo_url, upload_id, upload_etag,
            parent_id, corrections, background_key,
            estimated_seconds, megapixels, webhook_url,
            keep_input_seconds, keep_result_seconds, keep_nothing,
            degraded, foreseen_p50, foreseen_p90,
            batch_id, batch_index, created_at, deadline_at
        )
        SELECT id, tenant, recipe, seed, metadata,
            photo_key, photo_digest, photo_url, upload_id, upload_etag,
            parent_id, corrections, background_key,
            estimated_seconds, megapixels, webhook_url,
            keep_input_seconds, keep_result_seconds, keep_nothing,
            degraded, foreseen_p50, foreseen_p90,
            batch_id, batch_index, statement_timestamp(), deadline_at
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
