"""Claim stages, renew and charge their leases, and expire leases that were not renewed."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import Connection, TextClause, text

from smart_filter_shared.db import driver_queries
from smart_filter_shared.ids import Capability, JobId, LeaseToken, WorkerId
from smart_filter_shared.pipeline import PIPELINE, StageName
from smart_filter_shared.queue import events, heads
from smart_filter_shared.queue.events import EventType
from smart_filter_shared.queue.heads import QuickOnly
from smart_filter_shared.queue.leases import (
    NO_GUARD,
    UNAVAILABLE,
    Lease,
    VersionGuard,
    as_arrays,
)
from smart_filter_shared.queue.states import JobState
from smart_filter_shared.queue.transitions import batches, locks, sql
from smart_filter_shared.queue.transitions.batches import JobHooks, Jobs
from smart_filter_shared.queue.transitions.finish import fail_job

# Batch sizes past the head within which a claim looks for rows with the same batch key.
_LOOKAHEAD_BATCHES = 8
# Instead of the row of a job, for claimers that do not need it.
NO_JOB = "''"
# Expired stages read by one sweep; the next sweep comes in a second.
_MAX_ROWS_PER_SWEEP = 500

# The first claim of any of its stages makes a job run, and writes the event. The stage that imports
# the photo is the first, unless its result is an earlier job's: two claims can then be first at the
# same moment, and the second waits for the row of the first in `begun_jobs`. It holds rows that no
# one waits for but transitions that hold a job, for which no claim waits.
(_IMPORTING_STAGE,) = (stage.name for stage in PIPELINE if stage.imports_photo)
_BEGUN = f"""
    INSERT INTO begun_jobs (job_id)
    SELECT job_id FROM claimed WHERE begins_job AND stage <> '{_IMPORTING_STAGE}' ORDER BY job_id
    ON CONFLICT DO NOTHING RETURNING job_id
"""  # noqa: S608 - a name of our own
_FIRST_RUNS = f"""
    SELECT job_id, '{EventType.RUNNING}', NULL, '{JobState.RUNNING}' FROM (
        SELECT job_id FROM claimed WHERE begins_job AND stage = '{_IMPORTING_STAGE}'
        UNION ALL SELECT job_id FROM begun
    ) AS first
"""  # noqa: S608 - names of our own

# One statement, so that no other transaction sees a row that is chosen but not yet running.
# MATERIALIZED keeps the planner from joining before the limit: the head is one probe of
# `stages_ready`, and its mates are searched, unlocked, among the first `near` entries only. A row
# on its last attempt is claimed alone. A row past its deadline is skipped: `fail_overdue` ends it
# within a second. A paused capability has no head: one probe of a small table.
# A worker whose cards differ from the published ones, which validate recipes, claims nothing.
# {{first}}: empty, or the choice among several queues.
# {{near_head}}, {{others}}: empty, or the restriction to quick rows.  {{job_sql}}: of the request.
_CLAIM = f"""
    WITH queue AS MATERIALIZED (
        SELECT capability, mates, cards FROM json_to_recordset(CAST(:queues AS json))
            AS served (capability text, mates int, cards json, turn int){{first}}
    ), head AS MATERIALIZED (
        SELECT job_id, stage, batch_key, attempt FROM stages
        WHERE capability = (SELECT capability FROM queue) AND state = 'ready'
            AND coalesce(deadline_at > statement_timestamp(), true)
            AND NOT EXISTS (
                SELECT FROM models JOIN json_to_recordset((SELECT cards FROM queue))
                    AS own (task text, name text, fingerprint text) USING (task, name)
                WHERE models.fingerprint <> own.fingerprint
            )
            AND NOT EXISTS (SELECT FROM pauses JOIN queue USING (capability))
            {{near_head}}{{others}}
        ORDER BY rank LIMIT 1
        FOR UPDATE SKIP LOCKED
    ), near AS MATERIALIZED (
        SELECT job_id, stage, batch_key, rank FROM stages
        WHERE capability = (SELECT capability FROM queue WHERE mates > 0) AND state = 'ready'
        ORDER BY rank LIMIT (SELECT {_LOOKAHEAD_BATCHES} * (mates + 1) FROM queue)
    ), mates AS MATERIALIZED (
        SELECT stages.job_id, stages.stage FROM stages
        JOIN near USING (job_id, stage) JOIN head ON head.batch_key = near.batch_key
        WHERE stages.state = 'ready' AND (near.job_id, near.stage) <> (head.job_id, head.stage)
            AND coalesce(stages.deadline_at > statement_timestamp(), true)
            AND greatest(stages.attempt, head.attempt) < :max_attempts - 1{{others}}
        ORDER BY near.rank LIMIT (SELECT mates FROM queue)
        FOR UPDATE OF stages SKIP LOCKED
    ), chosen AS (
        SELECT job_id, stage FROM head UNION ALL SELECT job_id, stage FROM mates
    ), claimed AS (
        UPDATE stages SET
            state = 'running',
            attempt = attempt + 1,
            lease_token = gen_random_uuid(),
            leased_until = statement_timestamp() + make_interval(secs => :lease_seconds),
            worker = :worker,
            started_at = coalesce(started_at, statement_timestamp()),
            not_before = NULL
        FROM chosen
        WHERE stages.job_id = chosen.job_id AND stages.stage = chosen.stage
        RETURNING stages.job_id, stages.stage, stages.capability, stages.models, stages.parameters,
            stages.digests,
            stages.attempt, stages.releases, stages.lease_token AS token, stages.album,
            -- An aggregate, because for NOT EXISTS the planner may read and hash all stages.
            stages.started_at = statement_timestamp() AND (
                SELECT min(begun.started_at) FROM stages AS begun
                WHERE begun.job_id = stages.job_id
            ) IS NULL AS begins_job,
            least(stages.rank, stages.rank + stages.head_start) AS mark
    ), begun AS ({_BEGUN}), recorded AS ({events.insert(_FIRST_RUNS)})
    -- In the order of the fields of Lease.
    SELECT job_id, stage, token, attempt, releases, mark, capability, models,
        parameters, album, digests, {{job_sql}}
    FROM claimed
