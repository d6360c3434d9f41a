"""How one picture was composed of several."""

from dataclasses import dataclass
from typing import Final

from smart_filter_wire.formats import Box

# What an album composes in place of a number of its photos.
TAKE: Final = "take"


@dataclass(frozen=True, slots=True)
class TakePerson:
    """A person of a take.

    person: from left to right, from 1.  box: x, y, width and height of the face in the take's
    photo.  items: whose face of this person fits, that of the base first.
    """

    person: int
    box: Box
    items: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TakeSwap:
    """A face from another photo than the base; reason: why."""

    person: int
    item: int
    reason: str


@dataclass(frozen=True, slots=True)
class TakeReport:
    """How a take was composed; items are those of its batch.

    base: the item of the photo that gets the faces; null until the take is composed.
    fallback: why it is that photo, with no other face.
    notes: why other photos or better faces were not used.
    """

    base: int | None = None
    swaps: tuple[TakeSwap, ...] = ()
    people: tuple[TakePerson, ...] = ()
    fallback: str | None = None
    notes: tuple[str, ...] = ()
