"""The shapes of what is asked and answered about live video."""

from pydantic import BaseModel, ConfigDict, Field

from smart_filter_api.schemas.moments import Moment

_LONGEST_BACKGROUND = 1000


class LiveWish(BaseModel):
    """A connection of live video that somebody wants."""

    model_config = ConfigDict(extra="forbid")

    background: str | None = Field(
        default=None,
        max_length=_LONGEST_BACKGROUND,
        description="what stands behind people at first, as in a recipe: `auto` (when absent), "
        "`keep`, `color:`, `blur:`, `preset:` of a generated design or `keywords:`",
    )


class LiveAnswer(BaseModel):
    """Where live video is served, and what opens a connection there, once."""

    url: str = Field(description="a WebSocket: `ws://` or `wss://`")
    token: str = Field(description="of the connection's first message; not for the address")
    expires_at: Moment = Field(description="until when a connection may begin with it")
