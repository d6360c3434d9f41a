"""Fail jobs whose deadlines have passed."""

from sqlalchemy import Connection, text

from smart_filter_shared.ids import JobId
from smart_filter_shared.pipeline import PIPELINE
from smart_filter_shared.queue import events
from smart_filter_shared.queue.leases import DEADLINE_PASSED
from smart_filter_shared.queue.states import JobState
from smart_filter_shared.queue.transitions import batches, sql
from smart_filter_shared.queue.transitions.batches import JobHooks, Jobs

# Jobs failed by one sweep; the next sweep comes in a second.
_MAX_JOBS_PER_SWEEP = 500

# A job with a running stage is excluded here: it would take a place of the LIMIT at every sweep.
_FIND_OVERDUE = text("""
    SELECT jobs.id, batches.id AS album
    FROM jobs
    LEFT JOIN batches ON batches.id = jobs.batch_id AND batches.best IS NOT NULL
    WHERE outcome IS NULL AND deadline_at <= statement_timestamp() AND NOT EXISTS (
        SELECT FROM stages
        WHERE stages.job_id = jobs.id AND stages.state = 'running'
    )
    ORDER BY deadline_at LIMIT :most
""")

# Only jobs without a running stage are failed: a running stage is finished and may be the last.
# The stage marked as failed is the next one that could have run, in the order of `:order`.
_FAIL_OVERDUE = text("""
    WITH next AS MATERIALIZED (
        SELECT DISTINCT ON (job_id) job_id, stage FROM stages
        WHERE job_id = ANY(:ids) AND state IN ('waiting', 'ready') AND NOT EXISTS (
            SELECT FROM stages AS other
            WHERE other.job_id = ANY(:ids)
                AND other.job_id = stages.job_id AND other.state = 'running'
        )
        ORDER BY job_id, open_needs, array_position(CAST(:order AS text[]), stage)
    ), told AS MATERIALIZED (
        SELECT job_id, stage, CAST(:error AS jsonb) || jsonb_build_object('stage', stage) AS error
        FROM next
    ), stopped AS (
        UPDATE stages SET
            state = CASE WHEN stages.stage = told.stage THEN 'failed' ELSE 'canceled' END,
            error = CASE WHEN stages.stage = told.stage THEN told.error ELSE stages.error END,
            not_before = NULL, finished_at = statement_timestamp()
        FROM told
        WHERE stages.job_id = ANY(:ids)
            AND stages.job_id = told.job_id AND stages.state IN ('waiting', 'ready')
    )
    UPDATE jobs SET
        outcome = 'failed', finished_at = statement_timestamp(), error = told.error,
        expires_at = statement_timestamp() + make_interval(
            secs => greatest(keep_input_seconds, keep_result_seconds)
        )
    FROM told WHERE jobs.id = ANY(:ids) AND jobs.id = told.job_id AND jobs.outcome IS NULL
    RETURNING jobs.id
""")


def fail_overdue(connection: Connection, *, hooks: JobHooks) -> list[JobId]:
    """Fail the jobs whose deadlines have passed; return their ids.

    A job with a running stage goes on until that stage has ended, because it may be the last.
    """
    overdue = connection.execute(_FIND_OVERDUE, {"most": _MAX_JOBS_PER_SWEEP}).all()
    job_ids = sorted(JobId(row.id) for row in overdue)

    def move(jobs: Jobs) -> list[JobId]:
        order = [str(stage.name) for stage in PIPELINE]
        rows = connection.execute(
            _FAIL_OVERDUE,
            {"ids": list(jobs), "order": order, "error": DEADLINE_PASSED.as_json(None)},
        )
        lapsed = [JobId(row.id) for row in rows]
        events.record(connection, lapsed, JobState.FAILED)
        return lapsed

    lapsed, _ = batches.with_locked_jobs(
        connection,
        job_ids,
        move,
        hooks=hooks,
        albums=[row.album for row in overdue],
        lock=sql.LOCK_IDLE,
    )
    return lapsed
