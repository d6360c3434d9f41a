"""What must hold of the rows of jobs, whatever has happened; each query finds what breaks it.

A query's `subject` names what is wrong without telling anything that is secret. All of them see
one snapshot, in which every transition is either whole or not there: a busy service breaks none.
"""

from dataclasses import dataclass
from enum import StrEnum

from smart_filter_shared.pipeline import PIPELINE


class Fault(StrEnum):
    """What kind of thing is wrong."""

    LOST = "lost"
    DOUBLED = "doubled"
    ORPHANED = "orphaned"
    MISCOUNTED = "miscounted"


@dataclass(frozen=True, slots=True)
class Rule:
    """Something that must hold.

    fix: what an operator does about a subject that breaks it.  query: finds those.
    """

    name: str
    fault: Fault
    fix: str
    query: str


_NEEDS = ", ".join(f"('{stage.name}', '{need}')" for stage in PIPELINE for need in stage.needs)

_WITHDRAW = "smart-filter jobs cancel the job and submit its photo again"
_FORGET = "delete the job (DELETE /v1/jobs/ID) and submit its photo again"
_DELETE_ROW = "nothing uses the row: delete it from the table"
_SWEEPING = "the sweeper goes on without it: read the workers' logs, then " + _WITHDRAW

# Sweeps go on, and have for a while: what they should have put right a minute ago is lost.
_SWEPT = """EXISTS (
    SELECT FROM cells WHERE swept_at > statement_timestamp() - interval '10 seconds'
        AND expires_from < statement_timestamp() - interval '1 minute'
)"""
# Deliveries are kept for a week.
_TOLD = "finished_at > statement_timestamp() - interval '6 days'"

_STAGES = (
    Rule(
        "a waiting stage counts the needs that have not succeeded",
        Fault.MISCOUNTED,
        _WITHDRAW,
        f"""
        SELECT job_id || ' ' || stage AS subject FROM stages
        WHERE state = 'waiting' AND open_needs <> (
            SELECT count(*) FROM (VALUES {_NEEDS}) AS pair (stage, need)
            JOIN stages AS needed ON needed.job_id = stages.job_id AND needed.stage = pair.need
            WHERE pair.stage = stages.stage AND needed.state <> 'succeeded'
        ) + (
            SELECT count(*) FROM batches
            WHERE batches.id = stages.album AND ranked_at IS NULL AND stage = 'composite'
        )
        """,  # noqa: S608 - constants of this module
    ),
    Rule(
        "a ready stage waits for nothing",
        Fault.MISCOUNTED,
        _WITHDRAW,
        """
        SELECT job_id || ' ' || stage AS subject FROM stages
        WHERE state = 'ready' AND (open_needs > 0 OR not_before > statement_timestamp())
        """,
    ),
    Rule(
        "a waiting stage waits for something",
        Fault.LOST,
        _WITHDRAW,
        """
        SELECT job_id || ' ' || stage AS subject FROM stages
        WHERE state = 'waiting' AND open_needs = 0 AND not_before IS NULL
        """,
    ),
    Rule(
        "a lease is what running means",
        Fault.LOST,
        _WITHDRAW,
        """
        SELECT job_id || ' ' || stage AS subject FROM stages
        WHERE (state = 'running') <> (lease_token IS NOT NULL AND leased_until IS NOT NULL)
        """,
    ),
    Rule(
        "a lease that nobody renews is taken away",
        Fault.LOST,
        _SWEEPING,
        f"""
        SELECT job_id || ' ' || stage AS subject FROM stages
        WHERE state = 'running' AND leased_until < statement_timestamp() - interval '1 minute'
            AND {_SWEPT}
        """,  # noqa: S608 - constants of this module
    ),
    Rule(
        "a stage that is due is made ready",
        Fault.LOST,
        _SWEEPING,
        f"""
        SELECT job_id || ' ' || stage AS subject FROM stages
        WHERE state = 'waiting' AND open_needs = 0
            AND not_before < statement_timestamp() - interval '1 minute' AND {_SWEPT}
        """,  # noqa: S608 - constants of this module
    ),
    Rule(
        "no counter is below zero",
        Fault.MISCOUNTED,
        _WITHDRAW,
        """
        SELECT job_id || ' ' || stage AS subject FROM stages
        WHERE least(open_needs, attempt, releases) < 0
        """,
    ),
    Rule(
        "what may still be claimed has the deadline of its job",
        Fault.MISCOUNTED,
        _WITHDRAW,
        """
        SELECT job_id || ' ' || stage AS subject FROM stages JOIN jobs ON id = job_id
        WHERE state IN ('waiting', 'ready', 'running')
            AND stages.deadline_at IS DISTINCT FROM jobs.deadline_at
        """,
    ),
    Rule(
        "every stage belongs to a job",
        Fault.ORPHANED,
        _DELETE_ROW,
        """
        SELECT job_id || ' ' || stage AS subject FROM stages
        WHERE NOT EXISTS (SELECT FROM jobs WHERE id = job_id)
        """,
    ),
)

