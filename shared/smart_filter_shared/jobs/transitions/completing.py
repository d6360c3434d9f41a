"""How stages succeed: their results are stored, what waited for them is ready, jobs end.

Behind the locks all of it is one statement, for it is done for every stage of every job: as five
statements, one after the other, it took as many round trips.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Final

from sqlalchemy import Connection, text

from smart_filter_shared.ids import Capability, JobId, Tenant
from smart_filter_shared.jobs import events, retention
from smart_filter_shared.jobs.events import EventType
from smart_filter_shared.jobs.leases import Completion, Done, named
from smart_filter_shared.jobs.retention import Keeping, Made
from smart_filter_shared.jobs.transitions import batches, statements
from smart_filter_shared.jobs.transitions.batches import Jobs
from smart_filter_shared.pipeline import PIPELINE

# Each need of a stage, and that stage.
_NEEDS: Final = [(str(need), str(stage.name)) for stage in PIPELINE for need in stage.needs]

_MET = """
    SELECT completed.job_id, need.stage FROM completed JOIN unnest(
        CAST(:needs AS text[]), CAST(:dependents AS text[])
    ) AS need (name, stage) ON need.name = completed.stage
"""
# A job's end comes behind the stages that have ended it.
_HAPPENED = """
    SELECT job_id, type, stage, state FROM (
        SELECT 0, job_id, CAST(:stage_event AS text), stage, 'succeeded' FROM completed
        UNION ALL SELECT 1, id, CAST(:end_event AS text), NULL, 'succeeded' FROM finished
    ) AS happened (turn, job_id, type, stage, state)
    ORDER BY turn
"""

# `completed` is guarded by state and token: a worker thought dead cannot overwrite its successor.
# Every part sees the rows as they were before this statement; the locks, taken by statements of
# their own, see to it that this is how they still are. So what is completed here is passed by where
# a job is looked through for what has not succeeded. What runs is of an open day (db/days.py).
_COMPLETE = text(f"""
    WITH completed AS (
        UPDATE open_stages AS stages SET
            state = 'succeeded', lease_token = NULL, leased_until = NULL, patience_since = NULL,
            finished_at = statement_timestamp(), error = NULL,
            seconds = coalesce(stages.seconds, 0) + done.seconds,
            result = CAST(done.result AS jsonb)
        FROM unnest(
            CAST(:job_ids AS uuid[]), CAST(:stages AS text[]), CAST(:tokens AS uuid[]),
            CAST(:seconds AS float8[]), CAST(:results AS text[])
        ) AS done (job_id, stage, token, seconds, result)
        WHERE stages.job_id = done.job_id AND stages.stage = done.stage
            AND {statements.STATE} = 'running' AND stages.lease_token = done.token
        RETURNING stages.job_id, stages.stage
    ), met AS ({statements.meeting(_MET)}), finished AS (
        UPDATE open_jobs AS jobs SET outcome = 'succeeded', finished_at = statement_timestamp(),
            expires_at = statement_timestamp() + make_interval(
                secs => coalesce(keep_result_seconds, CAST(:result_seconds AS float8))
            )
        FROM (SELECT DISTINCT job_id FROM completed) AS moved
        WHERE jobs.id = moved.job_id AND {statements.UNFINISHED} AND NOT EXISTS (
            SELECT FROM open_stages AS stages
            WHERE stages.job_id = jobs.id AND stages.state <> 'succeeded'
                AND (stages.job_id, stages.stage) NOT IN (SELECT job_id, stage FROM completed)
        )
        RETURNING jobs.id
    ), {events.recording_ends(_HAPPENED, among="SELECT * FROM open_jobs")}
    SELECT 'completed' AS what, job_id, stage AS name FROM completed
    UNION ALL SELECT 'ready', NULL, capability FROM met WHERE state = 'ready'
    UNION ALL SELECT 'finished', id, NULL FROM finished
""")  # noqa: S608 - all parts stand in this package

# An address may be as good as a password, and is needed no more.
_BRING_PHOTO = text("""
    UPDATE open_jobs SET photo_key = :key, photo_digest = :digest, megapixels = :megapixels,
        photo_url = NULL
    WHERE id = :job_id
""")


def complete(connection: Connection, batch: Sequence[Done], keeping: Keeping) -> Completion:
    """Store results of stages whose leases hold, and make ready what waited only for them.

    keeping: how long the artifacts that they name are kept when their jobs do not say.
    """
    leases = [done.lease for done in batch]
    job_ids = sorted({lease.job_id for lease in leases})
    completion, followed = batches.moving(
        connection,
        job_ids,
        lambda jobs: _complete(connection, batch, jobs, keeping),
        albums=[lease.album for lease in leases],
    )
    return replace(
        completion,
        ready=[*completion.ready, *followed.ready],
        succeeded=[*completion.succeeded, *followed.succeeded],
    )


def _complete(
    connection: Connection, batch: Sequence[Done], jobs: Jobs, keeping: Keeping
) -> Completion:
    leases = [done.lease for done in batch]
    rows = connection.execute(
        _COMPLETE,
        {
            **named(leases),
            "seconds": [done.seconds + done.fetching_seconds for done in batch],
            "results": [json.dumps(done.result) for done in batch],
            "needs": [need for need, _ in _NEEDS],
            "dependents": [dependent for _, dependent in _NEEDS],
            "result_seconds": keeping.result_seconds,
            "stage_event": str(EventType.STAGE),
            "end_event": str(EventType.SUCCEEDED),
            "finals": events.FINALS,
        },
    ).all()
    completed = {(row.job_id, row.name) for row in rows if row.what == "completed"}
    made: dict[tuple[Tenant, Keeping], list[Made]] = defaultdict(list)
    for done in batch:
        job_id = done.lease.job_id
        if (job_id, done.lease.stage) in completed:
            job = jobs[job_id]
            made[job.tenant, job.keeping or keeping] += [
                Made(job_id, key, kind) for key, kind in done.artifacts.items()
            ]
            if done.photo is not None:
                connection.execute(_BRING_PHOTO, {"job_id": job_id, **asdict(done.photo)})
    for (tenant, kept), artifacts in made.items():
        retention.record_each(connection, tenant, artifacts, kept)
    return Completion(
        ready=[Capability(row.name) for row in rows if row.what == "ready"],
        succeeded=[JobId(row.job_id) for row in rows if row.what == "finished"],
        lost=[lease for lease in leases if (lease.job_id, lease.stage) not in completed],
    )
