"""Side effects of job moves on batches: an album is ranked, a batch finishes.

The transition that ends the last awaited job does both, under the lock of the batch's row. Of two
transitions at the same moment, the second one waits for that lock and sees both ends. Ranking
moves all jobs of the album. Jobs are locked before batches, so a move that makes an album due for
ranking is rolled back, and made again with all jobs of the album locked.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from sqlalchemy import Connection, Row, TextClause, text

from smart_filter_shared.errors import JobFinal, NotFound
from smart_filter_shared.ids import BatchId, Capability, JobId, Tenant
from smart_filter_shared.pipeline import GATE, GATE_OF_TAKE, StageName
from smart_filter_shared.queue import events, fair_queueing
from smart_filter_shared.queue.states import JobState, StageState
from smart_filter_shared.queue.transitions import locks, sql
from smart_filter_shared.queue.transitions.locks import LockedJob

Jobs = Mapping[JobId, LockedJob]
Answer = TypeVar("Answer")


class JobHooks(Protocol):
    """What the queue asks about the jobs that it moves, whose content it does not read.

    Called within a transition, with the jobs locked.
    """

    def rank_album(self, connection: Connection, batch_id: BatchId) -> list[JobId]:
        """Rank the unfinished jobs of an album, store their ranks, and return them, best first.

        The album's take, which is none of them, gets the list of its shots. The queue then lets
        the best, or the take, run their gated stage, and ends the others.
        """
        ...

    def forget_job(self, connection: Connection, job_id: JobId) -> None:
        """Delete what was derived from a job, which is about to be deleted."""
        ...


# In SQL it is a literal, so that the planner uses the partial index `stages_rating`.
_GATED = f"'{GATE}'"

_FINISH_JOBS = text("""
    UPDATE jobs SET outcome = 'succeeded', finished_at = statement_timestamp(),
        expires_at = statement_timestamp() + make_interval(secs => keep_result_seconds)
    WHERE id = ANY(:ids) AND outcome IS NULL AND (
        SELECT bool_and(stages.state = 'succeeded') FROM stages
        WHERE job_id = ANY(:ids) AND job_id = jobs.id
    )
    RETURNING id
""")

# The outcome of locked jobs after a move. rating: a stage that the album waits for is unfinished.
_STANDING = text(f"""
    SELECT id, outcome, EXISTS (
        SELECT FROM stages WHERE job_id = ANY(:ids) AND job_id = jobs.id
            AND stage <> {_GATED} AND state IN ('waiting', 'ready', 'running')
    ) AS rating
    FROM jobs WHERE id = ANY(:ids)
""")  # noqa: S608 - a name of our own

_LOCK_BATCHES = text("""
    SELECT id, tenant, best, take_id, best IS NOT NULL AND ranked_at IS NULL AS unranked
    FROM batches WHERE id = ANY(:ids) AND deleted_at IS NULL ORDER BY id FOR NO KEY UPDATE
""")

_MEMBERS = text("SELECT id FROM jobs WHERE batch_id = ANY(:ids)")

# One probe of `stages_rating`.
_IS_RATING = text(f"""
    SELECT EXISTS (
        SELECT FROM stages WHERE album = :id AND stage <> {_GATED}
            AND state IN ('waiting', 'ready', 'running')
    )
""")  # noqa: S608 - a name of our own

# Virtual time has advanced while the album was rated: with the ranks of their submission, all of
# the best would overtake every other tenant. They start now, one behind the other, as in wake.py.
# Of a take every stage waits, of other jobs the gated one.
_PLACE_BEST = text(f"""
    WITH costs AS (
        SELECT stages.job_id, stages.stage, best.place,
            coalesce(known.mean_seconds, :unknown) AS seconds,
            greatest(known.mark, sweeper.virtual_time) AS v, coalesce(tenants.weight, 1) AS weight
        FROM unnest(CAST(:ids AS uuid[])) WITH ORDINALITY AS best (id, place)
        JOIN stages ON stages.job_id = best.id AND {sql.STATE_NO_INDEX} = 'waiting'
        CROSS JOIN sweeper
        LEFT JOIN capabilities AS known ON known.name = stages.capability
        LEFT JOIN tenants ON tenants.name = :tenant
        WHERE stages.job_id = ANY(:ids)
    ), places AS (
        SELECT job_id, stage, v + (sum(seconds) OVER (ORDER BY place) - seconds) / weight AS start
        FROM costs
    )
    UPDATE stages SET rank = greatest(rank, places.start - head_start)
    FROM places
    WHERE stages.job_id = ANY(:ids) AND stages.job_id = places.job_id
        AND stages.stage = places.stage
""")  # noqa: S608 - the part stands in this package

# A photo that is not among the best has run every other stage: without this row its job succeeds.
_DELETE_GATED_STAGES = text(f"""
    DELETE FROM stages WHERE job_id = ANY(:ids) AND stage = {_GATED} AND state = 'waiting'