_JOBS = (
    Rule(
        "a job has ended when no stage is unfinished",
        Fault.LOST,
        _FORGET,
        """
        SELECT CAST(id AS text) AS subject FROM jobs WHERE (outcome IS NULL) <> EXISTS (
            SELECT FROM stages WHERE job_id = id AND state IN ('waiting', 'ready', 'running')
        )
        """,
    ),
    Rule(
        "every stage of a job that succeeded has",
        Fault.LOST,
        _FORGET,
        """
        SELECT CAST(id AS text) AS subject FROM jobs WHERE outcome = 'succeeded' AND EXISTS (
            SELECT FROM stages WHERE job_id = id AND state <> 'succeeded'
        )
        """,
    ),
    Rule(
        "one stage has failed of a job that has, and of no other",
        Fault.MISCOUNTED,
        _FORGET,
        """
        SELECT CAST(id AS text) AS subject FROM jobs
        WHERE CAST(outcome IS NOT DISTINCT FROM 'failed' AS int) <> (
            SELECT count(*) FROM stages WHERE job_id = id AND state = 'failed'
        )
        """,
    ),
    Rule(
        "a job that has ended goes on before it ends again",
        Fault.DOUBLED,
        "tell whoever listens to its events that one of its ends is told twice",
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
        "an event tells of a job or a batch",
        Fault.ORPHANED,
        _DELETE_ROW,
        """
        SELECT DISTINCT CAST(job_id AS text) AS subject FROM events
        WHERE NOT EXISTS (SELECT FROM jobs WHERE id = events.job_id)
            AND NOT EXISTS (SELECT FROM batches WHERE id = events.job_id)
        """,
    ),
    Rule(
        "a deleted job is gone",
        Fault.ORPHANED,
        "delete the job once more (DELETE /v1/jobs/ID)",
        """
        SELECT CAST(id AS text) AS subject FROM tombstones JOIN jobs ON id = job_id
        """,
    ),
    Rule(
        "what a job cost is counted soon after its end",
        Fault.LOST,
        "the sweeper goes on without it: read the workers' logs",
        f"""
        SELECT CAST(id AS text) AS subject FROM jobs
        WHERE outcome IS NOT NULL AND NOT settled AND {_SWEPT}
            AND finished_at < statement_timestamp() - interval '10 minutes'
        """,  # noqa: S608 - constants of this module
    ),
    Rule(
        "usage counts every job that has ended",
        Fault.MISCOUNTED,
        "set `jobs` of that row of the table usage to what its tenant's jobs count",
        """
        SELECT tenant || ' ' || day || ' ' || outcome AS subject FROM (
            SELECT tenant, outcome, CAST(finished_at AT TIME ZONE 'UTC' AS date) AS day,
                count(*) AS jobs
            FROM jobs WHERE settled AND counted_seconds IS NOT NULL GROUP BY 1, 2, 3
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
        Fault.LOST,
        "delete the batch (DELETE /v1/batches/ID) and submit its photos again",
        """
        SELECT CAST(id AS text) AS subject FROM batches
        WHERE total <> (SELECT count(*) FROM jobs WHERE batch_id = batches.id)
            + (SELECT count(*) FROM batch_gaps WHERE batch_id = batches.id)
        """,
    ),
    Rule(
        "a batch has finished when no job of it is unfinished",
        Fault.LOST,
        "delete the batch (DELETE /v1/batches/ID) and submit its photos again",
        """
        SELECT CAST(id AS text) AS subject FROM batches WHERE (finished_at IS NULL) <> EXISTS (
            SELECT FROM jobs WHERE batch_id = batches.id AND outcome IS NULL
        )
        """,
    ),
    Rule(
        "an album is ranked when nobody in it is being rated",
        Fault.LOST,
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
        "no more are composed of an album than its best, but for those that were redriven",
        Fault.DOUBLED,
        "nothing is to be done: there are more pictures than were asked for",
        """
        SELECT CAST(id AS text) AS subject FROM batches WHERE best < (
            SELECT count(*) FROM jobs JOIN stages ON job_id = jobs.id AND stage = 'composite'
            WHERE batch_id = batches.id AND album_rank IS NOT NULL
        )
        """,
    ),
)

_ARTIFACTS = (
    Rule(
        "what an unfinished job starts from is kept",
        Fault.LOST,
        _WITHDRAW,
        """
        SELECT CAST(id AS text) AS subject FROM jobs
        WHERE outcome IS NULL AND photo_key IS NOT NULL AND NOT EXISTS (
            SELECT FROM artifacts WHERE artifacts.tenant = jobs.tenant
                AND artifacts.key = photo_key AND marked_at IS NULL
        )
        """,
    ),
    Rule(
        "what is kept of a deleted job is marked",
        Fault.ORPHANED,
        "set `marked_at` of that row of the table artifacts: workers remove the object",
        """
        SELECT key AS subject FROM artifacts WHERE marked_at IS NULL
            AND NOT EXISTS (SELECT FROM jobs WHERE id = job_id)
        """,
    ),
    Rule(
        "what is borrowed is there, and so is who borrows it",
        Fault.ORPHANED,
        _DELETE_ROW,
        """
        SELECT key || ' by ' || job_id AS subject FROM borrowers
        WHERE NOT EXISTS (SELECT FROM jobs WHERE id = borrowers.job_id) OR NOT EXISTS (
            SELECT FROM artifacts
            WHERE artifacts.tenant = borrowers.tenant AND artifacts.key = borrowers.key
        )
        """,
    ),
    Rule(
        "nobody borrows what is his",
        Fault.DOUBLED,
        _DELETE_ROW,
        """
        SELECT key || ' by ' || job_id AS subject
        FROM borrowers JOIN artifacts USING (tenant, key, job_id)
        """,
    ),
)

_DELIVERIES = (
    Rule(
        "whoever a job names is told of its end",
        Fault.LOST,
        "tell its receiver what GET /v1/jobs/ID says",
        f"""
        SELECT CAST(id AS text) AS subject FROM jobs
        WHERE webhook_url IS NOT NULL AND expired_at IS NULL AND {_TOLD} AND NOT EXISTS (
            SELECT FROM deliveries WHERE deliveries.job_id = jobs.id
                AND deliveries.webhook = 'default' AND deliveries.type = 'job.' || outcome
        )
        """,  # noqa: S608 - constants of this module
    ),
    Rule(
        "whoever a batch names is told of its end",
        Fault.LOST,
        "tell its receiver what GET /v1/batches/ID says",
        f"""
        SELECT CAST(id AS text) AS subject FROM batches
        WHERE webhook_url IS NOT NULL AND deleted_at IS NULL AND {_TOLD} AND NOT EXISTS (
            SELECT FROM deliveries
            WHERE deliveries.batch_id = batches.id AND deliveries.webhook = 'default'
        )
        """,  # noqa: S608 - constants of this module
    ),
    Rule(
        "an end is told to each receiver under one id",
        Fault.DOUBLED,
        "delete all but one of these rows of the table deliveries",
        """
        SELECT webhook || ' ' || type || ' ' || coalesce(job_id, batch_id) AS subject
        FROM deliveries WHERE coalesce(job_id, batch_id) IS NOT NULL
        GROUP BY tenant, webhook, url, type, coalesce(job_id, batch_id), happened_at
        HAVING count(*) > 1
        """,
    ),
    Rule(
        "what is to be told is told",
        Fault.LOST,
        "nobody sends: start `smart-filter sender`, or read its logs",
        """
        SELECT CAST(id AS text) AS subject FROM deliveries
        WHERE state = 'waiting' AND due_at < statement_timestamp() - interval '15 minutes'
            OR state = 'sending' AND leased_until < statement_timestamp() - interval '15 minutes'
        """,
    ),
    Rule(
        "a delivery tells of a job or a batch that is there",
        Fault.ORPHANED,
        _DELETE_ROW,
        """
        SELECT CAST(id AS text) AS subject FROM deliveries
        WHERE job_id IS NOT NULL AND NOT EXISTS (SELECT FROM jobs WHERE jobs.id = job_id)
            OR batch_id IS NOT NULL AND NOT EXISTS (SELECT FROM batches WHERE batches.id = batch_id)
        """,
    ),
    Rule(
        "a try to deliver is one of a delivery",
        Fault.ORPHANED,
        _DELETE_ROW,
        """
        SELECT delivery_id || ' ' || id AS subject FROM delivery_attempts
        WHERE NOT EXISTS (SELECT FROM deliveries WHERE deliveries.id = delivery_id)
        """,
    ),
)

RULES = (*_STAGES, *_JOBS, *_BATCHES, *_ARTIFACTS, *_DELIVERIES)
