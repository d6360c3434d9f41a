"""Response models of batches and albums."""

import uuid
from typing import Annotated

from pydantic import BaseModel, Field

from smart_filter_api.problems.problem import ProblemError
from smart_filter_api.schemas.moments import UtcDatetime
from smart_filter_api.schemas.takes import TakeReport
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue.batches import BatchState
from smart_filter_shared.queue.events import EventType
from smart_filter_shared.queue.states import JobState
from smart_filter_shared.takes import TAKE


class BatchItemError(BaseModel):
    """Why an item failed: the error of its job, or of its submission.

    stage: null for an item that was rejected at submission.
    errors: every invalid field of its recipe.
    """

    code: str
    title: str
    detail: str
    remedy: str
    stage: StageName | None
    errors: list[ProblemError] | None = None


class BatchItem(BaseModel):
    """One photo of a batch.

    job_id: null for a rejected item.  rank: in an album, once the album is ranked.
    deleted: whether its job was deleted; the item keeps the job's last state.
    """

    index: int
    job_id: uuid.UUID | None
    state: JobState
    error: BatchItemError | None
    rank: int | None
    deleted: bool


class Album(BaseModel):
    """How many photos of an album are composed, or their take, and when it was ranked."""

    best: int | Annotated[str, Field(pattern=f"^{TAKE}$")]
    ranked_at: UtcDatetime | None


class Take(TakeReport):
    """One picture with the best face of each person.

    job_id: its job, whose outputs are the picture; link: of that job.
    """

    job_id: uuid.UUID
    state: JobState
    error: BatchItemError | None
    link: str


class BatchLinks(BaseModel):
    """Links of a batch."""

    self: str
    events: str
    cancel: str


class BatchSummary(BaseModel):
    """A batch without its items; jobs neither succeeded, failed nor canceled are unfinished."""

    id: uuid.UUID
    state: BatchState
    total: int
    succeeded: int
    failed: int
    canceled: int
    album: Album | None
    created_at: UtcDatetime
    finished_at: UtcDatetime | None
    links: BatchLinks


class Batch(BatchSummary):
    """A batch: photos that were submitted together; take: null without one."""

    items: list[BatchItem]
    take: Take | None = None


class BatchPage(BaseModel):
    """A page of batches, newest first; next_cursor: `cursor` of the next page."""

    items: list[BatchSummary]
    next_cursor: str | None


class BatchEvent(BaseModel):
    """An event of a batch.

    data: the batch when the event is sent, without its items until it has finished.
    """

    type: EventType = Field(description="`batch.progress` or `batch.finished`")
    timestamp: UtcDatetime
    data: Batch | BatchSummary
