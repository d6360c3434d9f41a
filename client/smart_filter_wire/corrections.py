"""Corrections of a job's results, as they are sent and answered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Final, Literal

from smart_filter_wire.formats import Id, Limits, Moment
from smart_filter_wire.words import SmileLevel

MAX_FACES: Final = 200
# Faces that users add to one job: a worker looks at each for about 50 ms.
MAX_ADDED_FACES: Final = 50

_EXACT: Final = {"extra": "forbid", "allow_inf_nan": False}  # documents of clients
_Flag = Annotated[bool, Limits({"strict": True})]
_Number = Annotated[int, Limits({"ge": 1, "strict": True})]
_Side = Annotated[float, Limits({"strict": True})]
_Sides = Annotated[list[_Side], Limits({"min_length": 4, "max_length": 4}, "x, y, width, height")]


@dataclass(frozen=True, slots=True)
class FaceLabel:
    """Correct labels of one face; omitted labels stay as the models rated them.

    number: position of the face in `faces`, starting at 1.
    """

    __pydantic_config__: ClassVar[Any] = _EXACT

    number: Annotated[int, Limits({"ge": 1, "le": MAX_FACES, "strict": True})]
    smile: SmileLevel | None = None
    left_open: _Flag | None = None
    right_open: _Flag | None = None


@dataclass(frozen=True, slots=True)
class Label:
    """Correct labels of a photo's faces."""

    __pydantic_config__: ClassVar[Any] = _EXACT

    faces: list[FaceLabel] = field(metadata={"min_length": 1, "max_length": MAX_FACES})


@dataclass(frozen=True, slots=True)
class FaceChanges:
    """Faces that do not count and faces that were missed.

    remove: positions in `faces`, starting at 1.  add: boxes in pixels of the upright photo.
    restore: true alone brings back the faces as the model found them.
    """

    __pydantic_config__: ClassVar[Any] = _EXACT

    remove: list[_Number] | None = field(default=None, metadata={"max_length": MAX_FACES})
    add: list[_Sides] | None = field(default=None, metadata={"max_length": MAX_ADDED_FACES})
    restore: _Flag | None = None


@dataclass(frozen=True, slots=True)
class Correction:
    """A stored correction.

    form: mask, strokes, label or faces.  label, faces: as submitted.
    models: the corrected models, by task.
    expires_at: when it is deleted; null when it is kept with consent.
    """

    id: Id
    job_id: Id
    kind: Literal["matte", "label", "faces"]
    stage: Literal["segmentation", "smile", "face"]
    form: Literal["mask", "strokes", "label", "faces"]
    label: Label | None
    faces: FaceChanges | None
    consent: bool
    models: Mapping[str, str]
    created_at: Moment
    expires_at: Moment | None


@dataclass(frozen=True, slots=True)
class CorrectionPage:
    """The corrections of a job, the oldest first."""

    items: tuple[Correction, ...]
    next_cursor: str | None = None
