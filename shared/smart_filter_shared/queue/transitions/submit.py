"""Write submitted jobs and batches."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, TextClause, text

from smart_filter_shared.db import driver_queries
from smart_filter_shared.errors import IdempotencyInProgress
from smart_filter_shared.ids import Capability
from smart_filter_shared.pipeline import StageName, get_stage
from smart_filter_shared.queue import events
from smart_filter_shared.queue.events import EventType
from smart_filter_shared.queue.states import StageState
from smart_filter_shared.queue.submission import (
    EncodedJobs,
    NewBatch,
    NewJob,
    StoredAnswer,
    WrittenJob,
    encode_jobs,
)
from smart_filter_shared.queue.transitions import batches
from smart_filter_shared.queue.transitions.batches import JobHooks

# Rows are passed as JSON: statements with many columns are slow to build, and a round trip costs as
# much as the writes in it.
# All rows share one `statement_timestamp()`; a job's deadline counts from it and is copied to its
# stages. A job with a stored answer was created when its request was claimed, so that its answer is
# known before it is written. A stage that is written as succeeded was run for another job: no
# attempt, 0 seconds.
_JOB_COLUMNS = """
    id uuid, tenant text, recipe jsonb, seed bigint, metadata jsonb, photo_key text,
    photo_digest text, photo_url text, upload_id uuid, upload_etag text, photo_name text,
    parent_id uuid, corrections jsonb, background_key text, estimated_seconds float8,
    megapixels float8, webhook_url text, keep_input_seconds float8, keep_result_seconds float8,
    keep_nothing boolean, degraded text[], foreseen_p50 float8, foreseen_p90 float8,
    batch_id uuid, batch_index int, take jsonb, link_seconds int, device_key_id uuid, key_id uuid
"""
_STAGE_COLUMNS = """
    job_id uuid, stage text, capability text, models jsonb, parameters jsonb, digests jsonb,
    batch_key text, work text, open_needs smallint, state text,
    not_before timestamptz, rank float8, head_start float8, album uuid, seconds float8, result jsonb
"""


def _names(columns: str) -> str:
    return ", ".join(column.split()[0] for column in columns.split(","))


_INSERT = f"""
    WITH answered AS (
        UPDATE requests SET status = answer.status, media_type = answer.media_type,
            location = answer.location, body = answer.body, job_id = answer.job_id
        FROM jsonb_to_record(CAST(:answer AS jsonb)) AS answer (
            tenant text, key text, claimed_at timestamptz, status smallint, media_type text,
            location text, body text, job_id uuid
        )
        WHERE requests.tenant = answer.tenant AND requests.key = answer.key
            AND requests.claimed_at = answer.claimed_at
        RETURNING requests.claimed_at
    ), job AS (
        SELECT *, statement_timestamp() + deadline_ms * interval '1 millisecond' AS deadline_at,
            coalesce((SELECT claimed_at FROM answered), statement_timestamp()) AS created_at
        FROM jsonb_to_recordset(CAST(:jobs AS jsonb)) AS job (
            {_JOB_COLUMNS}, deadline_ms float8, has_ended boolean
        )
        WHERE CAST(:answer AS jsonb) IS NULL OR EXISTS (SELECT FROM answered)
    ), written AS (
        INSERT INTO jobs (
            {_names(_JOB_COLUMNS)}, deadline_at, created_at, outcome, finished_at, expires_at
        )
        SELECT {_names(_JOB_COLUMNS)}, deadline_at, created_at,
            CASE WHEN has_ended THEN 'succeeded' END,
            CASE WHEN has_ended THEN statement_timestamp() END,
            CASE WHEN has_ended
                THEN statement_timestamp() + make_interval(secs => keep_result_seconds) END
        FROM job
        RETURNING created_at, finished_at, expires_at
    ), stored AS (
        INSERT INTO artifacts (tenant, key, job_id, kind, length, expires_at)
        SELECT job.tenant, key, job_id, kind, length,
            statement_timestamp() + make_interval(secs => keep_input_seconds)
        FROM jsonb_to_recordset(CAST(:pictures AS jsonb)) AS picture (
            job_id uuid, key text, kind text, length bigint
        ) JOIN job ON job.id = job_id
    ), staged AS (
        INSERT INTO stages ({_names(_STAGE_COLUMNS)}, deadline_at, finished_at)
        SELECT {_names(_STAGE_COLUMNS)}, deadline_at,
            CASE WHEN state = 'succeeded' THEN statement_timestamp() END
        FROM jsonb_to_recordset(CAST(:stages AS jsonb)) AS stage (
            {_STAGE_COLUMNS}
        ) JOIN job ON job.id = job_id
    ), {{events}}
    SELECT created_at, finished_at, expires_at FROM written LIMIT 1
