"""Consistency rules of rows: conditions that always hold, each with a query of its violations.

A query's `subject` names the violating row without secrets. All queries read one snapshot, which
contains each transition completely or not at all, so a busy service violates no rule.
"""

from dataclasses import dataclass
from enum import StrEnum

from smart_filter_shared.pipeline import PIPELINE


class FaultKind(StrEnum):
    """The kind of a violation."""

    LOST = "lost"
    DOUBLED = "doubled"
    ORPHANED = "orphaned"
    MISCOUNTED = "miscounted"


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition that must hold.

    fix: what an operator does about a violation.  query: returns the violating subjects.
    """

    name: str
    fault: FaultKind
    fix: str
    query: str


_NEEDS = ", ".join(f"('{stage.name}', '{need}')" for stage in PIPELINE for need in stage.needs)

_FIX_CANCEL_JOB = "cancel the job (`smart-filter jobs cancel`) and submit its photo again"
_FIX_DELETE_JOB = "delete the job (DELETE /v1/jobs/ID) and submit its photo again"
_FIX_DELETE_ROW = "nothing uses the row: delete it from the table"
_FIX_READ_LOGS = "the sweeper skips it: read the workers' logs, then " + _FIX_CANCEL_JOB

# The sweeper has been running for over a minute: work that it should have handled before is lost.
_SWEEPER_RUNS = """EXISTS (
    SELECT FROM sweeper WHERE swept_at > statement_timestamp() - interval '10 seconds'
        AND expires_from < statement_timestamp() - interval '1 minute'
)"""
# Deliveries are kept for a week, so older ends are not checked.
_ENDED_THIS_WEEK = "finished_at > statement_timestamp() - interval '6 days'"

_STAGES = (
    Rule(
        "a waiting stage counts its unfinished needs",
        FaultKind.MISCOUNTED,
        _FIX_CANCEL_JOB,
        f"""
        SELECT job_id || ' ' || stage AS subject FROM stages
        WHERE state = 'waiting' AND open_needs <> (
            SELECT count(*) FROM (VALUES {_NEEDS}) AS pair (stage, need)
            JOIN stages AS needed ON needed.job_id = stages.job_id AND needed.stage = pair.need
            WHERE pair.stage = stages.stage AND needed.state <> 'succeeded'
        ) + (
            SELECT count(*) FROM batches
            WHERE ranked_at IS NULL AND (
                batches.id = stages.album AND stage = 'composite'
                OR batches.take_id = stages.job_id AND stage = 'prepare'
            )
        )
        """,  # noqa: S608 - constants of this module
    ),
    Rule(
        "a ready stage waits for nothing",
        FaultKind.MISCOUNTED,
        _FIX_CANCEL_JOB,
        """
        SELECT job_id || ' ' || stage AS subject FROM stages
        WHERE state = 'ready' AND (open_needs > 0 OR not_before > statement_timestamp())
        """,
    ),
    Rule(
        "a waiting stage waits for something",
        FaultKind.LOST,
        _FIX_CANCEL_JOB,
        """
        SELECT job_id || ' ' || stage AS subject FROM stages
        WHERE state = 'waiting' AND open_needs = 0 AND not_before IS NULL
        """,
    ),
    Rule(
        "a stage has a lease exactly while it runs",
        FaultKind.LOST,
        _FIX_CANCEL_JOB,
        """
        SELECT job_id || ' ' || stage AS subject FROM stages
        WHERE (state = 'running') <> (lease_token IS NOT NULL AND leased_until IS NOT NULL)
        """,
    ),
    Rule(
        "an expired lease is revoked",
        FaultKind.LOST,
        _FIX_READ_LOGS,
        f"""
        SELECT job_id || ' ' || stage AS subject FROM stages
        WHERE state = 'running' AND leased_until < statement_timestamp() - interval '1 minute'
            AND {_SWEEPER_RUNS}
        """,  # noqa: S608 - constants of this module
    ),
    Rule(
        "a due stage is made ready",
        FaultKind.LOST,
        _FIX_READ_LOGS,
        f"""
        SELECT job_id || ' ' || stage AS subject FROM stages
        WHERE state = 'waiting' AND open_needs = 0
            AND not_before < statement_timestamp() - interval '1 minute' AND {_SWEEPER_RUNS}
        """,  # noqa: S608 - constants of this module
    ),
    Rule(
        "no counter is below zero",
        FaultKind.MISCOUNTED,
        _FIX_CANCEL_JOB,
        """
        SELECT job_id || ' ' || stage AS subject FROM stages
        WHERE least(open_needs, attempt, releases) < 0
        """,
    ),
    Rule(
        "an unfinished stage has the deadline of its job",
        FaultKind.MISCOUNTED,
        _FIX_CANCEL_JOB,
        """
        SELECT job_id || ' ' || stage AS subject FROM stages JOIN jobs ON id = job_id
        WHERE state IN ('waiting', 'ready', 'running')
            AND stages.deadline_at IS DISTINCT FROM jobs.deadline_at
        """,
    ),
    Rule(
        "every stage belongs to a job",
        FaultKind.ORPHANED,
        _FIX_DELETE_ROW,
        """
        SELECT job_id || ' ' || stage AS subject FROM all_stages
        WHERE NOT EXISTS (SELECT FROM jobs WHERE id = job_id)
        """,
    ),
)

_JOBS = (
    Rule(
        "a job has ended when no stage is unfinished",
        FaultKind.LOST,
        _FIX_DELETE_JOB,
        """
        SELECT CAST(id AS text) AS subject FROM jobs WHERE (outcome IS NULL) <> EXISTS (
            SELECT FROM stages WHERE job_id = id AND state IN ('waiting', 'ready', 'running')
        )
        """,
    ),
    Rule(
        "every stage of a succeeded job has succeeded",
        FaultKind.LOST,
        _FIX_DELETE_JOB,
        """
        SELECT CAST(id AS text) AS subject FROM jobs WHERE outcome = 'succeeded' AND EXISTS (
            SELECT FROM all_stages WHERE job_id = id AND state <> 'succeeded'
        )
        """,
    ),
    Rule(
        "a failed job has one failed stage, other jobs have none",
        FaultKind.MISCOUNTED,
        _FIX_DELETE_JOB,
        """
        SELECT CAST(id AS text) AS subject FROM jobs
        WHERE CAST(outcome IS NOT DISTINCT FROM 'failed' AS int) <> (
            SELECT count(*) FROM all_stages WHERE job_id = id AND state = 'failed'
        )
        """,
    ),
    Rule(
        "an ended job ends again only after it has run again",
        FaultKind.DOUBLED,
        "inform the clients that read its events: they see its end twice",
        """
        SELECT DISTINCT CAST(job_id AS text) AS subject FROM (
            SELECT job_id, type IN ('job.succeeded', 'job.failed', 'job.canceled') AS is_end,
                lag(type) OVER (PARTITION BY job_id ORDER BY id) AS before
            FROM events
            WHERE type IN (
                'job.succeeded', 'job.failed', 'job.canceled', 'job.running', 'job.queued'
            )
        ) AS told
        WHERE is_end AND before IN ('job.succeeded', 'job.failed', 'job.canceled')
        """,
    ),
    Rule(
        "every event belongs to a job or a batch",
        FaultKind.ORPHANED,
        _FIX_DELETE_ROW,
        """
        SELECT DISTINCT CAST(job_id AS text) AS subject FROM events
        WHERE NOT EXISTS (SELECT FROM jobs WHERE id = events.job_id)
            AND NOT EXISTS (SELECT FROM batches WHERE id = events.job_id)
        """,
    ),
    Rule(
        "a deleted job has no row",
        FaultKind.ORPHANED,
        "delete the job again (DELETE /v1/jobs/ID)",
        """
        SELECT CAST(id AS text) AS subject FROM tombstones JOIN jobs ON id = job_id
        """,
    ),
    Rule(
        "an ended job is settled within ten minutes",
        FaultKind.LOST,
        "the sweeper skips it: read the workers' logs",
        f"""
        SELECT CAST(id AS text) AS subject FROM unsettled_jobs JOIN jobs ON id = job_id
        WHERE {_SWEEPER_RUNS}
            AND finished_at < statement_timestamp() - interval '10 minutes'
        """,  # noqa: S608 - constants of this module
    ),
    Rule(
        "the queue holds no stage of a settled job",
        FaultKind.ORPHANED,
        _FIX_DELETE_ROW,
        """
        SELECT job_id || ' ' || stage AS subject FROM stages JOIN jobs ON id = job_id
        WHERE outcome IS NOT NULL AND job_id NOT IN (SELECT job_id FROM unsettled_jobs)
        """,
    ),
    Rule(
        "usage counts every ended job",
        FaultKind.MISCOUNTED,
        "set `jobs` in that row of the table usage to the number of the tenant's ended jobs",
        """
        SELECT tenant || ' ' || day || ' ' || outcome AS subject FROM (
            SELECT tenant, outcome, CAST(finished_at AT TIME ZONE 'UTC' AS date) AS day,
                count(*) AS jobs
            FROM jobs
            WHERE outcome IS NOT NULL AND id NOT IN (SELECT job_id FROM unsettled_jobs)
            GROUP BY 1, 2, 3
        ) AS ended
        WHERE jobs > coalesce((
            SELECT usage.jobs FROM usage WHERE usage.tenant = ended.tenant
                AND usage.day = ended.day AND usage.state = ended.outcome
        ), 0)
        """,
    ),
)

_BATCHES = (
    Rule(
        "each item of a batch is one job or one gap",
        FaultKind.LOST,
        "delete the batch (DELETE /v1/batches/ID) and submit its photos again",
        """
        SELECT CAST(id AS text) AS subject FROM batches
        WHERE total <> (
            SELECT count(*) FROM jobs WHERE batch_id = batches.id AND batch_index IS NOT NULL
        )
            + (SELECT count(*) FROM batch_gaps WHERE batch_id = batches.id)
        """,
    ),
    Rule(
        "a batch has finished when all its jobs have ended",
        FaultKind.LOST,
        "delete the batch (DELETE /v1/batches/ID) and submit its photos again",
        """
        SELECT CAST(id AS text) AS subject FROM batches WHERE (finished_at IS NULL) <> EXISTS (
            SELECT FROM jobs WHERE batch_id = batches.id AND outcome IS NULL
        )
        """,
    ),
    Rule(
        "an album is ranked when all its photos are rated",
        FaultKind.LOST,
        "cancel the batch (POST /v1/batches/ID/cancel) and submit its photos again",
        """
        SELECT CAST(id AS text) AS subject FROM batches
        WHERE best IS NOT NULL AND ranked_at IS NULL AND NOT EXISTS (
            SELECT FROM stages WHERE album = batches.id AND stage <> 'composite'
                AND state IN ('waiting', 'ready', 'running')
        )
        """,
    ),
    Rule(
        "an album composes only its best photos and redriven ones",
        FaultKind.DOUBLED,
        "no action is needed: more photos were composed than requested",
        """
        SELECT CAST(id AS text) AS subject FROM batches WHERE best < (
            SELECT count(*) FROM jobs JOIN all_stages ON job_id = jobs.id AND stage = 'composite'
            WHERE batch_id = batches.id AND album_rank IS NOT NULL
        )
        """,
    ),
)

_ARTIFACTS = (
    Rule(
        "the photo of an unfinished job is kept",
        FaultKind.LOST,
        _FIX_CANCEL_JOB,
        """
        SELECT CAST(id AS text) AS subject FROM jobs
        WHERE outcome IS NULL AND photo_key IS NOT NULL AND NOT EXISTS (
            SELECT FROM artifacts WHERE artifacts.tenant = jobs.tenant
                AND artifacts.key = photo_key AND marked_at IS NULL
        )
        """,
    ),
    Rule(
        "the artifacts of a deleted job are marked",
        FaultKind.ORPHANED,
        "set `marked_at` in that row of the table artifacts: workers then delete the object",
        """
        SELECT key AS subject FROM artifacts WHERE marked_at IS NULL
            AND NOT EXISTS (SELECT FROM jobs WHERE id = job_id)
        """,
    ),
    Rule(
        "a borrowed artifact and its borrower exist",
        FaultKind.ORPHANED,
        _FIX_DELETE_ROW,
        """
        SELECT key || ' by ' || job_id AS subject FROM borrowers
        WHERE NOT EXISTS (SELECT FROM jobs WHERE id = borrowers.job_id) OR NOT EXISTS (
            SELECT FROM artifacts
            WHERE artifacts.tenant = borrowers.tenant AND artifacts.key = borrowers.key
        )
        """,
    ),
    Rule(
        "no job borrows its own artifact",
        FaultKind.DOUBLED,
        _FIX_DELETE_ROW,
        """
        SELECT key || ' by ' || job_id AS subject
        FROM borrowers JOIN artifacts USING (tenant, key, job_id)
        """,
    ),
)

_DELIVERIES = (
    Rule(
        "the end of a job is delivered to its webhook_url",
        FaultKind.LOST,
        "send the response of GET /v1/jobs/ID to its receiver",
        f"""
        SELECT CAST(id AS text) AS subject FROM jobs
        WHERE webhook_url IS NOT NULL AND expired_at IS NULL AND {_ENDED_THIS_WEEK} AND NOT EXISTS (
            SELECT FROM deliveries WHERE deliveries.job_id = jobs.id
                AND deliveries.webhook = 'default' AND deliveries.type = 'job.' || outcome
        )
        """,  # noqa: S608 - constants of this module
    ),
    Rule(
        "the end of a batch is delivered to its webhook_url",
        FaultKind.LOST,
        "send the response of GET /v1/batches/ID to its receiver",
        f"""
        SELECT CAST(id AS text) AS subject FROM batches
        WHERE webhook_url IS NOT NULL AND deleted_at IS NULL AND {_ENDED_THIS_WEEK} AND NOT EXISTS (
            SELECT FROM deliveries
            WHERE deliveries.batch_id = batches.id AND deliveries.webhook = 'default'
        )
        """,  # noqa: S608 - constants of this module
    ),
    Rule(
        "an end has one delivery per receiver",
        FaultKind.DOUBLED,
        "delete all but one of these rows of the table deliveries",
        """
        SELECT webhook || ' ' || type || ' ' || coalesce(job_id, batch_id) AS subject
        FROM deliveries WHERE coalesce(job_id, batch_id) IS NOT NULL
        GROUP BY tenant, webhook, url, type, coalesce(job_id, batch_id), happened_at
        HAVING count(*) > 1
        """,
    ),
    Rule(
        "a due delivery is sent",
        FaultKind.LOST,
        "no sender works: start `smart-filter sender`, or read its logs",
        """
        SELECT CAST(id AS text) AS subject FROM deliveries
        WHERE state = 'waiting' AND due_at < statement_timestamp() - interval '15 minutes'
            OR state = 'sending' AND leased_until < statement_timestamp() - interval '15 minutes'
        """,
    ),
    Rule(
        "every delivery belongs to a job or a batch",
        FaultKind.ORPHANED,
        _FIX_DELETE_ROW,
        """
        SELECT CAST(id AS text) AS subject FROM deliveries
        WHERE job_id IS NOT NULL AND NOT EXISTS (SELECT FROM jobs WHERE jobs.id = job_id)
            OR batch_id IS NOT NULL AND NOT EXISTS (SELECT FROM batches WHERE batches.id = batch_id)
        """,
    ),
    Rule(
        "every delivery attempt belongs to a delivery",
        FaultKind.ORPHANED,
        _FIX_DELETE_ROW,
        """
        SELECT delivery_id || ' ' || id AS subject FROM delivery_attempts
        WHERE NOT EXISTS (SELECT FROM deliveries WHERE deliveries.id = delivery_id)
        """,
    ),
)

RULES = (*_STAGES, *_JOBS, *_BATCHES, *_ARTIFACTS, *_DELIVERIES)
