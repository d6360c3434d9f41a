"""Batches: photos that were submitted together."""

import datetime as dt
from dataclasses import dataclass, field

from smart_filter_client.fields import Fields, JsonObject
from smart_filter_client.models.jobs import Failure, failure_from


@dataclass(frozen=True, slots=True)
class BatchItem:
    """One photo of a batch.

    job_id: None of one that was refused; `error` says why then.
    rank: in an album, 1 the best, once that is ranked.
    """

    index: int
    job_id: str | None
    state: str
    error: Failure | None
    rank: int | None


@dataclass(frozen=True, slots=True)
class Album:
    """How many of the best are composed, and when it was ranked."""

    best: int
    ranked_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Batch:
    """Photos that were submitted together; what is in none of the three counts is on its way.

    items: one for each photo, in their order; empty where a list or an event leaves them out.
    document: the answer as it came.
    """

    id: str
    state: str
    total: int
    succeeded: int
    failed: int
    canceled: int
    items: tuple[BatchItem, ...]
    album: Album | None
    created_at: dt.datetime | None
    finished_at: dt.datetime | None
    document: JsonObject = field(repr=False, compare=False)

    @property
    def is_final(self) -> bool:
        """Whether none of its photos is on its way any more."""
        if "finished_at" in self.document:
            return self.finished_at is not None
        return self.succeeded + self.failed + self.canceled >= self.total


def batch_from(document: object) -> Batch:
    """Return the batch that an answer describes; raises UnexpectedAnswer when it is none."""
    fields = Fields(document, "a batch")
    return Batch(
        id=fields.text("id"),
        state=fields.text("state"),
        total=fields.integer("total"),
        succeeded=fields.integer("succeeded"),
        failed=fields.integer("failed"),
        canceled=fields.integer("canceled"),
        items=tuple(map(_item, fields.objects_or_none("items") or ())),
        album=_album(fields.object_or_none("album")),
        created_at=fields.time_or_none("created_at"),
        finished_at=fields.time_or_none("finished_at"),
        document=fields.document,
    )


def _item(fields: Fields) -> BatchItem:
    return BatchItem(
        index=fields.integer("index"),
        job_id=fields.text_or_none("job_id"),
        state=fields.text("state"),
        error=failure_from(fields.object_or_none("error")),
        rank=fields.integer_or_none("rank"),
    )


def _album(fields: Fields | None) -> Album | None:
    if fields is None:
        return None
    return Album(fields.integer("best"), fields.time_or_none("ranked_at"))
