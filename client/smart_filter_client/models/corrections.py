"""Corrections of a job's results."""

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

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
class FaceChanges:
    """Faces that do not count, by their numbers, and missed ones, by their boxes as in `Face`.

    restore: alone, the faces are again those that the model detected.
    """

    remove: Sequence[int] = ()
    add: Sequence[Sequence[float]] = ()
    restore: bool = False

    def as_json(self) -> JsonObject:
        """Return the field `faces` of a correction.  Raises ValueError when it is unclear."""
        if bool(self.remove or self.add) == self.restore:
            raise ValueError("give FaceChanges `remove`, `add` or both, or `restore=True` alone")
        for box in self.add:
            if not all(map(math.isfinite, box)):
                raise ValueError(f"`add` has a box with a side that is no finite number: {box}")
        if self.restore:
            return {"restore": True}
        return {"remove": list(self.remove), "add": [list(box) for box in self.add]}


@dataclass(frozen=True, slots=True)
class Correction:
    """A stored correction; `derive` applies it.

    kind: matte, label or faces.  stage: the corrected one.  form: mask, strokes, label or faces.
    label, faces: as sent; None in another form.
    consent: whether it can be kept as a training example.
    expires_at: when it is deleted; None when it is kept with consent.
    """

    id: str
    job_id: str
    kind: str
    stage: str
    form: str
    label: tuple[FaceLabel, ...] | None
    faces: FaceChanges | None
    consent: bool
    created_at: dt.datetime | None
    expires_at: dt.datetime | None
    document: JsonObject = field(repr=False, compare=False)


def correction_from(document: object) -> Correction:
    """Parse a correction.  Raises UnexpectedAnswer."""
    fields = Fields(document, "a correction")
    label, faces = fields.object_or_none("label"), fields.object_or_none("faces")
    return Correction(
        id=fields.text("id"),
        job_id=fields.text("job_id"),
        kind=fields.text("kind"),
        stage=fields.text("stage"),
        form=fields.text("form"),
        label=None if label is None else tuple(map(_label, label.objects_or_none("faces") or ())),
        faces=None if faces is None else _face_changes(faces),
        consent=fields.boolean_or_none("consent") is True,
        created_at=fields.time_or_none("created_at"),
        expires_at=fields.time_or_none("expires_at"),
        document=fields.document,
    )


def _label(fields: Fields) -> FaceLabel:
    return FaceLabel(
        fields.integer("number"),
        cast("SmileLevel | None", fields.text_or_none("smile")),
        fields.boolean_or_none("left_open"),
        fields.boolean_or_none("right_open"),
    )


def _face_changes(fields: Fields) -> FaceChanges:
    return FaceChanges(
        tuple(map(int, fields.numbers("remove"))),
        fields.points("add"),
        fields.boolean_or_none("restore") is True,
    )
