"""Batches and albums; choices of many photos, and the steps of actions on them."""

from dataclasses import dataclass, field
from typing import Annotated

from smart_filter_wire.findings import TAKE, TakeReport
from smart_filter_wire.formats import Id, Limits, Moment, ProblemError, described
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


@dataclass(frozen=True, slots=True)
class ChoiceFailure:
    """A photo on which an action failed.  job_id: its version."""

    job_id: Id
    name: str | None
    error: BatchItemError


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A choice of photos, with the numbers of now.

    photos, jobs: without and with all versions.  pictures: photos with a finished picture.
    unfinished, failed: photos whose version is so.
    making: unfinished photos whose version was made since the choice.
    """

    id: Id
    photos: int
    jobs: int
    pictures: int
    unfinished: int
    failed: int
    making: int
    failures: tuple[ChoiceFailure, ...] = field(
        metadata=described("Versions made since the choice that have failed, at most 50")
    )
    undo_until: Moment | None = field(
        metadata=described(
            "Until when `restore` brings back what `delete` has deleted; until then no row and no "
            "object is removed. Null while nothing is deleted"
        )
    )


@dataclass(frozen=True, slots=True)
class ChosenPicture:
    """A finished picture of a choice.  name: of its file, with its folders."""

    job_id: Id
    name: str


@dataclass(frozen=True, slots=True)
class ChosenPictures:
    """Some pictures of a choice; repeat with `cursor` until `next_cursor` is null."""

    items: tuple[ChosenPicture, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceStep:
    """What one step of an action did; repeat with `cursor` until `next_cursor` is null.

    jobs: those that it has made.
    """

    done: int
    failures: tuple[ChoiceFailure, ...]
    next_cursor: str | None
    undo_until: Moment | None = None
    jobs: tuple[Id, ...] = ()
