"""The shapes of what is asked and answered about uploads."""

import uuid

from pydantic import BaseModel, ConfigDict, Field, StrictInt

from smart_filter_api.multipart import MAX_PHOTO_BYTES
from smart_filter_api.photo_header import PhotoFormat
from smart_filter_api.schemas.moments import Moment

_LONGEST_TYPE = 100


class UploadWish(BaseModel):
    """A photo that is to be put straight into storage."""

    model_config = ConfigDict(extra="forbid")

    content_type: str = Field(
        max_length=_LONGEST_TYPE,
        json_schema_extra={"enum": [str(one) for one in PhotoFormat]},
        description="`image/jpeg`, `image/png`, `image/webp`, `image/avif`, or `image/heic` where "
        "it is read: what the photo is",
    )
    bytes: StrictInt = Field(
        ge=1,
        json_schema_extra={"maximum": MAX_PHOTO_BYTES},
        description=f"how long it is, exactly; at most {MAX_PHOTO_BYTES}",
    )


class UploadAnswer(BaseModel):
    """Where a photo may be put."""

    upload_id: uuid.UUID = Field(description="what a job names")
    put_url: str = Field(description="takes the photo, and nothing else, by PUT")
    headers: dict[str, str] = Field(description="what must be sent with it")
    expires_at: Moment = Field(description="until when it may be put, and named by jobs")
