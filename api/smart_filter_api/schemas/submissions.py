"""Models of requests that submit photos, and of lists and events of their jobs.

`intake` parses the bodies, as it does the recipe (`schemas.recipe`).
"""

import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from smart_filter_api.http.strict_json import max_text_bytes
from smart_filter_api.schemas.parameters import Address
from smart_filter_api.schemas.recipe import OPTIONAL, Metadata, RecipeFields
from smart_filter_shared.albums import MAX_SHOTS, MIN_SHOTS
from smart_filter_shared.feedback.corrections import (
    MAX_MASK_BYTES,
    MAX_POINTS,
    MAX_STROKES,
    MAX_WIDTH_PX,
)
from smart_filter_shared.queue.batches import MAX_ITEMS
from smart_filter_shared.queue.events import EventType
from smart_filter_shared.security import urls
from smart_filter_shared.security.photo_header import MAX_PHOTO_BYTES
from smart_filter_wire.batches import Batch, BatchSummary
from smart_filter_wire.corrections import FaceChanges, Label
from smart_filter_wire.findings import TAKE
from smart_filter_wire.formats import Moment, described
from smart_filter_wire.jobs import Job
from smart_filter_wire.words import StageName

Point = Annotated[list[float], Field(min_length=2, max_length=2, description="x, y")]


class Stroke(BaseModel):
    """A line drawn on the photo, in pixels of the upright photo.

    keep: true where the line covers people, false where it covers background.
    snap: the line marks the areas below it, up to their edges: `part`, all that resembles what is
    there, at most a quarter of the matte, or `region`, a small piece of that.
    width: needed without snap; with it, nothing beyond the line is marked.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)

    points: list[Point] = Field(min_length=1, max_length=MAX_POINTS)
    width: float | None = Field(default=None, gt=0, le=MAX_WIDTH_PX)
    keep: bool
    snap: Literal["part", "region"] | None = None


Strokes = Annotated[list[Stroke], Field(min_length=1, max_length=MAX_STROKES)]


class SentStrokes(BaseModel):
    """The strokes of a submission."""

    strokes: Strokes


Url = Annotated[
    str, Field(min_length=1, max_length=urls.MAX_CHARACTERS, json_schema_extra={"format": "uri"})
]
PhotoBase64 = Annotated[str, Field(min_length=4, json_schema_extra={"contentEncoding": "base64"})]

_WEBHOOK_DESCRIPTION = "Receives the final event, signed with the secret of the webhook `default`"


class _PhotoElsewhere(BaseModel):
    """A photo that is not in the request, and the name of its file."""

    model_config = OPTIONAL

    photo_url: Url | None = Field(
        default=None,
        description="In place of the photo: its URL on a public host; a worker fetches it",
    )
    upload_id: uuid.UUID | None = Field(
        default=None,
        description="In place of the photo: the `upload_id` from `POST /v1/uploads`, after the "
        "photo was uploaded there",
    )
    photo_name: str | None = Field(
        default=None,
        description="Name of the photo's file; by default the one of the form's part `photo`",
    )


class SubmitJobRequest(_PhotoElsewhere):
    """A photo and its recipe; send exactly one of photo_base64, photo_url and upload_id."""

    photo_base64: PhotoBase64 | None = Field(
        default=None, description="The photo's bytes, with the limits of the part `photo`"
    )
    webhook_url: Url | None = Field(default=None, description=_WEBHOOK_DESCRIPTION)
    strokes: Strokes | None = Field(
        default=None,
        description="Drawn over the photo as it is sent, in its pixels as EXIF turns them",
    )
    recipe: RecipeFields | None = None


class CreateBatchItem(_PhotoElsewhere):
    """A photo of a batch; send exactly one of photo_base64, photo_url and upload_id."""

    photo_base64: PhotoBase64 | None = Field(
        default=None,
        description="The photo's bytes; all photos of a batch together have at most "
        f"{MAX_PHOTO_BYTES} bytes",
    )
    recipe: RecipeFields | None = Field(
        default=None, description="Its fields override those of the batch's `recipe`"
    )
    metadata: Metadata | None = Field(
        default=None, description="Own values by name, returned with the job of this photo"
    )


class AlbumRequest(BaseModel):
    """Rank the photos of a batch, and compose the best, or one picture of them all."""

    model_config = ConfigDict(extra="forbid")

    best: Annotated[int, Field(ge=0, le=MAX_ITEMS)] | Annotated[str, Field(pattern=f"^{TAKE}$")] = (
        Field(
            description="Number of photos to compose, the best by rank; or `take`: one picture of "
            f"{MIN_SHOTS} to {MAX_SHOTS} photos of the same people, with each person's best face"
        )
    )


class CreateBatchRequest(BaseModel):
    """Photos that are submitted together."""

    model_config = OPTIONAL

    items: list[CreateBatchItem] = Field(min_length=1, max_length=MAX_ITEMS)
    recipe: RecipeFields | None = Field(default=None, description="Recipe for all items")
    album: AlbumRequest | None = None
    webhook_url: Url | None = Field(default=None, description=_WEBHOOK_DESCRIPTION)


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
    replaces: an applied correction of the job's matte that this one takes the place of, as when a
    user has undone one of its strokes; `strokes` may then be empty.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Literal["matte", "label", "faces"]
    stage: Literal["segmentation", "smile", "face"]
    mask: str | None = Field(
        default=None,
        max_length=max_text_bytes(MAX_MASK_BYTES),
        description="A grayscale PNG in base64 with the size of the photo; white is people",
    )
    strokes: list[Stroke] | None = Field(default=None, max_length=MAX_STROKES)
    replaces: uuid.UUID | None = None
    label: Label | None = None
    faces: FaceChanges | None = None
    consent: StrictBool | None = None


class JobView(StrEnum):
    """How much of each job a list shows."""

    FULL = "full"
    SUMMARY = "summary"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent:
    """An event of a job; data: the job when the event is sent."""

    type: EventType
    stage: StageName | None = field(
        default=None, metadata=described("The stage of `job.stage`; null for other events")
    )
    timestamp: Moment
    data: Job


@dataclass(frozen=True, slots=True)
class BatchEvent:
    """An event of a batch.

    data: the batch when the event is sent, without its items until it has finished.
    """

    type: EventType = field(metadata=described("`batch.progress` or `batch.finished`"))
    timestamp: Moment
    data: Batch | BatchSummary
