"""What is read of batches: their items, and counts, which are counted each time.

Behind an item stands a job; or a gap, when it was refused at the door, or its job deleted since.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, text

from smart_filter_shared.ids import BatchId, JobId, Tenant
from smart_filter_shared.jobs.states import JobState

MOST_ITEMS = 1000

Json = Mapping[str, Any]  # what a JSONB column holds; parsed where it is used

_COLUMNS = "id, tenant, total, best, ranked_at, created_at, finished_at, webhook_url"
_FIND = text(f"""
    SELECT {_COLUMNS} FROM batches
    WHERE id = :id AND tenant = :tenant AND deleted_at IS NULL
""")  # noqa: S608 - the columns stand above
_AMONG = text(f"""
    SELECT {_COLUMNS} FROM batches WHERE id = ANY(:ids) AND deleted_at IS NULL
""")  # noqa: S608 - the columns stand above
_LISTED = text(f"""
    SELECT {_COLUMNS} FROM batches
    WHERE tenant = :tenant AND deleted_at IS NULL
        AND (CAST(:before AS uuid) IS NULL OR id < :before)
    ORDER BY id DESC LIMIT :limit
""")  # noqa: S608 - the columns stand above
_ITEMS = text("""
    SELECT batch_id, batch_index AS place, id AS job_id, error, album_rank AS rank,
        coalesce(outcome, CASE WHEN EXISTS (
            SELECT FROM stages WHERE stages.job_id = jobs.id AND started_at IS NOT NULL
        ) THEN 'running' ELSE 'queued' END) AS state, false AS deleted
    FROM jobs WHERE batch_id = ANY(:ids)
    UNION ALL
    SELECT batch_id, index, job_id, error, NULL, outcome, job_id IS NOT NULL
    FROM batch_gaps WHERE batch_id = ANY(:ids)
    ORDER BY batch_id, place
""")
# Of jobs from the index `jobs_of_batch` alone; one that has not ended is one that has not ended.
_COUNTS = text("""
    SELECT batch_id, coalesce(outcome, 'running') AS state, count(*) AS items
    FROM jobs WHERE batch_id = ANY(:ids) GROUP BY 1, 2
    UNION ALL
    SELECT batch_id, outcome, count(*) FROM batch_gaps WHERE batch_id = ANY(:ids) GROUP BY 1, 2
""")
_DELETED = text("""
    SELECT FROM tombstones WHERE job_id = :id AND tenant = :tenant
    UNION ALL
    SELECT FROM batches WHERE id = :id AND tenant = :tenant AND deleted_at IS NOT NULL
""")


class BatchState(StrEnum):
    """Where a batch stands; finished: no job of it is unfinished."""

    RUNNING = "running"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class Item:
    """One photo of a batch.

    job_id: None for one that was refused at the door.  error: why it failed, if it did.
    rank: in an album, once that is ranked.  is_deleted: whether its job was, which counts as what
    it had become by then.
    """

    index: int
    job_id: JobId | None
    state: JobState
    error: Json | None
    rank: int | None
    is_deleted: bool


@dataclass(frozen=True, slots=True)
class BatchRow:
    """What is known of one batch.

    best: of an album, how many are composed; None for a batch that is none.
    counts: how many of its items are in which state; in a list those that have not ended all
        count as running.
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
    items: Sequence[Item] | None

    @property
    def state(self) -> BatchState:
        """Where it stands."""
        return BatchState.RUNNING if self.finished_at is None else BatchState.FINISHED


def find(connection: Connection, batch_id: BatchId, tenant: Tenant) -> BatchRow | None:
    """Return a tenant's batch with its items, or None when the tenant has no such batch."""
    row = connection.execute(_FIND, {"id": batch_id, "tenant": tenant}).one_or_none()
    return None if row is None else _with_items(connection, [row])[batch_id]


def among(connection: Connection, batch_ids: Collection[BatchId]) -> dict[BatchId, BatchRow]:
    """Return those of the batches that there are, whosever they are, with their items."""
    if not batch_ids:
        return {}
    rows = connection.execute(_AMONG, {"ids": list(batch_ids)}).all()
    return _with_items(connection, rows)


def listed(
    connection: Connection, tenant: Tenant, *, before: BatchId | None, limit: int
) -> list[BatchRow]:
    """Return a page of a tenant's batches, newest first, without their items."""
    where = {"tenant": tenant, "before": before, "limit": limit}
    rows = connection.execute(_LISTED, where).all()
    counts: dict[BatchId, Counter[JobState]] = {BatchId(row.id): Counter() for row in rows}
    for count in connection.execute(_COUNTS, {"ids": list(counts)}):
        counts[count.batch_id][JobState(count.state)] += count.items
    return [_row(row, counts[row.id], None) for row in rows]


def is_deleted(connection: Connection, batch_id: BatchId, tenant: Tenant) -> bool:
    """Whether a tenant has deleted this batch of its own."""
    where = {"id": batch_id, "tenant": tenant}
    return connection.execute(_DELETED, where).first() is not None


def _with_items(
    connection: Connection, rows: Sequence[Row[tuple[object, ...]]]
) -> dict[BatchId, BatchRow]:
    items: dict[BatchId, list[Item]] = {BatchId(row.id): [] for row in rows}
    for row in connection.execute(_ITEMS, {"ids": list(items)}):
        items[row.batch_id].append(
            Item(
                index=row.place,
                job_id=None if row.job_id is None else JobId(row.job_id),
                state=JobState(row.state),
                error=row.error,
                rank=row.rank,
                is_deleted=row.deleted,
            )
        )
    return {
        BatchId(row.id): _row(row, Counter(one.state for one in items[row.id]), items[row.id])
        for row in rows
    }


def _row(
    row: Row[tuple[object, ...]], counts: Mapping[JobState, int], items: Sequence[Item] | None
) -> BatchRow:
    return BatchRow(
        id=BatchId(row.id),
        tenant=Tenant(row.tenant),
        total=row.total,
        best=row.best,
        ranked_at=row.ranked_at,
        created_at=row.created_at,
        finished_at=row.finished_at,
        webhook_url=row.webhook_url,
        counts=counts,
        items=items,
    )
