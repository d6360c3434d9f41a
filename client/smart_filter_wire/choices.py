"""Choices of many photos, and the steps of actions on them."""

from dataclasses import dataclass, field

from smart_filter_wire.batches import BatchItemError
from smart_filter_wire.formats import Id, Moment, described


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
