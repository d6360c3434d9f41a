"""Request model of live video."""

from pydantic import BaseModel, ConfigDict, Field

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
