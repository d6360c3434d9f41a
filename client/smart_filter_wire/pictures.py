"""A tenant's own pictures, uploads of photos, and tickets for live video."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from smart_filter_wire.formats import Id, Moment, described
from smart_filter_wire.words import PictureState, PictureUse


@dataclass(frozen=True, slots=True)
class PictureError:
    """Why a picture was refused; code: as of a failed job."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class TenantPicture:
    """A picture of the tenant's own, which recipes name as `preset:NAME` or as `logo`."""

    name: str = field(metadata=described("Such as `tenant/lobby`"))
    use: PictureUse
    title: str
    tags: tuple[str, ...]
    state: PictureState
    bytes: int
    sha256: str = field(metadata=described("Of the bytes that were sent last"))
    width: int | None = field(metadata=described("In pixels, like `height`; null until it is read"))
    height: int | None
    thumbnail: str | None = field(
        metadata=described(
            "Path of a WebP of 240 × 160 pixels; null until recipes can name the picture. "
            "While another one replaces it, it stays usable"
        )
    )
    error: PictureError | None
    created_at: Moment


@dataclass(frozen=True, slots=True)
class TenantPicturePage:
    """The pictures of the tenant's own, by name."""

    items: tuple[TenantPicture, ...]
    next_cursor: None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload: where to PUT the photo."""

    upload_id: Id = field(metadata=described("Reference to the photo for `POST /v1/jobs`"))
    put_url: str = field(metadata=described("URL that accepts the announced photo by PUT"))
    headers: Mapping[str, str] = field(metadata=described("Headers to send with the PUT"))
    expires_at: Moment = field(
        metadata=described("The photo must be uploaded and submitted before this time")
    )


@dataclass(frozen=True, slots=True)
class LiveConnection:
    """The address of live video, and a token that opens one connection there."""

    url: str = field(metadata=described("URL of a WebSocket: `ws://` or `wss://`"))
    token: str = field(
        repr=False,
        metadata=described(
            "Send it in the WebSocket's handshake, as the second "
            "subprotocol after `smart-filter-live`; never put it into the URL"
        ),
    )
    expires_at: Moment = field(
        metadata=described(
            "The connection must start before this time, and ends at it unless the client "
            'sends the token of another request as `{"token": …}`'
        )
    )
