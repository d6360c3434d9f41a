"""Reads of batches: their rows, items and counts. Counts are computed at each read.

An item is a job, or a gap: the item was refused at submission, or its job was deleted later.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, text

from smart_filter_shared.db.rows import read_row
from smart_filter_shared.ids import BatchId, JobId, Tenant
from smart_filter_shared.queue.events import flush_if_new
from smart_filter_shared.queue.states import JobState

MAX_ITEMS = 1000

Json = Mapping[str, Any]  # what a JSONB column holds; parsed where it is used

_COLUMNS = "id, tenant, total, best, take_id, ranked_at, created_at, finished_at, webhook_url"
_FIND = text(f"""
    SELECT {_COLUMNS}, {flush_if_new("finished_at")} FROM batches
    WHERE id = :id AND tenant = :tenant AND deleted_at IS NULL
""")  # noqa: S608 - the columns stand above
_GET_MANY = text(f"""
    SELECT {_COLUMNS} FROM batches WHERE id = ANY(:ids) AND deleted_at IS NULL
""")  # noqa: S608 - the columns stand above
_LIST = text(f"""
    SELECT {_COLUMNS}, {flush_if_new("finished_at")} FROM batches
    WHERE tenant = :tenant AND deleted_at IS NULL
        AND (CAST(:before AS uuid) IS NULL OR id < :before)
    ORDER BY id DESC LIMIT :limit
""")  # noqa: S608 - the columns stand above
_ITEMS = text("""
    SELECT batch_id, batch_index AS index, id AS job_id, error, album_rank AS rank,
        coalesce(outcome, CASE WHEN EXISTS (
            SELECT FROM stages
            WHERE stages.job_id = jobs.id AND started_at IS NOT NULL
        ) THEN 'running' ELSE 'queued' END) AS state, deleted_by IS NOT NULL AS is_deleted
    FROM jobs WHERE batch_id = ANY(:ids) AND batch_index IS NOT NULL
    UNION ALL
    SELECT batch_id, index, job_id, error, NULL, outcome, job_id IS NOT NULL
    FROM batch_gaps WHERE batch_id = ANY(:ids)
    ORDER BY batch_id, index
""")
# Jobs are counted from the index `jobs_of_batch` alone. It cannot tell queued from running, so
# every unfinished job counts as running. The job of a take is no item.
_COUNTS = text("""
    SELECT batch_id, coalesce(outcome, 'running') AS state, count(*) AS items
    FROM jobs WHERE batch_id = ANY(:ids) GROUP BY 1, 2
    UNION ALL
    SELECT batch_id, coalesce(outcome, 'running'), -1 FROM jobs WHERE id = ANY(:takes)
    UNION ALL
    SELECT batch_id, outcome, count(*) FROM batch_gaps WHERE batch_id = ANY(:ids) GROUP BY 1, 2
""")
_TAKES = text("""
    SELECT id AS job_id, error, take, coalesce(outcome, CASE WHEN EXISTS (
        SELECT FROM stages
        WHERE stages.job_id = jobs.id AND started_at IS NOT NULL
    ) THEN 'running' ELSE 'queued' END) AS state
    FROM jobs WHERE id = ANY(:ids)
""")
_DELETED = text("""
    SELECT FROM tombstones WHERE job_id = :id AND tenant = :tenant
    UNION ALL
    SELECT FROM batches WHERE id = :id AND tenant = :tenant AND deleted_at IS NOT NULL
