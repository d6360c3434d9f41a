"""Complete stages: store their results, make their dependents ready, end their jobs.

After the locks, one statement does all of it. It runs for every stage of every job, so it is sent
together with the locks, with the BEGIN of its transaction, and with the claim of the worker's next
stages.

A worker can run the next stages of a job under the lease of the stage that it has claimed. The rows
of these run-ahead stages wait until the completion, which first checks that they wait for nothing
else.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cache
from itertools import chain
from typing import Any, Final

from sqlalchemy import Connection, TextClause, text

from smart_filter_shared.artifacts import retention
from smart_filter_shared.db import driver_queries
from smart_filter_shared.ids import Capability, JobId
from smart_filter_shared.pipeline import PIPELINE, get_stage
from smart_filter_shared.queue import events
from smart_filter_shared.queue.events import EventType
from smart_filter_shared.queue.leases import CompleteResult, StageOutcome
from smart_filter_shared.queue.transitions import batches, locks, sql
from smart_filter_shared.queue.transitions.batches import JobHooks, Jobs
from smart_filter_shared.queue.transitions.claim import (
    ClaimRequest,
    build_claim,
    claim,
    read_leases,
)

# Pairs of (needed stage, dependent stage).
_NEEDS: Final = ", ".join(
    f"('{need}', '{stage.name}')" for stage in PIPELINE for need in stage.needs
)

# The run-ahead stages if the lease of :stage holds, and each of them waits for nothing but stages
# that this batch completes (:needs are their numbers), and was never claimed. Otherwise none.
_AHEAD = f"""
    SELECT stage FROM unnest(CAST(:ahead AS text[])) AS ahead (stage) WHERE EXISTS (
        SELECT FROM stages
        WHERE job_id = :job_id AND stage = :stage
            AND {sql.STATE_NO_INDEX} = 'running' AND lease_token = :token
    ) AND cardinality(CAST(:ahead AS text[])) = (
        SELECT count(*) FROM stages
        WHERE job_id = :job_id AND {sql.STATE_NO_INDEX} = 'waiting' AND attempt = 0
            AND not_before IS NULL AND (stage, open_needs) IN (
                SELECT * FROM unnest(CAST(:ahead AS text[]), CAST(:needs AS smallint[]))
            )
    )
"""  # noqa: S608 - the part stands in this package
_MET = f"""
    SELECT completed.job_id, need.stage FROM completed
    JOIN (VALUES {_NEEDS}) AS need (name, stage) ON need.name = completed.stage{{met_here}}
"""  # noqa: S608 - names of our own
_MADE = """
    SELECT jobs.tenant, made.*, jobs.id AS job_id, CASE made.kind WHEN 'result'
        THEN jobs.keep_result_seconds ELSE jobs.keep_input_seconds END AS kept_seconds
    FROM completed, json_to_recordset(completed.made) AS made (
        key text, kind text, length bigint
    ) JOIN jobs ON true
    WHERE jobs.id = completed.job_id
"""
# Stages in the order in which they ran, and the end of the job.
_EVENT_ROWS = f"""
    SELECT job_id, CASE WHEN id IS NULL THEN '{EventType.STAGE}' ELSE '{EventType.SUCCEEDED}' END,
        string_agg(stage, ' ' ORDER BY turn), 'succeeded'
    FROM completed LEFT JOIN finished ON id = job_id GROUP BY job_id, id
"""  # noqa: S608 - names of our own

# `completed` is guarded by state and token: a worker whose lease expired cannot overwrite its
# successor. All CTEs see the snapshot from before this statement. The jobs are already locked, so
# it is current, except that siblings are claimed or renewed. Stages completed here are therefore
# excluded by hand where the job is checked for unfinished stages.
# The batch is one JSON text: the driver takes longer to convert arrays.  {{made}}: empty, or
# the insertion of artifacts, whose trigger takes time for no rows, too.  {{ahead}}, {{or_ahead}},
# {{met_here}}: empty, or the parts of a batch with run-ahead stages.
_COMPLETE = f"""
    WITH {{ahead}}completed AS (
        UPDATE stages SET
            state = 'succeeded', lease_token = NULL, leased_until = NULL, patience_since = NULL,
            finished_at = statement_timestamp(), error = NULL, open_needs = 0,
            attempt = greatest(attempt, 1),
            started_at = coalesce(started_at, statement_timestamp()),
            seconds = coalesce(stages.seconds, 0) + done.seconds,
            result = done.result
        FROM ROWS FROM (json_to_recordset(CAST(:batch AS json)) AS (
            job_id uuid, stage text, token uuid, seconds float8, result jsonb, made json
        )) WITH ORDINALITY AS done (job_id, stage, token, seconds, result, made, turn)
        WHERE stages.job_id = done.job_id AND stages.stage = done.stage
            AND (
                {sql.STATE_NO_INDEX} = 'running' AND stages.lease_token = done.token{{or_ahead}}
            )
        RETURNING stages.job_id, stages.stage, done.made, done.turn
    ), {{made}}met AS ({sql.decrement_needs(_MET)}), finished AS (
        UPDATE jobs SET outcome = 'succeeded', finished_at = statement_timestamp(),
            expires_at = statement_timestamp() + make_interval(secs => keep_result_seconds)
        FROM (SELECT DISTINCT job_id FROM completed) AS moved
        WHERE jobs.id = moved.job_id AND {sql.UNFINISHED_NO_INDEX} AND NOT EXISTS (
            SELECT FROM stages
            WHERE stages.job_id = jobs.id AND stages.state <> 'succeeded'
                AND (stages.job_id, stages.stage) NOT IN (SELECT job_id, stage FROM completed)
        )
        RETURNING jobs.id
    ), {events.insert_with_deliveries(_EVENT_ROWS, among="SELECT * FROM jobs")}
    SELECT 'completed' AS what, job_id, stage AS name FROM completed
    UNION ALL SELECT 'ready', NULL, capability FROM met WHERE state = 'ready'
    UNION ALL SELECT 'finished', id, NULL FROM finished
