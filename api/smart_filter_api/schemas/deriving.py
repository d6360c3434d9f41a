"""Request and response models of derived jobs and corrections."""

import uuid
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt

from smart_filter_api.intake.base64_text import max_text_bytes
from smart_filter_api.schemas.moments import UtcDatetime
from smart_filter_api.schemas.submissions import RecipeFields
from smart_filter_api.schemas.webhooks import Address
from smart_filter_shared.feedback.corrections import (
    MAX_FACES,
    MAX_MASK_BYTES,
    MAX_POINTS,
    MAX_STROKES,
    MAX_WIDTH_PX,
)
from smart_filter_shared.rating import SmileLevel


class DeriveRequest(BaseModel):
    """Changes to the parent's recipe; null resets a field to its default.

    correction_id: a correction of the parent to apply.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    recipe: RecipeFields | None = None
    correction_id: str | None = Field(default=None, max_length=100)
    webhook_url: Address | None = None


Point = Annotated[list[float], Field(min_length=2, max_length=2, description="x, y")]


class Stroke(BaseModel):
    """A line drawn on the photo, in pixels of the upright photo.

    keep: true where the line covers people, false where it covers background.
    snap: each point marks the area around it in place of the line: `part`, all that resembles it
    up to the next edge, at most a quarter of the matte, or `region`, a small piece of that.
    width: needed without snap.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)

    points: list[Point] = Field(min_length=1, max_length=MAX_POINTS)
    width: float | None = Field(default=None, gt=0, le=MAX_WIDTH_PX)
    keep: bool
    snap: Literal["part", "region"] | None = None


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


class CorrectionRequest(BaseModel):
    """A correction of a job's results: for `matte` a mask or strokes, for `label` a label.

    consent: whether it may be kept as training data until the job is deleted; false by default.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Literal["matte", "label"]
    stage: Literal["segmentation", "smile"]
    mask: str | None = Field(
        default=None,
        max_length=max_text_bytes(MAX_MASK_BYTES),
        description="A grayscale PNG in base64 with the size of the photo; white is people",
    )
    strokes: list[Stroke] | None = Field(default=None, min_length=1, max_length=MAX_STROKES)
    label: Label | None = None
    consent: StrictBool | None = None


class Correction(BaseModel):
    """A stored correction.

    form: mask, strokes or label.  label: as submitted.  models: the corrected models, by task.
    expires_at: when it is deleted; null when it is kept with consent.
    """

    id: uuid.UUID
    job_id: uuid.UUID
    kind: Literal["matte", "label"]
    stage: Literal["segmentation", "smile"]
    form: Literal["mask", "strokes", "label"]
    label: Label | None
    consent: bool
    models: dict[str, str]
    created_at: UtcDatetime
    expires_at: UtcDatetime | None


class CorrectionPage(BaseModel):
    """The corrections of a job, the oldest first."""

    items: list[Correction]
    next_cursor: str | None = None