""")  # noqa: S608 - a name of our own

_MARK_RANKED = text("UPDATE batches SET ranked_at = statement_timestamp() WHERE id = :id")

# One probe of `jobs_of_batch`.
_FINISH_BATCHES = text("""
    UPDATE batches SET finished_at = statement_timestamp()
    WHERE id = ANY(:ids) AND finished_at IS NULL AND NOT EXISTS (
        SELECT FROM jobs WHERE batch_id = batches.id AND outcome IS NULL
    )
    RETURNING id
""")

_REOPEN_BATCH = text("UPDATE batches SET finished_at = NULL WHERE id = :id")

_FIND_BATCH = text("""
    SELECT id, deleted_at IS NOT NULL AS deleted FROM batches
    WHERE id = :id AND tenant = :tenant
""")

_UNFINISHED = text("SELECT id FROM jobs WHERE batch_id = :id AND outcome IS NULL")

CANCEL_STAGES = text("""
    UPDATE stages SET
        state = 'canceled', lease_token = NULL, leased_until = NULL, not_before = NULL,
        finished_at = statement_timestamp()
    WHERE job_id = ANY(:ids) AND state IN ('waiting', 'ready', 'running')
""")

_CANCEL_JOBS = text("""
    UPDATE jobs SET
        outcome = 'canceled', finished_at = statement_timestamp(),
        expires_at = statement_timestamp()
            + make_interval(secs => greatest(keep_input_seconds, keep_result_seconds))
    WHERE id = ANY(:ids) AND outcome IS NULL
    RETURNING id
""")


@dataclass(frozen=True, slots=True)
class SideEffects:
    """The effects of a move on batches: rows made ready, jobs that have succeeded."""

    ready: list[Capability]
    succeeded: list[JobId]


def with_locked_jobs(
    connection: Connection,
    job_ids: Collection[JobId],
    move: Callable[[Jobs], Answer],
    *,
    hooks: JobHooks,
    albums: Collection[BatchId | None] = (),
    lock: TextClause | None = None,
) -> tuple[Answer, SideEffects]:
    """Lock jobs, move them, and apply the effects on their batches; return both results.

    albums: the albums in which any of the jobs is ranked.
    lock: as for `locks.lock`; it may skip some jobs, except when an album is ranked.
    """
    ranked = frozenset(album for album in albums if album is not None)
    if not ranked:
        jobs = locks.lock(connection, job_ids, lock)
        answer = move(jobs)
        stand = _read_progress(connection, jobs)
        return answer, _apply_side_effects(connection, stand, (), hooks)
    whole: frozenset[BatchId] = frozenset()
    while True:
        undoing = connection.begin_nested()
        with undoing:
            jobs = (
                locks.lock(connection, {*job_ids, *_list_members(connection, whole)})
                if whole
                else locks.lock(connection, job_ids, lock)
            )
            moved = {job_id: job for job_id, job in jobs.items() if job_id in set(job_ids)}
            answer = move(moved)
            stand = _read_progress(connection, moved)
            due = _lock_due_albums(connection, stand, ranked)
            if due <= whole:
                return answer, _apply_side_effects(connection, stand, due, hooks)
            undoing.rollback()
        whole |= due


def rank_immediately(connection: Connection, batch_id: BatchId, *, hooks: JobHooks) -> SideEffects:
    """Rank an album whose submission leaves nothing to rate; return the effects.

    This transaction wrote the album: no other transaction sees its jobs, so no lock is needed.
    """
    stand = _BatchProgress(ended=frozenset(), rated=frozenset({batch_id}))
    due = _lock_due_albums(connection, stand, [batch_id])
    return _apply_side_effects(connection, stand, due, hooks)


def is_unranked(connection: Connection, batch_id: BatchId) -> bool:
    """Lock a batch's row; return whether it is an album that is still to be ranked."""
    batch = connection.execute(_LOCK_BATCHES, {"ids": [batch_id]}).one_or_none()
    return batch is not None and bool(batch.unranked)


def reopen_batch(connection: Connection, batch_id: BatchId, job_id: JobId) -> StageName | None:
    """Reopen a batch for a job that runs again; return its stage that waits for the ranking."""
    batch = connection.execute(_LOCK_BATCHES, {"ids": [batch_id]}).one_or_none()
    if batch is None:
        return None
    connection.execute(_REOPEN_BATCH, {"id": batch_id})
    events.record_batches(connection, moved=[batch_id], finished=[])
    if not batch.unranked:
        return None
    return GATE_OF_TAKE if batch.take_id == job_id else GATE


def cancel_batch(
    connection: Connection, batch_id: BatchId, tenant: Tenant, *, hooks: JobHooks
) -> None:
    """Cancel all unfinished jobs of a batch; ended jobs keep their outcome.

    Raises NotFound when the tenant has no such batch, JobFinal when all of its jobs have ended.
    """
    _require_batch(connection, batch_id, tenant)
    rows = connection.execute(_UNFINISHED, {"id": batch_id})
    unfinished = [JobId(row.id) for row in rows]

    any_canceled, _ = with_locked_jobs(
        connection,
        unfinished,
        lambda _: cancel_jobs(connection, unfinished),
        hooks=hooks,
        albums=[batch_id],
    )
    if not any_canceled:
        raise JobFinal(f"batch {batch_id} has finished already")