"""  # noqa: S608 - all parts stand in this package
# The photo's address may contain credentials, and is not needed any more.
_RECORD_PHOTO = text("""
    UPDATE jobs SET photo_key = :key, photo_digest = :digest, megapixels = :megapixels,
        photo_url = NULL, take = coalesce(CAST(:take AS jsonb), take)
    WHERE id = :job_id
""")


def complete(
    connection: Connection,
    batch: Sequence[StageOutcome],
    *,
    hooks: JobHooks,
    claiming: ClaimRequest | None = None,
    commits: bool = False,
) -> CompleteResult:
    """Complete the stages whose leases hold; return the rows made ready, ended jobs, lost leases.

    batch: a claimed stage with run-ahead stages is alone with them, and comes first. They are
        completed with it, or are all lost when one of them waits for something else.
    claiming: what to claim next.
    commits: send completion, claim and COMMIT in one message. No job may be in a batch, nor have
        imported its photo: nothing else is then to be written.
    """
    job_ids = sorted({done.lease.job_id for done in batch})
    if commits:
        queries = [(sql.LOCK_JOBS, locks.ids_of(job_ids)), _build_query(batch)]
        if claiming is not None:
            queries.append(build_claim(claiming))
        _, rows, *claims = driver_queries.fetch_all(connection, *queries, commits=True)
        completion = _read_result(batch, rows)
        return replace(completion, claimed=read_leases(chain(*claims)))

    def move(_: Jobs) -> CompleteResult:
        rows = driver_queries.fetch_rows(connection, *_build_query(batch))
        _record_photos(connection, batch, rows)
        return _read_result(batch, rows)

    completion, followed = batches.with_locked_jobs(
        connection,
        job_ids,
        move,
        hooks=hooks,
        albums={done.lease.album for done in batch},
        lock=sql.LOCK_JOBS,
    )
    return replace(
        completion,
        ready=[*completion.ready, *followed.ready],
        succeeded=[*completion.succeeded, *followed.succeeded],
        # Last: another claim can wait for this one.
        claimed=[] if claiming is None else claim(connection, claiming),
    )


@cache
def _build_statement(template: str, *, made: str, ahead: str) -> TextClause:
    return text(
        template.format(
            made=f"made AS ({retention.insert_artifacts(made)}), " if made else "",
            ahead=f"ahead AS MATERIALIZED ({ahead}), " if ahead else "",
            or_ahead=" OR done.stage IN (SELECT stage FROM ahead)" if ahead else "",
            met_here=" AND need.stage NOT IN (SELECT stage FROM ahead)" if ahead else "",
        )
    )


def _build_query(batch: Sequence[StageOutcome]) -> driver_queries.Query:
    ahead = [done.lease.stage for done in batch if done.run_ahead_of is not None]
    if not ahead:  # renewals lock running rows in this order, too
        batch = sorted(batch, key=lambda done: (done.lease.job_id, done.lease.stage))
    parameters: dict[str, object] = {"batch": json.dumps([_encode(done) for done in batch])}
    if ahead:
        lead = batch[0].lease
        ran = {lead.stage, *ahead}
        needs = (len(ran.intersection(get_stage(stage).needs)) for stage in ahead)
        parameters |= {
            **locks.lease_parameters(lead),
            "ahead": driver_queries.array_text(ahead),
            "needs": driver_queries.array_text(needs),
        }
    made = _MADE if any(done.artifacts for done in batch) else ""
    statement = _build_statement(_COMPLETE, made=made, ahead=_AHEAD if ahead else "")
    return statement, parameters


def _record_photos(
    connection: Connection, batch: Sequence[StageOutcome], rows: Sequence[Sequence[Any]]
) -> None:
    """Record the photos that completed stages have imported."""
    completed = {(job_id, name) for what, job_id, name in rows if what == "completed"}
    for done in batch:
        if done.photo is not None and (done.lease.job_id, done.lease.stage) in completed:
            photo = {**asdict(done.photo), "take": None}
            if done.photo.take is not None:
                photo["take"] = json.dumps(done.photo.take)
            connection.execute(_RECORD_PHOTO, {"job_id": done.lease.job_id, **photo})


def _read_result(batch: Sequence[StageOutcome], rows: Sequence[Sequence[Any]]) -> CompleteResult:
    """Return what a completion has changed."""
    completed = {(job_id, name) for what, job_id, name in rows if what == "completed"}
    return CompleteResult(
        ready=[Capability(name) for what, _, name in rows if what == "ready"],
        succeeded=[JobId(job_id) for what, job_id, _ in rows if what == "finished"],
        lost=[
            done.lease for done in batch if (done.lease.job_id, done.lease.stage) not in completed
        ],
    )


def _encode(done: StageOutcome) -> dict[str, object]:
    """Return an outcome as the JSON object that `_COMPLETE` reads."""
    return {
        "job_id": str(done.lease.job_id),
        "stage": done.lease.stage,
        "token": str(done.lease.token),
        "seconds": done.seconds + done.fetching_seconds,
        "result": done.result,
        "made": [
            {"key": key, "kind": kind, "length": done.lengths.get(key, 0)}
            for key, kind in done.artifacts.items()
        ],
    }
