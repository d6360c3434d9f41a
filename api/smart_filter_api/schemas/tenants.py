"""Request and response models of tenants: keys, device keys, usage."""

import datetime as dt
import uuid
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt

from smart_filter_api.auth.api_keys import TENANT_PATTERN, Scope
from smart_filter_api.schemas.moments import UtcDatetime
from smart_filter_shared.queue.states import JobState

_DAY_SECONDS = 24 * 3600
_MAX_KEY_SECONDS = 10 * 365 * _DAY_SECONDS
_MAX_TOKEN_SECONDS = _DAY_SECONDS
_MAX_TOKEN_JOBS = 1000


def _only_submit(scopes: list[Scope]) -> list[Scope]:
    if scopes != [Scope.SUBMIT]:
        raise ValueError('is not ["submit"], the only scope of a device key')
    return scopes


class KeyRequest(BaseModel):
    """A request for a key; without expires_in_seconds it does not expire."""

    model_config = ConfigDict(extra="forbid")

    # Keys with the scope `operator` are created on the server (`smart-filter keys create`).
    scopes: list[Literal[Scope.SUBMIT, Scope.READ, Scope.ADMIN]] = Field(min_length=1, max_length=3)
    expires_in_seconds: StrictInt | None = Field(default=None, ge=1, le=_MAX_KEY_SECONDS)
    tenant: str | None = Field(
        default=None,
        pattern=TENANT_PATTERN,
        description="Tenant of the key, by default the caller's; only the operator may set another",
    )


class ApiKey(BaseModel):
    """A key without its secret; parent, max_jobs and jobs are set only for device keys."""

    key_id: uuid.UUID
    tenant: str
    scopes: list[Scope]
    created_at: UtcDatetime
    expires_at: UtcDatetime | None
    revoked_at: UtcDatetime | None
    parent: uuid.UUID | None
    max_jobs: int | None
    jobs: int | None = Field(description="Jobs submitted so far")


class NewApiKey(ApiKey):
    """A new key."""

    key: str | None = Field(
        description="Shown only once. A repeated request with the same Idempotency-Key gets it "
        "again, or null when the server has no secrets key"
    )


class ApiKeyPage(BaseModel):
    """A page of keys."""

    items: list[ApiKey]
    next_cursor: uuid.UUID | None


class TokenRequest(BaseModel):
    """A request for a device key of an end user."""

    model_config = ConfigDict(extra="forbid")

    scopes: Annotated[list[Scope], AfterValidator(_only_submit)] = Field(
        default=[Scope.SUBMIT],
        json_schema_extra={
            "items": {"type": "string", "enum": [Scope.SUBMIT]},
            "minItems": 1,
            "maxItems": 1,
        },
    )
    ttl_seconds: StrictInt = Field(default=600, ge=1, le=_MAX_TOKEN_SECONDS)
    max_jobs: StrictInt = Field(default=1, ge=1, le=_MAX_TOKEN_JOBS)


class Usage(BaseModel):
    """Usage: number of jobs, megapixels of their photos, and run time of models for them."""

    jobs: int
    megapixels: float
    model_seconds: float


class DayUsage(Usage):
    """Usage of one day in UTC: in total, and by the final state of the jobs."""

    day: dt.date
    by_state: dict[JobState, Usage]


class UsagePage(BaseModel):
    """Usage of the days on which jobs ended, in order."""

    items: list[DayUsage]
    next_cursor: None = None
