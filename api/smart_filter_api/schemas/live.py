"""Request and response models of live video."""

from pydantic import BaseModel, ConfigDict, Field

from smart_filter_api.schemas.moments import UtcDatetime

_MAX_BACKGROUND_CHARACTERS = 1000


class LiveRequest(BaseModel):
    """A request for a live video connection."""

    model_config = ConfigDict(extra="forbid")

    background: str | None = Field(
        default=None,
        max_length=_MAX_BACKGROUND_CHARACTERS,
        description="The first background, as in a recipe: `auto` (default), `keep`, `color:`, "
        "`blur:`, `preset:` with a generated design, or `keywords:`",
    )


class LiveConnection(BaseModel):
    """The address of live video, and a token that opens one connection there."""

    url: str = Field(description="URL of a WebSocket: `ws://` or `wss://`")
    token: str = Field(
        description="Send it in the WebSocket's handshake, as the second "
        "subprotocol after `smart-filter-live`; never put it into the URL"
    )
    expires_at: UtcDatetime = Field(
        description="The connection must start before this time, and ends at it unless the client "
        'sends the token of another request as `{"token": …}`'
    )
