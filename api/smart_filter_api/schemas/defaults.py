"""Request model of a tenant's overrides: limits, retention and default recipe."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool

from smart_filter_api.auth import links
from smart_filter_api.schemas.recipe import RecipeFields

_MAX_COUNT = 10_000_000
_MAX_MEGAPIXELS = 1e12
_MAX_BYTES = 10**15
_MAX_SECONDS = 10 * 365 * 24 * 3600
# Shortest retention of results, which leaves clients the time to download them.
_MIN_RESULT_SECONDS = 60

Count = Annotated[int, Field(strict=True, ge=0, le=_MAX_COUNT)]
Megapixels = Annotated[float, Field(strict=True, ge=0, le=_MAX_MEGAPIXELS)]
Bytes = Annotated[int, Field(strict=True, ge=0, le=_MAX_BYTES)]
InputSeconds = Annotated[int, Field(strict=True, ge=0, le=_MAX_SECONDS)]
ResultSeconds = Annotated[int, Field(strict=True, ge=_MIN_RESULT_SECONDS, le=_MAX_SECONDS)]
LinkSeconds = Annotated[int, Field(strict=True, ge=links.MIN_SECONDS, le=links.MAX_SECONDS)]


def _only_off(emotions: bool) -> bool:  # noqa: FBT001 - a validator
    if emotions:
        raise ValueError(
            "is neither false nor null: a tenant can only be stricter than the server's setting, "
            "SMART_FILTER_EMOTIONS, and null restores that one"
        )
    return emotions


NoEmotions = Annotated[
    StrictBool, AfterValidator(_only_off), Field(json_schema_extra={"enum": [False]})
]


class TenantChange(BaseModel):
    """Changes to a tenant; omitted fields stay, null restores the server's setting."""

    model_config = ConfigDict(extra="forbid")

    requests_per_minute: Count | None = None
    jobs_waiting: Count | None = None
    megapixels_per_day: Megapixels | None = None
    stored_bytes: Bytes | None = None
    pictures: Count | None = None
    keep_input_seconds: InputSeconds | None = None
    keep_result_seconds: ResultSeconds | None = None
    keep_nothing: StrictBool | None = None
    recipe: RecipeFields | None = None
    link_seconds: LinkSeconds | None = None
    emotions: NoEmotions | None = None