""")


class BatchState(StrEnum):
    """The state of a batch; finished: every job of the batch has ended."""

    RUNNING = "running"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class BatchItem:
    """One photo of a batch.

    job_id: None for an item that was refused at submission.
    error: why the item failed; None when it did not.
    rank: the item's rank in its album, once the album is ranked.
    is_deleted: whether the job was deleted; `state` is then the state it had when deleted.
    """

    index: int
    job_id: JobId | None
    state: JobState
    error: Json | None
    rank: int | None
    is_deleted: bool


@dataclass(frozen=True, slots=True)
class BatchTake:
    """The job that composes an album's take.

    error: why it failed; None when it did not.
    take: as the job stores it, which the queue does not read.
    """

    job_id: JobId
    state: JobState
    error: Json | None
    take: Json


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One batch.

    best: how many photos of an album are composed; None for a batch that is not an album.
    take_id: the job of its take, which is no item; None without a take.
    take: that job; None in a list, without a take, and after the job's deletion.
    counts: number of items by state; in a list every unfinished item counts as running.
    items: None in a list.
    """

    id: BatchId
    tenant: Tenant
    total: int
    best: int | None
    ranked_at: datetime | None
    created_at: datetime
    finished_at: datetime | None
    webhook_url: str | None
    counts: Mapping[JobState, int]
    items: Sequence[BatchItem] | None
    take_id: JobId | None = None
    take: BatchTake | None = None

    @property
    def state(self) -> BatchState:
        """The state of the batch."""
        return BatchState.RUNNING if self.finished_at is None else BatchState.FINISHED


def find(connection: Connection, batch_id: BatchId, tenant: Tenant) -> BatchRow | None:
    """Return a tenant's batch with its items, or None when the tenant has no such batch."""
    row = connection.execute(_FIND, {"id": batch_id, "tenant": tenant}).one_or_none()
    return None if row is None else _with_items(connection, [row])[batch_id]


def find_summary(connection: Connection, batch_id: BatchId, tenant: Tenant) -> BatchRow | None:
    """Return a tenant's batch without its items, or None when the tenant has no such batch."""
    row = connection.execute(_FIND, {"id": batch_id, "tenant": tenant}).one_or_none()
    return None if row is None else _with_counts(connection, [row])[0]


def get_many(connection: Connection, batch_ids: Collection[BatchId]) -> dict[BatchId, BatchRow]:
    """Return the batches that exist, of any tenant, with their items."""
    if not batch_ids:
        return {}
    rows = connection.execute(_GET_MANY, {"ids": list(batch_ids)}).all()
    return _with_items(connection, rows)


def list_batches(
    connection: Connection, tenant: Tenant, *, before: BatchId | None, limit: int
) -> list[BatchRow]:
    """Return a page of a tenant's batches, newest first, without their items."""
    where = {"tenant": tenant, "before": before, "limit": limit}
    return _with_counts(connection, connection.execute(_LIST, where).all())


def is_deleted(connection: Connection, batch_id: BatchId, tenant: Tenant) -> bool:
    """Return whether the tenant had this batch and has deleted it."""
    where = {"id": batch_id, "tenant": tenant}
    return connection.execute(_DELETED, where).first() is not None


def _with_counts(connection: Connection, rows: Sequence[Row[tuple[object, ...]]]) -> list[BatchRow]:
    counts: dict[BatchId, Counter[JobState]] = {BatchId(row.id): Counter() for row in rows}
    takes = [row.take_id for row in rows if row.take_id is not None]
    for count in connection.execute(_COUNTS, {"ids": list(counts), "takes": takes}):
        counts[count.batch_id][JobState(count.state)] += count.items
    return [_row(row, counts[BatchId(row.id)], None, {}) for row in rows]


def _with_items(
    connection: Connection, rows: Sequence[Row[tuple[object, ...]]]
) -> dict[BatchId, BatchRow]:
    items: dict[BatchId, list[BatchItem]] = {BatchId(row.id): [] for row in rows}
    for row in connection.execute(_ITEMS, {"ids": list(items)}):
        items[row.batch_id].append(read_row(BatchItem, row))
    take_ids = [row.take_id for row in rows if row.take_id is not None]
    takes = {
        JobId(row.job_id): read_row(BatchTake, row)
        for row in (connection.execute(_TAKES, {"ids": take_ids}) if take_ids else ())
    }
    return {
        BatchId(row.id): _row(
            row, Counter(item.state for item in items[row.id]), items[row.id], takes
        )
        for row in rows
    }


def _row(
    row: Row[tuple[object, ...]],
    counts: Mapping[JobState, int],
    items: Sequence[BatchItem] | None,
    takes: Mapping[JobId, BatchTake],
) -> BatchRow:
    return read_row(BatchRow, row, counts=counts, items=items, take=takes.get(row.take_id))
