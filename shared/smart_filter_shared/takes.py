"""The take of a burst: one picture with the best face of each person, and where each is from.

The job of a take imports its photo from the shots of its batch: the photos of the other jobs. The
column `jobs.take` has the shots once they are ranked, and the report once the take is composed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from pydantic import TypeAdapter

from smart_filter_shared.ids import JobId

MIN_SHOTS, MAX_SHOTS = 2, 12
# What an album composes: a number of its photos, or the take of them.
TAKE: Final = "take"
Best: TypeAlias = int | Literal["take"]


@dataclass(frozen=True, slots=True)
class TakeShot:
    """One shot: the job of its photo, and its item in the batch."""

    job_id: JobId
    item: int


@dataclass(frozen=True, slots=True)
class TakePerson:
    """A person of the base shot.

    person: from left to right, from 1.  box: x, y, width and height of the face in the take.
    item: the shot that the face is from.  reason: why it is not the base's; None if it is.
    items: the shots whose face of this person fits, the base first.
    """

    person: int
    box: tuple[float, float, float, float]
    item: int
    reason: str | None
    items: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TakeReport:
    """How a take was composed.

    base: the item of the base shot.
    notes: why other shots or better faces were not used.
    fallback: why the take is the base shot as it is; None when a face was replaced.
    """

    base: int
    people: tuple[TakePerson, ...]
    notes: tuple[str, ...]
    fallback: str | None

    @property
    def swaps(self) -> tuple[TakePerson, ...]:
        """The people whose faces are from other shots."""
        return tuple(person for person in self.people if person.item != self.base)


@dataclass(frozen=True, slots=True)
class Take:
    """The take of a job.

    shots: the best first; empty until they are ranked.
    chosen: the item that a person's face is to be from, where a user has chosen it.
    report: None until the take is composed.
    """

    shots: tuple[TakeShot, ...] = ()
    chosen: Mapping[int, int] = field(default_factory=dict)
    report: TakeReport | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the take as `jobs.take` stores it."""
        document: dict[str, Any] = _TAKE.dump_python(self, mode="json")
        return document


_TAKE: Final = TypeAdapter(Take)


def read_take(stored: Mapping[str, Any]) -> Take:
    """Return the take that `jobs.take` stores.  Raises ValueError for one of a later version."""
    return _TAKE.validate_python(stored)
