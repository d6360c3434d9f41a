"""The shapes of what is asked and answered about a tenant: its limits, keeping and recipe."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool

_MOST = 10_000_000
_MOST_MEGAPIXELS = 1e12
_LONGEST_SECONDS = 10 * 365 * 24 * 3600
# Less would leave nobody the time to fetch anything.
_LEAST_RESULT_SECONDS = 60

Count = Annotated[int, Field(strict=True, ge=0, le=_MOST)]
Megapixels = Annotated[float, Field(strict=True, ge=0, le=_MOST_MEGAPIXELS)]
InputSeconds = Annotated[int, Field(strict=True, ge=0, le=_LONGEST_SECONDS)]
ResultSeconds = Annotated[int, Field(strict=True, ge=_LEAST_RESULT_SECONDS, le=_LONGEST_SECONDS)]
Defaults = dict[str, Any]  # a recipe as JSON bodies write it


class TenantChange(BaseModel):
    """What is to be said of a tenant; what is left out stays, null: what the settings say."""

    model_config = ConfigDict(extra="forbid")

    requests_per_minute: Count | None = None
    jobs_waiting: Count | None = None
    megapixels_per_day: Megapixels | None = None
    keep_input_seconds: InputSeconds | None = None
    keep_result_seconds: ResultSeconds | None = None
    keep_nothing: StrictBool = False
    recipe: Defaults | None = None


class TenantAnswer(BaseModel):
    """What is said of a tenant; null: what the settings say."""

    tenant: str
    requests_per_minute: int | None = Field(description="0: as many as it wants, as below")
    jobs_waiting: int | None
    megapixels_per_day: float | None
    keep_input_seconds: float | None = Field(description="photos and intermediates")
    keep_result_seconds: float | None
    keep_nothing: bool = Field(
        description="all of a job goes when all its outputs are fetched, or after an hour"
    )
    recipe: Defaults = Field(description="what its recipes say that say nothing else")
