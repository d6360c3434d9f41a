"""Batches and albums."""

from dataclasses import dataclass
from typing import Annotated

from smart_filter_wire.formats import Id, Limits, Moment
from smart_filter_wire.problems import ProblemError
from smart_filter_wire.takes import TAKE, TakeReport
from smart_filter_wire.words import BatchState, JobState, StageName


@dataclass(frozen=True, slots=True)
class BatchItemError:
    """Why an item failed: the error of its job, or of its submission.

    stage: null for an item that was rejected at submission.
    errors: every invalid field of its recipe.
    """

    code: str
    title: str
    detail: str
    remedy: str
    stage: StageName | None
    errors: tuple[ProblemError, ...] | None = None


@dataclass(frozen=True, slots=True)
class BatchItem:
    """One photo of a batch.

    job_id: null for a rejected item.  rank: in an album, once the album is ranked.
    deleted: whether its job was deleted; the item keeps the job's last state.
    """

    index: int
    job_id: Id | None
    state: JobState
    error: BatchItemError | None
    rank: int | None
    deleted: bool


@dataclass(frozen=True, slots=True)
class Album:
    """How many photos of an album are composed, or their take, and when it was ranked."""

    best: int | Annotated[str, Limits({"pattern": f"^{TAKE}$"})]
    ranked_at: Moment | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Take(TakeReport):
    """One picture with the best face of each person.

    job_id: its job, whose outputs are the picture; link: of that job.
    """

    job_id: Id
    state: JobState
    error: BatchItemError | None
    link: str


@dataclass(frozen=True, slots=True)
class BatchLinks:
    """Links of a batch."""

    self: str
    events: str
    cancel: str


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """A batch without its items; jobs neither succeeded, failed nor canceled are unfinished."""

    id: Id
    state: BatchState
    total: int
    succeeded: int
    failed: int
    canceled: int
    album: Album | None
    created_at: Moment
    finished_at: Moment | None
    links: BatchLinks

    @property
    def is_final(self) -> bool:
        """Whether all of its photos have ended."""
        return self.finished_at is not None


@dataclass(frozen=True, slots=True)
class Batch(BatchSummary):
    """A batch: photos that were submitted together; take: null without one."""

    items: tuple[BatchItem, ...]
    take: Take | None = None


@dataclass(frozen=True, slots=True)
class BatchPage:
    """A page of batches, newest first; next_cursor: `cursor` of the next page."""

    items: tuple[BatchSummary, ...]
    next_cursor: str | None
