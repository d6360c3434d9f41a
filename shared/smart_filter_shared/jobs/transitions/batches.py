"""What batches have of their jobs' moves: an album is ranked, a batch has finished.

Both are done by the transition that makes the last of its jobs ready for it, under the lock of
the batch's row: of two that end at the same moment one comes second, and sees both. Ranking moves
all jobs of the album. As jobs are locked before batches, a move that turns out to be the one that
an album has waited for is undone, and made again with all of them locked.
"""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection, Row

from smart_filter_shared.albums import arrange
from smart_filter_shared.errors import JobFinal, NotFound
from smart_filter_shared.ids import BatchId, Capability, JobId, Tenant
from smart_filter_shared.jobs import events, fairness, shots
from smart_filter_shared.jobs.events import Happened
from smart_filter_shared.jobs.presence import CELL
from smart_filter_shared.jobs.states import JobState, StageState
from smart_filter_shared.jobs.transitions import batch_statements, locks, statements
from smart_filter_shared.jobs.transitions.locks import Locked
from smart_filter_shared.pipeline import StageName

Jobs = Mapping[JobId, Locked]
Answer = TypeVar("Answer")
Lock = Callable[[Connection, Collection[JobId]], Jobs]


@dataclass(frozen=True, slots=True)
class Followed:
    """What followed from a move: rows made ready, jobs that have succeeded."""

    ready: list[Capability]
    succeeded: list[JobId]


def moving(
    connection: Connection,
    job_ids: Collection[JobId],
    move: Callable[[Jobs], Answer],
    *,
    albums: Collection[BatchId | None] = (),
    lock: Lock = locks.lock,
    lock_again: Lock = locks.lock,
) -> tuple[Answer, Followed]:
    """Lock jobs, make a move of them, and let their batches have what follows from it.

    albums: those in which any of the jobs is ranked.  lock: which locks some of the jobs, or all.
    lock_again: locks all of them and all jobs of an album that is ranked.
    """
    ranked = frozenset(album for album in albums if album is not None)
    if not ranked:
        jobs = lock(connection, job_ids)
        answer = move(jobs)
        return answer, _follow(connection, _standing(connection, jobs), ())
    whole: frozenset[BatchId] = frozenset()
    while True:
        undoing = connection.begin_nested()
        with undoing:
            jobs = (
                lock_again(connection, {*job_ids, *_members(connection, whole)})
                if whole
                else lock(connection, job_ids)
            )
            own = {job_id: job for job_id, job in jobs.items() if job_id in set(job_ids)}
            answer = move(own)
            stand = _standing(connection, own)
            due = _due(connection, stand, ranked)
            if due <= whole:
                return answer, _follow(connection, stand, due)
            undoing.rollback()
        whole |= due


def moving_of_any_day(
    connection: Connection,
    job_ids: Collection[JobId],
    move: Callable[[Jobs], Answer],
    *,
    albums: Collection[BatchId | None] = (),
) -> tuple[Answer, Followed]:
    """Move jobs as `moving` does, those of closed days too: for clients, not for leases."""
    lock = locks.lock_of_any_day
    return moving(connection, job_ids, move, albums=albums, lock=lock, lock_again=lock)


def begin(connection: Connection, batch_id: BatchId) -> Followed:
    """Rank an album at once, for a submission that leaves nothing to rate.

    It is written in this very transaction: no other sees its jobs, and none has to be locked.
    """
    stand = _Stand(ended=frozenset(), rated=frozenset({batch_id}))
    return _follow(connection, stand, _due(connection, stand, [batch_id]))


def is_unranked(connection: Connection, batch_id: BatchId) -> bool:
    """Whether an album is still to be ranked; the batch's row is locked."""
    found = connection.execute(batch_statements.LOCK_BATCHES, {"ids": [batch_id]}).one_or_none()
    return found is not None and bool(found.unranked)


def reopen(connection: Connection, batch_id: BatchId, job_id: JobId) -> bool:
    """Let a batch go on with a job that goes on; return whether the job is still to be ranked.

    A job of a closed day is not: an album that is ranked before the next sweep does not see it.
    """
    found = connection.execute(batch_statements.LOCK_BATCHES, {"ids": [batch_id]}).one_or_none()
    if found is None:
        return False
    connection.execute(batch_statements.REOPEN_BATCH, {"id": batch_id})
    events.record_batches(connection, moved=[batch_id], finished=[])
    shown = connection.execute(batch_statements.IS_SHOWN, {"job_id": job_id})
    return bool(found.unranked) and bool(shown.scalar_one())


def cancel_batch(connection: Connection, batch_id: BatchId, tenant: Tenant) -> None:
    """Withdraw all jobs of a batch that have not ended; what has ended stays.

    Raises NotFound when the tenant has no such batch, JobFinal when all of its jobs have ended.
    """
    _find(connection, batch_id, tenant)
    rows = connection.execute(batch_statements.UNFINISHED, {"id": batch_id})
    unfinished = [JobId(row.id) for row in rows]

    any_canceled, _ = moving_of_any_day(
        connection, unfinished, lambda _: cancel_jobs(connection, unfinished), albums=[batch_id]
    )
    if not any_canceled:
        raise JobFinal(f"batch {batch_id} has finished already")


