"""Jobs derived from others, and corrections, as requests and answers show them."""

import uuid
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from smart_filter_api.schemas.moments import Moment
from smart_filter_api.schemas.webhooks import Address
from smart_filter_shared.jobs.corrections import (
    MOST_FACES,
    MOST_MASK_BYTES,
    MOST_POINTS,
    MOST_STROKES,
    WIDEST_PX,
)
from smart_filter_shared.rating import SmileLevel


class DeriveRequest(BaseModel):
    """What is to be different from the parent; null: as when nothing is said.

    correction_id: a correction of the parent that is to be applied.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    recipe: dict[str, Any] | None = Field(default=None, description="as in a submission by JSON")
    correction_id: str | None = Field(default=None, max_length=100)
    webhook_url: Address | None = None


Point = Annotated[list[float], Field(min_length=2, max_length=2, description="x, y")]


class StrokeRequest(BaseModel):
    """A line that somebody drew, in pixels of the upright photo.

    keep: whether what it covers is people.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    points: list[Point] = Field(min_length=1, max_length=MOST_POINTS)
    width: float = Field(gt=0, le=WIDEST_PX)
    keep: StrictBool


class FaceLabel(BaseModel):
    """What is right of one face; what is not given stays as the models saw it.

    number: as `faces` are listed, 1 the first.
    """

    model_config = ConfigDict(extra="forbid")

    number: int = Field(ge=1, le=MOST_FACES)
    smile: SmileLevel | None = None
    left_open: StrictBool | None = None
    right_open: StrictBool | None = None


class LabelRequest(BaseModel):
    """What is right of a photo's faces."""

    model_config = ConfigDict(extra="forbid")

    faces: list[FaceLabel] = Field(min_length=1, max_length=MOST_FACES)


class CorrectionRequest(BaseModel):
    """What is right of a job's results: of `matte` a mask or strokes, of `label` a label.

    consent: whether it may be kept as training material, until the job is deleted.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Literal["matte", "label"]
    stage: Literal["segmentation", "smile"]
    mask: str | None = Field(
        default=None,
        max_length=-(-MOST_MASK_BYTES // 3) * 4,
        description="a PNG in base64, grey, of the photo's size; white is people",
    )
    strokes: list[StrokeRequest] | None = Field(default=None, min_length=1, max_length=MOST_STROKES)
    label: LabelRequest | None = None
    consent: StrictBool


class CorrectionAnswer(BaseModel):
    """A correction that is kept.

    form: mask, strokes or label; label: as it was sent.  models: those that it corrects, by task.
    expires_at: when it goes; null when it is kept with consent.
    """

    id: uuid.UUID
    job_id: uuid.UUID
    kind: Literal["matte", "label"]
    stage: Literal["segmentation", "smile"]
    form: Literal["mask", "strokes", "label"]
    label: LabelRequest | None
    consent: bool
    models: dict[str, str]
    created_at: Moment
    expires_at: Moment | None


class CorrectionPage(BaseModel):
    """The corrections of a job, the oldest first."""

    items: list[CorrectionAnswer]
    next_cursor: str | None = None
