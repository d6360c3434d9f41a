"""A tenant's own pictures: backgrounds and logos."""

from dataclasses import dataclass
from typing import Final

from smart_filter_client.fields import Fields

PENDING: Final = "pending"


@dataclass(frozen=True, slots=True)
class OwnPicture:
    """A picture that recipes name as `preset:NAME`, or as `logo`.

    name: such as `tenant/lobby`.
    state: pending until a worker has read the picture, then ready or refused.
    sha256: of the bytes that were sent last.  width, height: in pixels; None until it is read.
    code, detail: why it was refused.
    """

    name: str
    title: str
    is_logo: bool
    state: str
    tags: tuple[str, ...]
    bytes: int | None
    sha256: str
    width: int | None
    height: int | None
    code: str | None
    detail: str | None


def own_picture_from(document: object) -> OwnPicture:
    """Parse a picture.  Raises UnexpectedAnswer."""
    fields = Fields(document, "a picture")
    error = fields.object_or_none("error")
    return OwnPicture(
        name=fields.text("name"),
        title=fields.text_or_none("title") or "",
        is_logo=fields.text_or_none("use") == "logo",
        state=fields.text("state"),
        tags=fields.texts("tags"),
        bytes=fields.integer_or_none("bytes"),
        sha256=fields.text("sha256"),
        width=fields.integer_or_none("width"),
        height=fields.integer_or_none("height"),
        code=None if error is None else error.text_or_none("code"),
        detail=None if error is None else error.text_or_none("detail"),
    )
