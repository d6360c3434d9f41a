"""Corrections of a job's results."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from smart_filter_client.fields import Fields, JsonObject
from smart_filter_client.models.faces import SmileLevel


@dataclass(frozen=True, slots=True)
class Stroke:
    """A drawn line, as x, y in pixels of the upright photo.

    keep: whether the covered area is people.  width: None with `snap`, by which each point marks a
    region of the photo, or a part of similar color, in place of the line.
    """

    points: Sequence[tuple[float, float]]
    width: float | None = None
    keep: bool = False
    snap: Literal["part", "region"] | None = None


@dataclass(frozen=True, slots=True)
class FaceLabel:
    """The right labels of one face; None keeps the models' result.

    number: as a job's `faces` are listed, 1 the first.
    """

    number: int
    smile: SmileLevel | None = None
    left_open: bool | None = None
    right_open: bool | None = None


@dataclass(frozen=True, slots=True)
class Correction:
    """A stored correction; `derive` applies it.

    kind: matte or label.  consent: whether it can be kept as a training example.
    expires_at: when it is deleted; None when it is kept with consent.
    """

    id: str
    job_id: str
    kind: str
    consent: bool
    created_at: dt.datetime | None
    expires_at: dt.datetime | None
    document: JsonObject = field(repr=False, compare=False)


def correction_from(document: object) -> Correction:
    """Parse a correction.  Raises UnexpectedAnswer."""
    fields = Fields(document, "a correction")
    return Correction(
        id=fields.text("id"),
        job_id=fields.text("job_id"),
        kind=fields.text("kind"),
        consent=fields.boolean_or_none("consent") is True,
        created_at=fields.time_or_none("created_at"),
        expires_at=fields.time_or_none("expires_at"),
        document=fields.document,
    )
