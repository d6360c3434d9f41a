"""Batches and albums, as answers show them."""

import uuid

from pydantic import BaseModel, Field

from smart_filter_api.problems import ProblemError
from smart_filter_api.schemas.moments import Moment
from smart_filter_shared.jobs.batches import BatchState
from smart_filter_shared.jobs.events import EventType
from smart_filter_shared.jobs.states import JobState
from smart_filter_shared.pipeline import StageName


class ItemErrorAnswer(BaseModel):
    """Why an item failed: as its job says it, or as it was refused at the door.

    stage: null for what was refused; errors: every field of its recipe that is wrong.
    """

    code: str
    title: str
    detail: str
    stage: StageName | None
    errors: list[ProblemError] | None = None


class BatchItemAnswer(BaseModel):
    """One photo of a batch.

    job_id: null for one that was refused.  rank: in an album, once that is ranked.
    deleted: whether its job was deleted; it counts as what it had become by then.
    """

    index: int
    job_id: uuid.UUID | None
    state: JobState
    error: ItemErrorAnswer | None
    rank: int | None
    deleted: bool


class AlbumAnswer(BaseModel):
    """How many of an album are composed, and when it was ranked."""

    best: int
    ranked_at: Moment | None


class BatchLinksAnswer(BaseModel):
    """Where to go from here."""

    self: str
    events: str
    cancel: str


class BatchSummary(BaseModel):
    """A batch without its items; what is neither succeeded, failed nor canceled is on its way."""

    id: uuid.UUID
    state: BatchState
    total: int
    succeeded: int
    failed: int
    canceled: int
    album: AlbumAnswer | None
    created_at: Moment
    finished_at: Moment | None
    links: BatchLinksAnswer


class BatchAnswer(BatchSummary):
    """Photos that were submitted together."""

    items: list[BatchItemAnswer]


class BatchPage(BaseModel):
    """A page of batches, newest first; next_cursor: what to ask the next page with."""

    items: list[BatchSummary]
    next_cursor: str | None


class BatchEventAnswer(BaseModel):
    """Something that happened to a batch; data: the batch as it is when this is told.

    Without its items until it has finished.
    """

    type: EventType = Field(description="`batch.progress` or `batch.finished`")
    timestamp: Moment
    data: BatchAnswer | BatchSummary
