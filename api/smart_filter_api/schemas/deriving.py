"""Request models of derived jobs and corrections."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from smart_filter_api.intake.base64_text import max_text_bytes
from smart_filter_api.schemas.recipe import RecipeFields
from smart_filter_api.schemas.strokes import Stroke
from smart_filter_api.schemas.webhooks import Address
from smart_filter_shared.feedback.corrections import MAX_MASK_BYTES, MAX_STROKES
from smart_filter_wire.corrections import FaceChanges, Label


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
