"""Request and response models of derived jobs and corrections."""

import uuid
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt

from smart_filter_api.intake.base64_text import max_text_bytes
from smart_filter_api.schemas.moments import UtcDatetime
from smart_filter_api.schemas.recipe import RecipeFields
from smart_filter_api.schemas.strokes import Stroke
from smart_filter_api.schemas.webhooks import Address
from smart_filter_shared.feedback.corrections import (
    MAX_ADDED_FACES,
    MAX_FACES,
    MAX_MASK_BYTES,
    MAX_STROKES,
)
from smart_filter_shared.rating import SmileLevel


class DeriveRequest(BaseModel):
    """Changes to the parent's recipe; null resets a field to its default.

    correction_id: a correction of the parent to apply.
    faces: of a take, the item that each person's face is to be from, by the person's number.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    recipe: RecipeFields | None = None
    correction_id: str | None = Field(default=None, max_length=100)
    webhook_url: Address | None = None
    faces: (
        dict[Annotated[str, Field(pattern=r"^[1-9]\d?$")], Annotated[int, Field(ge=0)]] | None
    ) = Field(default=None, min_length=1)


class FaceLabel(BaseModel):
    """Correct labels of one face; omitted labels stay as the models rated them.

    number: position of the face in `faces`, starting at 1.
    """

    model_config = ConfigDict(extra="forbid")

    number: StrictInt = Field(ge=1, le=MAX_FACES)
    smile: SmileLevel | None = None
    left_open: StrictBool | None = None
    right_open: StrictBool | None = None


class Label(BaseModel):
    """Correct labels of a photo's faces."""

    model_config = ConfigDict(extra="forbid")

    faces: list[FaceLabel] = Field(min_length=1, max_length=MAX_FACES)


class FaceChanges(BaseModel):
    """Faces that do not count and faces that were missed.

    remove: positions in `faces`, starting at 1.  add: boxes in pixels of the upright photo.
    restore: true alone brings back the faces as the model found them.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)

    remove: list[Annotated[int, Field(ge=1)]] | None = Field(default=None, max_length=MAX_FACES)
    add: (
        list[
            Annotated[
                list[float],
                Field(min_length=4, max_length=4, description="x, y, width, height"),
            ]
        ]
        | None
    ) = Field(default=None, max_length=MAX_ADDED_FACES)
    restore: bool | None = None


class CorrectionRequest(BaseModel):
    """A correction of a job's results, in the field that its kind names.

    `matte` needs a mask or strokes.
    consent: whether it may be kept as training data until the job is deleted; false by default.
    Nothing is learned from `faces`.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Literal["matte", "label", "faces"]
    stage: Literal["segmentation", "smile", "face"]
    mask: str | None = Field(
        default=None,
        max_length=max_text_bytes(MAX_MASK_BYTES),
        description="A grayscale PNG in base64 with the size of the photo; white is people",
    )
    strokes: list[Stroke] | None = Field(default=None, min_length=1, max_length=MAX_STROKES)
    label: Label | None = None
    faces: FaceChanges | None = None
    consent: StrictBool | None = None


class Correction(BaseModel):
    """A stored correction.

    form: mask, strokes, label or faces.  label, faces: as submitted.
    models: the corrected models, by task.
    expires_at: when it is deleted; null when it is kept with consent.
    """

    id: uuid.UUID
    job_id: uuid.UUID
    kind: Literal["matte", "label", "faces"]
    stage: Literal["segmentation", "smile", "face"]
    form: Literal["mask", "strokes", "label", "faces"]
    label: Label | None
    faces: FaceChanges | None
    consent: bool
    models: dict[str, str]
    created_at: UtcDatetime
    expires_at: UtcDatetime | None


class CorrectionPage(BaseModel):
    """The corrections of a job, the oldest first."""

    items: list[Correction]
    next_cursor: str | None = None
