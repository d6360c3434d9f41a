"""Response models of takes: how one picture was composed of several."""

from pydantic import BaseModel, Field


class TakePerson(BaseModel):
    """A person of a take.

    person: from left to right, from 1.  box: x, y, width and height of the face in the take's
    photo.  items: whose face of this person fits, that of the base first.
    """

    person: int
    box: list[float] = Field(min_length=4, max_length=4)
    items: list[int]


class TakeSwap(BaseModel):
    """A face from another photo than the base; reason: why."""

    person: int
    item: int
    reason: str


class TakeReport(BaseModel):
    """How a take was composed; items are those of its batch.

    base: the item of the photo that gets the faces; null until the take is composed.
    fallback: why it is that photo, with no other face.
    notes: why other photos or better faces were not used.
    """

    base: int | None = None
    swaps: list[TakeSwap] = []
    people: list[TakePerson] = []
    fallback: str | None = None
    notes: list[str] = []
