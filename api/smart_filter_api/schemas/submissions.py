"""Request models of submitted photos: a job, a batch.

`intake` parses their bodies, as it does the recipe (`schemas.recipe`).
"""

import uuid
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from smart_filter_api.schemas.recipe import OPTIONAL, Metadata, RecipeFields
from smart_filter_api.schemas.strokes import Strokes
from smart_filter_shared.queue.batches import MAX_ITEMS
from smart_filter_shared.security import urls
from smart_filter_shared.security.photo_header import MAX_PHOTO_BYTES
from smart_filter_shared.takes import MAX_SHOTS, MIN_SHOTS
from smart_filter_wire.takes import TAKE

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