"""  # noqa: S608 - all parts stand in this package

_RENEW = text(f"""
    WITH held AS MATERIALIZED (
        SELECT stages.job_id, stages.stage
        FROM stages JOIN unnest(
            CAST(:job_ids AS uuid[]), CAST(:stages AS text[]), CAST(:tokens AS uuid[])
        ) AS lease (job_id, stage, token) USING (job_id, stage)
        WHERE {sql.STATE_NO_INDEX} = 'running' AND stages.lease_token = lease.token
        ORDER BY stages.job_id, stages.stage
        FOR UPDATE OF stages
    )
    UPDATE stages
    SET leased_until = statement_timestamp() + make_interval(secs => :lease_seconds)
    FROM held
    WHERE stages.job_id = held.job_id AND stages.stage = held.stage
    RETURNING stages.lease_token
""")  # noqa: S608 - both parts stand here

_CHARGE = text(f"""
    UPDATE stages SET seconds = coalesce(seconds, 0) + :seconds
    WHERE job_id = :job_id AND stage = :stage
        AND {sql.STATE_NO_INDEX} = 'running' AND lease_token = :token
""")  # noqa: S608 - the part stands here

_FIND_EXPIRED = text("""
    SELECT DISTINCT job_id, album FROM stages
    WHERE state = 'running' AND leased_until < statement_timestamp() LIMIT :most
""")

_EXPIRED_STAGES = text("""
    SELECT job_id, stage, capability, lease_token, attempt FROM stages
    WHERE job_id = ANY(:ids) AND state = 'running' AND leased_until < statement_timestamp()
    ORDER BY job_id, stage
""")

# The leases of workers that have ended. A lease on the last attempt stays until it is late: its
# attempt is refunded, so a photo that takes its worker down at every attempt would otherwise end
# one worker after another, as fast as they start, until give_up_seconds have passed.
_FIND_ABANDONED = text("""
    SELECT DISTINCT job_id, album FROM stages
    WHERE state = 'running' AND worker = ANY(:ended) AND attempt < :max_attempts LIMIT :most
""")

_ABANDONED_STAGES = text("""
    SELECT job_id, stage, capability, lease_token, attempt FROM stages
    WHERE job_id = ANY(:ids) AND state = 'running'
        AND worker = ANY(:ended) AND attempt < :max_attempts
    ORDER BY job_id, stage
""")

# not_before is now, so `wake` in the same sweep makes the row ready and rings. The last attempt
# runs in a child process whose death fails the job, so a lease that expires on it means that the
# machine failed, not the photo: the attempt is refunded, and give_up_seconds bounds how often.
_EXPIRE = text("""
    UPDATE stages SET
        state = 'waiting', not_before = statement_timestamp(),
        attempt = least(attempt, :max_attempts - 1),
        releases = releases + CAST(attempt >= :max_attempts AS int),
        patience_since = CASE WHEN attempt >= :max_attempts
            THEN coalesce(patience_since, statement_timestamp()) ELSE patience_since END,
        lease_token = NULL, leased_until = NULL
    WHERE job_id = :job_id AND stage = :stage AND state = 'running'
        AND coalesce(
            patience_since > statement_timestamp() - make_interval(secs => :give_up_seconds), true
        )
    RETURNING stage
