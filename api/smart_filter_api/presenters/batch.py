"""Render batches as API answers."""

from typing import Any

from smart_filter_api.presenters.fields import render_as
from smart_filter_api.presenters.job import with_remedy
from smart_filter_shared.queue import batches
from smart_filter_shared.queue.batches import BatchRow, BatchTake
from smart_filter_shared.queue.states import JobState
from smart_filter_shared.takes import read_take
from smart_filter_shared.typed_json import read_as
from smart_filter_wire.batches import (
    Album,
    Batch,
    BatchItem,
    BatchItemError,
    BatchLinks,
    BatchSummary,
    Take,
)
from smart_filter_wire.jobs import FINAL_STATES
from smart_filter_wire.takes import TAKE, TakeReport


def render_batch(row: BatchRow) -> Batch:
    """Return the answer for a batch whose items were loaded."""
    items = tuple(map(_item, row.items or ()))
    take = None if row.take is None else _take(row.take)
    return render_as(Batch, row, **_counts_and_links(row), items=items, take=take)


def render_summary(row: BatchRow) -> BatchSummary:
    """Return the answer for a batch, without its items."""
    return render_as(BatchSummary, row, **_counts_and_links(row))


def _counts_and_links(row: BatchRow) -> dict[str, Any]:  # fields of BatchSummary
    path = f"/v1/batches/{row.id}"
    return {
        **{state: row.counts.get(JobState(state), 0) for state in FINAL_STATES},
        "album": None
        if row.best is None
        else Album(best=row.best if row.take_id is None else TAKE, ranked_at=row.ranked_at),
        "links": BatchLinks(self=path, events=f"{path}/events", cancel=f"{path}/cancel"),
    }


def _item(item: batches.BatchItem) -> BatchItem:
    error = read_as(BatchItemError, with_remedy(item.error))
    return render_as(BatchItem, item, error=error, deleted=item.is_deleted)


def _take(job: BatchTake) -> Take:
    return render_as(
        Take,
        read_take(job.take).report or TakeReport(),
        job_id=job.job_id,
        state=job.state,
        error=read_as(BatchItemError, with_remedy(job.error)),
        link=f"/v1/jobs/{job.job_id}",
    )
