"""Batches: photos that were submitted together."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Literal, cast

from smart_filter_client.fields import Fields, JsonObject
from smart_filter_client.models.jobs import Failure, JobState, failure_from

BatchState = Literal["running", "finished"]


@dataclass(frozen=True, slots=True)
class BatchItem:
    """One photo of a batch.

    job_id: None for a rejected item; `error` has the reason.
    rank: in a ranked album, 1 is the best.
    """

    index: int
    job_id: str | None
    state: JobState
    error: Failure | None
    rank: int | None


@dataclass(frozen=True, slots=True)
class Album:
    """How many of the best photos are composed, or their take, and when the album was ranked."""

    best: int | Literal["take"]
    ranked_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Swap:
    """A face of a take that is from the photo of another item, and why."""

    person: int
    item: int
    reason: str


@dataclass(frozen=True, slots=True)
class Take:
    """One picture with the best face of each person.

    job_id: its job.  base: the item of the photo that gets the faces, once it is composed.
    fallback: why it is that photo as it is.  notes: why other photos or faces were not used.
    """

    job_id: str
    state: JobState
    error: Failure | None
    base: int | None
    swaps: tuple[Swap, ...]
    fallback: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """Photos that were submitted together; those in none of the three counts are unfinished.

    items: one for each photo, in order; empty in lists and events.
    take: None without one, and in lists and events.
    document: the unparsed JSON.
    """

    id: str
    state: BatchState
    total: int
    succeeded: int
    failed: int
    canceled: int
    items: tuple[BatchItem, ...]
    album: Album | None
    created_at: dt.datetime | None
    finished_at: dt.datetime | None
    take: Take | None
    document: JsonObject = field(repr=False, compare=False)

    @property
    def is_final(self) -> bool:
        """Whether all of its photos have ended."""
        if "finished_at" in self.document:
            return self.finished_at is not None
        return self.succeeded + self.failed + self.canceled >= self.total


def batch_from(document: object) -> Batch:
    """Parse a batch.  Raises UnexpectedAnswer."""
    fields = Fields(document, "a batch")
    return Batch(
        id=fields.text("id"),
        state=cast("BatchState", fields.text("state")),
        total=fields.integer("total"),
        succeeded=fields.integer("succeeded"),
        failed=fields.integer("failed"),
        canceled=fields.integer("canceled"),
        items=tuple(map(_item_from, fields.objects_or_none("items") or ())),
        album=_album_from(fields.object_or_none("album")),
        created_at=fields.time_or_none("created_at"),
        finished_at=fields.time_or_none("finished_at"),
        take=_take_from(fields.object_or_none("take")),
        document=fields.document,
    )


def _item_from(fields: Fields) -> BatchItem:
    return BatchItem(
        index=fields.integer("index"),
        job_id=fields.text_or_none("job_id"),
        state=cast("JobState", fields.text("state")),
        error=failure_from(fields.object_or_none("error")),
        rank=fields.integer_or_none("rank"),
    )


def _album_from(fields: Fields | None) -> Album | None:
    if fields is None:
        return None
    is_take = fields.document.get("best") == "take"
    return Album("take" if is_take else fields.integer("best"), fields.time_or_none("ranked_at"))


def _take_from(fields: Fields | None) -> Take | None:
    if fields is None:
        return None
    return Take(
        job_id=fields.text("job_id"),
        state=cast("JobState", fields.text("state")),
        error=failure_from(fields.object_or_none("error")),
        base=fields.integer_or_none("base"),
        swaps=tuple(
            Swap(swap.integer("person"), swap.integer("item"), swap.text("reason"))
            for swap in fields.objects_or_none("swaps") or ()
        ),
        fallback=fields.text_or_none("fallback"),
        notes=fields.texts("notes"),
    )