def cancel_jobs(connection: Connection, job_ids: Collection[JobId]) -> bool:
    """Cancel the unfinished jobs among these, which are locked; return whether any was canceled."""
    if not job_ids:
        return False
    ids = {"ids": list(job_ids)}
    connection.execute(CANCEL_STAGES, ids)
    canceled = connection.execute(_CANCEL_JOBS, ids).scalars().all()
    events.record(connection, canceled, JobState.CANCELED)
    return bool(canceled)


@dataclass(frozen=True, slots=True)
class _BatchProgress:
    """The batches that a move has advanced.

    ended: batches with a job that has just ended.
    rated: batches with a job that no longer has unfinished rating stages.
    """

    ended: frozenset[BatchId]
    rated: frozenset[BatchId]


def _read_progress(connection: Connection, jobs: Jobs) -> _BatchProgress:
    members = {id_: job for id_, job in jobs.items() if job.batch_id is not None}
    if not members:
        return _BatchProgress(frozenset(), frozenset())
    rows = connection.execute(_STANDING, {"ids": list(members)})
    stand = {row.id: row for row in rows}
    ended, rated = set(), set()
    for job_id, job in members.items():
        row, batch_id = stand.get(job_id), job.batch_id
        if batch_id is None:
            continue
        if job.outcome is None and (row is None or row.outcome is not None):
            ended.add(batch_id)
        if row is None or not row.rating:
            rated.add(batch_id)
    return _BatchProgress(frozenset(ended), frozenset(rated))


def _lock_due_albums(
    connection: Connection, stand: _BatchProgress, ranked: Collection[BatchId]
) -> frozenset[BatchId]:
    """Lock and return the albums that are to be ranked now."""
    rankable = stand.rated & frozenset(ranked)
    if not rankable:
        return frozenset()
    rows = connection.execute(_LOCK_BATCHES, {"ids": sorted(rankable | stand.ended)}).all()
    return frozenset(
        BatchId(row.id)
        for row in rows
        if row.unranked and not connection.execute(_IS_RATING, {"id": row.id}).scalar_one()
    )


def _list_members(connection: Connection, albums: Collection[BatchId]) -> list[JobId]:
    rows = connection.execute(_MEMBERS, {"ids": list(albums)})
    return [JobId(row.id) for row in rows]


def _apply_side_effects(
    connection: Connection, stand: _BatchProgress, due: Collection[BatchId], hooks: JobHooks
) -> SideEffects:
    """Rank the due albums, whose jobs are locked; then write batch events; return the effects.

    Ranking comes first: it ends the jobs of the photos that are not composed.
    """
    touched = sorted(stand.ended | frozenset(due))
    if not touched:
        return SideEffects([], [])
    batches = connection.execute(_LOCK_BATCHES, {"ids": touched}).all()
    ready: list[Capability] = []
    succeeded: list[JobId] = []
    for batch in batches:
        if batch.id in due:
            followed = _rank_album(connection, batch, hooks)
            ready += followed.ready
            succeeded += followed.succeeded
    parameters = {"ids": [batch.id for batch in batches]}
    finished = [BatchId(row.id) for row in connection.execute(_FINISH_BATCHES, parameters)]
    moved = [BatchId(batch.id) for batch in batches if batch.id not in finished]
    events.record_batches(connection, moved=moved, finished=finished)
    return SideEffects(ready, succeeded)


def _rank_album(
    connection: Connection, batch: Row[tuple[object, ...]], hooks: JobHooks
) -> SideEffects:
    """Rank an album: its best jobs run their gated stage, the others succeed without it.

    The job of a take runs in place of the best.
    """
    ranked = hooks.rank_album(connection, BatchId(batch.id))
    connection.execute(_MARK_RANKED, {"id": batch.id})
    best, others, gate = ranked[: batch.best], ranked[batch.best :], GATE
    if batch.take_id is not None:
        best, gate = [JobId(batch.take_id)], GATE_OF_TAKE
    connection.execute(
        _PLACE_BEST,
        {
            "ids": best,
            "tenant": batch.tenant,
            "unknown": fair_queueing.DEFAULT_COST_SECONDS,
        },
    )
    met = {"job_ids": best, "stages": [str(gate)] * len(best)}
    ready = connection.execute(sql.DECREMENT_NEEDS, met)
    ringing = [Capability(row.capability) for row in ready if row.state == StageState.READY]
    connection.execute(_DELETE_GATED_STAGES, {"ids": others})
    ended = [JobId(row.id) for row in connection.execute(_FINISH_JOBS, {"ids": others})]
    events.record(connection, ended, JobState.SUCCEEDED)
    return SideEffects(ringing, ended)


def _require_batch(connection: Connection, batch_id: BatchId, tenant: Tenant) -> None:
    where = {"id": batch_id, "tenant": tenant}
    batch = connection.execute(_FIND_BATCH, where).one_or_none()
    if batch is None or batch.deleted:
        raise NotFound(f"there is no batch {batch_id}")