""")


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """The rows that a claim takes: the first head of some queues, and rows of its batch key.

    queues: of `queue_of`.  only: the rows that may be claimed, among the first of
        each queue; None: all.
    job_sql: an expression for the row of the job `claimed.job_id` as text, which the leases get.
    """

    queues: Sequence[str]
    worker: WorkerId
    lease_seconds: float
    max_attempts: int
    only: QuickOnly | None = None
    job_sql: str = NO_JOB


@lru_cache
def queue_of(capability: Capability, *, batch_size: int, guard: VersionGuard = NO_GUARD) -> str:
    """Return a queue of a claim as JSON.

    guard: what the worker would run the stages with; nothing is claimed when others are published.
    """
    fields = {"capability": capability, "mates": batch_size - 1, "turn": heads.turn_of(capability)}
    return f'{json.dumps(fields)[:-1]}, "cards": {guard}}}'


def claim(connection: Connection, request: ClaimRequest, *, commits: bool = False) -> list[Lease]:
    """Claim the first of the heads of queues, and rows of its batch key; return the leases.

    commits: send the COMMIT along, as `driver_queries.fetch_all` does.
    """
    return read_leases(
        driver_queries.fetch_rows(connection, *build_claim(request), commits=commits)
    )


def build_claim(request: ClaimRequest) -> driver_queries.Query:
    """Return the statement of a claim; `read_leases` reads its rows."""
    statement = _build_statement(
        _CLAIM,
        chooses=len(request.queues) > 1,
        is_restricted=request.only is not None,
        job_sql=request.job_sql,
    )
    return statement, {
        "queues": f"[{','.join(request.queues)}]",
        "lease_seconds": request.lease_seconds,
        "worker": request.worker,
        "max_attempts": request.max_attempts,
        **heads.restrict(request.only),
    }


def read_leases(rows: Iterable[Sequence[Any]]) -> list[Lease]:
    """Return the leases of a claim's rows."""
    return [Lease(job_id, StageName(stage), *rest) for job_id, stage, *rest in rows]


@cache
def _build_statement(
    template: str, *, chooses: bool, is_restricted: bool, job_sql: str
) -> TextClause:
    capability = "(SELECT capability FROM queue)"
    return text(
        template.format(
            first=heads.choose_first(is_restricted=is_restricted) if chooses else "",
            near_head=heads.NEAR_HEAD.format(capability=capability) if is_restricted else "",
            others=heads.QUICK_ROWS if is_restricted else "",
            job_sql=job_sql,
        )
    )


def renew(
    connection: Connection, leases: Sequence[Lease], *, lease_seconds: float
) -> set[LeaseToken]:
    """Renew leases; return the tokens of leases that still hold."""
    rows = connection.execute(_RENEW, {**as_arrays(leases), "lease_seconds": lease_seconds})
    return {LeaseToken(row.lease_token) for row in rows}


def charge(connection: Connection, lease: Lease, seconds: float) -> None:
    """Add seconds to the cost of a stage, however it ends; do nothing when the lease is lost."""
    connection.execute(_CHARGE, {**locks.lease_parameters(lease), "seconds": seconds})


def expire(
    connection: Connection,
    *,
    max_attempts: int,
    give_up_seconds: float,
    hooks: JobHooks,
    ended: Collection[WorkerId] = (),
) -> list[Capability]:
    """Expire leases that were not renewed; return their capabilities, one entry for each.

    ended: expire the leases of these workers instead, late or not, except on the last attempt.
    Their rows wait with `not_before` = now, so that `wake` makes them ready. The last attempt is
    refunded. A job whose workers have died for give_up_seconds fails as `unavailable`.
    """
    where = {
        "ended": list(ended),
        "most": _MAX_ROWS_PER_SWEEP,
        "max_attempts": max_attempts,
        "give_up_seconds": give_up_seconds,
    }
    find, stages = (
        (_FIND_ABANDONED, _ABANDONED_STAGES) if ended else (_FIND_EXPIRED, _EXPIRED_STAGES)
    )
    rows = connection.execute(find, where).all()
    job_ids = sorted({JobId(row.job_id) for row in rows})

    def move(jobs: Jobs) -> list[Capability]:
        expired = connection.execute(stages, {**where, "ids": list(jobs)}).all()
        for row in expired:
            held = {**where, "job_id": row.job_id, "stage": row.stage, "token": row.lease_token}
            waits = connection.execute(_EXPIRE, held).one_or_none()
            # An earlier row of this loop may have ended the same job.
            if (
                waits is None
                and connection.execute(sql.FIND_HELD_STAGE, held).one_or_none() is not None
            ):
                fail_job(connection, JobId(row.job_id), StageName(row.stage), UNAVAILABLE)
        return [Capability(row.capability) for row in expired]

    expired, _ = batches.with_locked_jobs(
        connection,
        job_ids,
        move,
        hooks=hooks,
        albums=[row.album for row in rows],
        lock=sql.LOCK_IDLE,
    )
    return expired
