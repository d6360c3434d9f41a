"""Parse the answers of a decoder child as input of an attacker.

Messages are JSON, padded with spaces to MESSAGE_BYTES. A request is {"kind": "photo" | "mask",
"bytes", "seconds"}, and the bytes of the picture follow it. The answer is one of

    {"height", "width", "channels", "alpha", "format", "exif_bytes", "taken_at"}
    {"error": "unreadable" | "too_large" | "out_of_memory" | "defect", "message"}

and the pixels, the alpha if there is one, and a photo's EXIF follow the first one. The child's
first message, before any request, is {"missing": [reason, …]}: the locks that it could not close.
"""

import datetime as dt
import json
from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from smart_filter_shared.security.photo_header import MAX_SIDE_PX
from smart_filter_workers.images.metadata.exif import MAX_BYTES as MAX_EXIF_BYTES

# Length of each message. A failure's 300 characters take up to 12 bytes each.
MESSAGE_BYTES: Final = 4096

_Side = Annotated[int, Field(ge=1, le=MAX_SIDE_PX)]


class _Message(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Ready(_Message):
    """The first message of a child.  missing: why a lock could not be closed, for each."""

    missing: list[str]


class Decoded(_Message):
    """A decoded picture; (height, width, channels) uint8 follow, then alpha, then EXIF.

    channels: 3, or 1 for a mask.  alpha: whether (height, width) uint8 of it follow.  taken_at:
    aware; None if unknown.  quantum: of a JPEG.
    """

    height: _Side
    width: _Side
    channels: Literal[1, 3]
    alpha: bool
    format: Literal["jpg", "png", "webp", "avif", "heic", "gif", "bmp", "tiff"]
    exif_bytes: Annotated[int, Field(ge=0, le=MAX_EXIF_BYTES)]
    taken_at: AwareDatetime | None
    quantum: Annotated[float, Field(ge=0, lt=1 << 16)] | None

    @property
    def taken_at_utc(self) -> dt.datetime | None:
        """The time when the photo was taken, in UTC."""
        return None if self.taken_at is None else self.taken_at.astimezone(dt.UTC)


class Failed(_Message):
    """The error that the picture raised."""

    error: Literal["unreadable", "too_large", "out_of_memory", "defect"]
    message: str


READY: Final = TypeAdapter(Ready)
ANSWER: Final[TypeAdapter[Decoded | Failed]] = TypeAdapter(Decoded | Failed)


def pack_message(fields: Mapping[str, object]) -> bytes:
    """Return a message of MESSAGE_BYTES."""
    return json.dumps(fields).encode().ljust(MESSAGE_BYTES)
