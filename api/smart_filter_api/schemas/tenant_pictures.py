"""Response models of a tenant's own pictures."""

from enum import StrEnum

from pydantic import BaseModel, Field

from smart_filter_api.schemas.moments import UtcDatetime


class PictureUse(StrEnum):
    """The use of a picture: as a background, or as the `logo` of recipes."""

    BACKGROUND = "background"
    LOGO = "logo"


class PictureState(StrEnum):
    """The state of the bytes that were sent last.

    pending: a worker will read them.  ready: recipes can name the picture.  refused: `error` says
    why.
    """

    PENDING = "pending"
    READY = "ready"
    REFUSED = "refused"


class PictureError(BaseModel):
    """Why a picture was refused; code: as of a failed job."""

    code: str
    detail: str


class TenantPicture(BaseModel):
    """A picture of the tenant's own, which recipes name as `preset:NAME` or as `logo`."""

    name: str = Field(description="Such as `tenant/lobby`")
    use: PictureUse
    title: str
    tags: list[str]
    state: PictureState
    bytes: int
    sha256: str = Field(description="Of the bytes that were sent last")
    width: int | None = Field(description="In pixels, like `height`; null until it is read")
    height: int | None
    thumbnail: str | None = Field(
        description="Path of a WebP of 240 × 160 pixels; null until recipes can name the picture. "
        "While another one replaces it, it stays usable"
    )
    error: PictureError | None
    created_at: UtcDatetime


class TenantPicturePage(BaseModel):
    """The pictures of the tenant's own, by name."""

    items: list[TenantPicture]
    next_cursor: None = None
