"""The take of a burst: one picture with the best face of each person, and where each is from.

The job of a take imports its photo from the shots of its batch: the photos of the other jobs. The
column `jobs.take` has the shots once they are ranked, and the report once the take is composed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from smart_filter_shared.ids import JobId
from smart_filter_shared.typed_json import adapter
from smart_filter_wire.takes import TakeReport

MIN_SHOTS, MAX_SHOTS = 2, 12
# What an album composes: a number of its photos, or TAKE, the take of them.
Best: TypeAlias = int | Literal["take"]


@dataclass(frozen=True, slots=True)
class TakeShot:
    """One shot: the job of its photo, and its item in the batch."""

    job_id: JobId
    item: int


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
        document: dict[str, Any] = adapter(Take).dump_python(self, mode="json")
        return document


def read_take(stored: Mapping[str, Any]) -> Take:
    """Return the take that `jobs.take` stores.  Raises ValueError for one of a later version."""
    take: Take = adapter(Take).validate_python(stored)
    return take