def cancel_jobs(connection: Connection, job_ids: Collection[JobId]) -> bool:
    """End those jobs as canceled that have not ended, and are locked; return whether any has."""
    ids = {"ids": list(job_ids)}
    connection.execute(batch_statements.CANCEL_STAGES, ids)
    canceled = connection.execute(batch_statements.CANCEL_JOBS, ids).all()
    happened = [Happened.to_job(JobId(row.id), JobState.CANCELED) for row in canceled]
    events.record(connection, happened, of_any_day=True)
    return bool(canceled)


@dataclass(frozen=True, slots=True)
class _Stand:
    """What a move has made of its jobs.

    ended: batches of which a job has just ended.  rated: those of which a job is not being rated.
    """

    ended: frozenset[BatchId]
    rated: frozenset[BatchId]


def _standing(connection: Connection, jobs: Jobs) -> _Stand:
    members = {id_: job for id_, job in jobs.items() if job.batch_id is not None}
    if not members:
        return _Stand(frozenset(), frozenset())
    rows = connection.execute(batch_statements.STANDING, {"ids": list(members)})
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
    return _Stand(frozenset(ended), frozenset(rated))


def _due(connection: Connection, stand: _Stand, ranked: Collection[BatchId]) -> frozenset[BatchId]:
    """Return the albums that are to be ranked now, locked."""
    perhaps = stand.rated & frozenset(ranked)
    if not perhaps:
        return frozenset()
    rows = connection.execute(
        batch_statements.LOCK_BATCHES, {"ids": sorted(perhaps | stand.ended)}
    ).all()
    return frozenset(
        BatchId(row.id)
        for row in rows
        if row.unranked
        and not connection.execute(batch_statements.IS_RATING, {"id": row.id}).scalar_one()
    )


def _members(connection: Connection, albums: Collection[BatchId]) -> list[JobId]:
    rows = connection.execute(batch_statements.MEMBERS, {"ids": list(albums)})
    return [JobId(row.id) for row in rows]


def _follow(connection: Connection, stand: _Stand, due: Collection[BatchId]) -> Followed:
    """Rank albums that are due, whose jobs are locked; then tell of batches.

    Albums come first: those of their photos that are not composed have ended then.
    """
    touched = sorted(stand.ended | frozenset(due))
    if not touched:
        return Followed([], [])
    batches = connection.execute(batch_statements.LOCK_BATCHES, {"ids": touched}).all()
    ready: list[Capability] = []
    succeeded: list[JobId] = []
    for batch in batches:
        if batch.id in due:
            followed = _rank(connection, batch)
            ready += followed.ready
            succeeded += followed.succeeded
    known = {"ids": [batch.id for batch in batches]}
    finished = [
        BatchId(row.id) for row in connection.execute(batch_statements.FINISH_BATCHES, known)
    ]
    moved = [BatchId(batch.id) for batch in batches if batch.id not in finished]
    events.record_batches(connection, moved=moved, finished=finished)
    return Followed(ready, succeeded)


def _rank(connection: Connection, batch: Row[tuple[object, ...]]) -> Followed:
    """Rank an album: the best are composed, the others have succeeded without."""
    rows = connection.execute(batch_statements.RATED, {"id": batch.id}).all()
    known = {str(row.id): shots.shot(JobId(row.id), _results(row)) for row in rows}
    album = arrange(list(known.values()))
    ids = {str(row.id): JobId(row.id) for row in rows}
    connection.execute(
        batch_statements.STORE_RANKS,
        {
            "ids": [ids[one.id] for one in album.ranking],
            "ranks": [one.rank for one in album.ranking],
            "terms": [json.dumps(one) for one in shots.terms(album, known)],
        },
    )
    connection.execute(batch_statements.RANKED, {"id": batch.id})
    in_order = [ids[one.id] for one in album.ranking]
    best, others = in_order[: batch.best], in_order[batch.best :]
    placed = {
        "ids": best,
        "tenant": batch.tenant,
        "cell": CELL,
        "unknown": fairness.UNKNOWN_SECONDS,
    }
    connection.execute(batch_statements.PLACE_BEST, placed)
    met = {"job_ids": best, "stages": [str(StageName.COMPOSITE)] * len(best)}
    ready = connection.execute(statements.MEET_NEEDS, met)
    ringing = [Capability(row.capability) for row in ready if row.state == StageState.READY]
    connection.execute(batch_statements.LEAVE_OUT, {"ids": others})
    # Jobs of albums all say how long they are kept.
    ending = {"ids": others, "result_seconds": None}
    ended = [JobId(row.id) for row in connection.execute(statements.FINISH_JOBS, ending)]
    events.record(connection, [Happened.to_job(one, JobState.SUCCEEDED) for one in ended])
    return Followed(ringing, ended)


def _results(row: Row[tuple[object, ...]]) -> shots.Results:
    return {
        StageName.PREPARE: row.prepared,
        StageName.FACE: row.faces,
        StageName.SMILE: row.smiled,
        StageName.SEGMENTATION: row.segmented,
    }


def _find(connection: Connection, batch_id: BatchId, tenant: Tenant) -> None:
    where = {"id": batch_id, "tenant": tenant}
    found = connection.execute(batch_statements.FIND_BATCH, where).one_or_none()
    if found is None or found.deleted:
        raise NotFound(f"batch {batch_id}")
