"""Request model of uploads."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt

from smart_filter_shared.security.photo_header import MAX_PHOTO_BYTES, PhotoFormat

_MAX_TYPE_CHARACTERS = 100
_PREFIX = "image/"
# Common names of JPEG, which IANA lacks, and of HEIC, as browsers call files named .heif.
_OTHER_NAMES = {f"{_PREFIX}jpg": PhotoFormat.JPEG, f"{_PREFIX}heif": PhotoFormat.HEIC}


def _to_registered_type(content_type: str) -> str:
    """Return the registered type of a known one, which may lack its prefix."""
    whole = _PREFIX + content_type.removeprefix(_PREFIX)
    registered = str(_OTHER_NAMES.get(whole, whole))
    return registered if registered in set(PhotoFormat) else content_type


class UploadRequest(BaseModel):
    """An announcement of a photo that the client uploads straight to storage."""

    model_config = ConfigDict(extra="forbid")

    content_type: Annotated[str, AfterValidator(_to_registered_type)] = Field(
        max_length=_MAX_TYPE_CHARACTERS,
        json_schema_extra={"enum": [str(format_) for format_ in PhotoFormat]},
        description="Type of the photo: `image/jpeg`, `image/png`, `image/webp`, `image/avif`, "
        "`image/heic`, `image/gif`, `image/bmp` or `image/tiff`",
    )
    bytes: StrictInt = Field(
        ge=1,
        json_schema_extra={"maximum": MAX_PHOTO_BYTES},
        description=f"Exact size of the photo in bytes; at most {MAX_PHOTO_BYTES}",
    )
