"""Render batches as API answers."""

from smart_filter_api.presenters.fields import render_as
from smart_filter_api.presenters.job import with_remedy
from smart_filter_api.schemas import batches as schemas_batches
from smart_filter_api.schemas.batches import (
    Album,
    Batch,
    BatchItemError,
    BatchLinks,
    BatchSummary,
    Take,
)
from smart_filter_api.schemas.takes import TakeReport
from smart_filter_shared.queue.batches import BatchItem, BatchRow, BatchTake, Json
from smart_filter_shared.queue.states import JobState
from smart_filter_shared.takes import TAKE, read_take


def render_batch(row: BatchRow) -> Batch:
    """Return the answer for a batch whose items were loaded."""
    items = [_item(item) for item in row.items or ()]
    take = None if row.take is None else _take(row.take)
    return Batch(**dict(render_summary(row)), items=items, take=take)


def render_summary(row: BatchRow) -> BatchSummary:
    """Return the answer for a batch, without its items."""
    path = f"/v1/batches/{row.id}"
    return render_as(
        BatchSummary,
        row,
        succeeded=row.counts.get(JobState.SUCCEEDED, 0),
        failed=row.counts.get(JobState.FAILED, 0),
        canceled=row.counts.get(JobState.CANCELED, 0),
        album=None
        if row.best is None
        else Album(best=row.best if row.take_id is None else TAKE, ranked_at=row.ranked_at),
        links=BatchLinks(self=path, events=f"{path}/events", cancel=f"{path}/cancel"),
    )


def _item(item: BatchItem) -> schemas_batches.BatchItem:
    return render_as(
        schemas_batches.BatchItem, item, error=_error(item.error), deleted=item.is_deleted
    )


def _take(job: BatchTake) -> Take:
    report = read_take(job.take).report
    composed = TakeReport() if report is None else render_as(TakeReport, report)
    return render_as(
        Take, job, **dict(composed), error=_error(job.error), link=f"/v1/jobs/{job.job_id}"
    )


def _error(error: Json | None) -> BatchItemError | None:
    return None if error is None else BatchItemError(**with_remedy(error))
