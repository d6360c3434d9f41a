"""Render batches as API answers."""

from smart_filter_api.presenters.job import with_remedy
from smart_filter_api.schemas import batches as schemas_batches
from smart_filter_api.schemas.batches import (
    Album,
    Batch,
    BatchItemError,
    BatchLinks,
    BatchSummary,
)
from smart_filter_shared.queue.batches import BatchItem, BatchRow
from smart_filter_shared.queue.states import JobState


def render_batch(row: BatchRow) -> Batch:
    """Return the answer for a batch whose items were loaded."""
    items = [_item(item) for item in row.items or ()]
    return Batch(**dict(render_summary(row)), items=items)


def render_summary(row: BatchRow) -> BatchSummary:
    """Return the answer for a batch, without its items."""
    path = f"/v1/batches/{row.id}"
    return BatchSummary(
        id=row.id,
        state=row.state,
        total=row.total,
        succeeded=row.counts.get(JobState.SUCCEEDED, 0),
        failed=row.counts.get(JobState.FAILED, 0),
        canceled=row.counts.get(JobState.CANCELED, 0),
        album=None if row.best is None else Album(best=row.best, ranked_at=row.ranked_at),
        created_at=row.created_at,
        finished_at=row.finished_at,
        links=BatchLinks(self=path, events=f"{path}/events", cancel=f"{path}/cancel"),
    )


def _item(item: BatchItem) -> schemas_batches.BatchItem:
    return schemas_batches.BatchItem(
        index=item.index,
        job_id=item.job_id,
        state=item.state,
        error=None if item.error is None else BatchItemError(**with_remedy(item.error)),
        rank=item.rank,
        deleted=item.is_deleted,
    )
