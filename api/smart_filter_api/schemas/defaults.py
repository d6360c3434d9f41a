"""Request and response models of a tenant's overrides: limits, retention and default recipe."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from smart_filter_api.auth import output_links
from smart_filter_api.schemas.submissions import RecipeFields

_MAX_COUNT = 10_000_000
_MAX_MEGAPIXELS = 1e12
_MAX_SECONDS = 10 * 365 * 24 * 3600
# Shortest retention of results, which leaves clients the time to download them.
_MIN_RESULT_SECONDS = 60

Count = Annotated[int, Field(strict=True, ge=0, le=_MAX_COUNT)]
Megapixels = Annotated[float, Field(strict=True, ge=0, le=_MAX_MEGAPIXELS)]
InputSeconds = Annotated[int, Field(strict=True, ge=0, le=_MAX_SECONDS)]
ResultSeconds = Annotated[int, Field(strict=True, ge=_MIN_RESULT_SECONDS, le=_MAX_SECONDS)]
LinkSeconds = Annotated[
    int, Field(strict=True, ge=output_links.MIN_SECONDS, le=output_links.MAX_SECONDS)
]


class TenantChange(BaseModel):
    """Changes to a tenant; omitted fields stay, null restores the server's setting."""

    model_config = ConfigDict(extra="forbid")

    requests_per_minute: Count | None = None
    jobs_waiting: Count | None = None
    megapixels_per_day: Megapixels | None = None
    keep_input_seconds: InputSeconds | None = None
    keep_result_seconds: ResultSeconds | None = None
    keep_nothing: StrictBool = False
    recipe: RecipeFields | None = None
    link_seconds: LinkSeconds | None = None


class TenantSettings(BaseModel):
    """The overrides of a tenant; null: the server's setting applies."""

    tenant: str
    requests_per_minute: int | None = Field(description="0: no limit; same for the next two")
    jobs_waiting: int | None
    megapixels_per_day: float | None
    keep_input_seconds: float | None = Field(
        description="Retention of photos and intermediate files"
    )
    keep_result_seconds: float | None
    keep_nothing: bool = Field(
        description="Delete all files of a job once its outputs are downloaded, or after an hour"
    )
    recipe: dict[str, Any] = Field(
        description="Default recipe fields of the tenant's jobs, as they were set"
    )
    link_seconds: int | None = Field(
        description="Lifetime of signed links of its jobs, unless a request sets `expires_in`"
    )