"""  # noqa: S608 - names of our own
_QUEUED = f"SELECT id, '{EventType.QUEUED}', NULL, 'queued' FROM job"  # noqa: S608 - our own name
_INSERT_JOBS = text(_INSERT.format(events=f"told AS ({events.insert(_QUEUED)})"))
# All events of a job whose results all are an earlier job's, in the order of any other job's.
_ENDED = f"""
    SELECT id, type, stages, state FROM job, LATERAL (VALUES
        (0, '{EventType.QUEUED}', NULL, 'queued'), (1, '{EventType.RUNNING}', NULL, 'running'),
        (2, '{EventType.SUCCEEDED}', (
            SELECT string_agg(stage.row ->> 'stage', ' ' ORDER BY turn)
            FROM jsonb_array_elements(CAST(:stages AS jsonb)) WITH ORDINALITY AS stage (row, turn)
        ), 'succeeded')
    ) AS happened (turn, type, stages, state)
    ORDER BY turn
"""  # noqa: S608 - names of our own
_INSERT_ENDED = text(
    _INSERT.format(events=events.insert_with_deliveries(_ENDED, among="SELECT * FROM job"))
)


_INSERT_BATCH = text("""
    INSERT INTO batches (id, tenant, total, best, take_id, webhook_url, created_at)
    VALUES (:id, :tenant, :total, :best, :take_id, :webhook_url, statement_timestamp())
""")
_INSERT_GAP = text("""
    INSERT INTO batch_gaps (batch_id, index, outcome, error)
    VALUES (:id, :index, 'failed', CAST(:error AS jsonb))
""")


def submit(
    connection: Connection, job: NewJob, *, answer: StoredAnswer | None = None
) -> WrittenJob:
    """Write a job and its stages, and the answer to its request; return what was written.

    A job whose stages have all succeeded ends with it.
    Raises IdempotencyInProgress, and writes nothing, when another request has the answer's claim.
    """
    statement = _INSERT_ENDED if job.has_ended else _INSERT_JOBS
    return _insert_jobs(connection, encode_jobs([job]), statement, answer)


def submit_batch(connection: Connection, batch: NewBatch, *, hooks: JobHooks) -> list[Capability]:
    """Write a batch, its jobs and its rejected items; return the capabilities to ring."""
    connection.execute(
        _INSERT_BATCH,
        {
            "id": batch.batch_id,
            "tenant": batch.tenant,
            "total": batch.jobs.count + len(batch.gaps) - (batch.take_id is not None),
            "best": batch.best,
            "take_id": batch.take_id,
            "webhook_url": batch.webhook_url,
        },
    )
    for gap in batch.gaps:
        values = {"id": batch.batch_id, "index": gap.index, "error": json.dumps(gap.error)}
        connection.execute(_INSERT_GAP, values)
    written = _insert_jobs(connection, batch.jobs, _INSERT_JOBS)
    if any(_is_rating(row) for row in written.stages if row["job_id"] != batch.take_id):
        return written.ringing
    ranked = batches.rank_immediately(connection, batch.batch_id, hooks=hooks)
    return [*written.ringing, *ranked.ready]


def _insert_jobs(
    connection: Connection,
    jobs: EncodedJobs,
    statement: TextClause,
    answer: StoredAnswer | None = None,
) -> WrittenJob:
    """Write jobs and the rows of their stages; return what was written."""
    encoded = None
    if answer is not None:
        # `dataclasses.asdict` takes as long as the encoding: it copies every value.
        columns = {field.name: getattr(answer, field.name) for field in dataclasses.fields(answer)}
        encoded = json.dumps(columns, default=str)
    rows = driver_queries.fetch_rows(
        connection,
        statement,
        {
            "jobs": jobs.jobs,
            "pictures": jobs.pictures,
            "stages": jobs.stages,
            "answer": encoded,
        },
    )
    if not rows:
        raise IdempotencyInProgress("another request has taken over this Idempotency-Key")
    [(created_at, finished_at, expires_at)] = rows
    ringing = [
        Capability(str(row["capability"]))
        for row in jobs.stage_rows
        if row["state"] == StageState.READY
    ]
    return WrittenJob(created_at, finished_at, expires_at, jobs.stage_rows, ringing)


def _is_rating(row: Mapping[str, Any]) -> bool:
    is_gated = get_stage(StageName(row["stage"])).gated_by_album
    return not is_gated and row["state"] != StageState.SUCCEEDED
