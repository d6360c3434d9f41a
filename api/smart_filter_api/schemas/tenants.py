"""Request and response models of tenants: keys, device keys, usage."""

import datetime as dt
import uuid
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt

from smart_filter_api.auth.api_keys import TENANT_PATTERN, Scope
from smart_filter_api.schemas.jobs import Thousandths
from smart_filter_api.schemas.moments import UtcDatetime
from smart_filter_shared.queue.states import JobState

_DAY_SECONDS = 24 * 3600
_MAX_KEY_SECONDS = 10 * 365 * _DAY_SECONDS
_MAX_TOKEN_SECONDS = _DAY_SECONDS
_MAX_TOKEN_JOBS = 1000
# Lifetime of a key without `expires_in_seconds`; keys of the operator's tenant do not expire then.
DEFAULT_KEY_SECONDS = 365 * _DAY_SECONDS
DEFAULT_TOKEN_SECONDS = 600
DEFAULT_TOKEN_JOBS = 1


def _only_submit(scopes: list[Scope]) -> list[Scope]:
    if scopes != [Scope.SUBMIT]:
        raise ValueError('is not ["submit"], the only scope of a device key')
    return scopes


OnlySubmit = Annotated[
    list[Scope],
    AfterValidator(_only_submit),
    Field(
        json_schema_extra={
            "items": {"type": "string", "enum": [Scope.SUBMIT]},
            "minItems": 1,
            "maxItems": 1,
        }
    ),
]


class KeyRequest(BaseModel):
    """A request for a key."""

    model_config = ConfigDict(extra="forbid")

    # Keys with the scope `operator` are created on the server (`smart-filter keys create`).
    scopes: list[Literal[Scope.SUBMIT, Scope.READ, Scope.ADMIN]] = Field(min_length=1, max_length=3)
    expires_in_seconds: StrictInt | None = Field(
        default=None,
        ge=1,
        le=_MAX_KEY_SECONDS,
        description=f"Lifetime; {DEFAULT_KEY_SECONDS} by default, and no end by default for a "
        "caller of the operator's tenant. The key ends no later than the key that issues it",
    )
    tenant: str | None = Field(
        default=None,
        pattern=TENANT_PATTERN,
        description="Tenant of the key, by default the caller's; only the operator may set another",
    )


class ApiKey(BaseModel):
    """A key without its secret; parent, max_jobs and jobs are set only for device keys.

    issued_by is the key that issued it, null for a device key and for keys of the command line.
    """

    key_id: uuid.UUID
    tenant: str
    scopes: list[Scope]
    created_at: UtcDatetime
    expires_at: UtcDatetime | None
    revoked_at: UtcDatetime | None
    parent: uuid.UUID | None
    max_jobs: int | None
    jobs: int | None = Field(description="Jobs submitted so far")
    issued_by: uuid.UUID | None = None


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

    scopes: OnlySubmit | None = Field(default=None, description='`["submit"]` by default')
    ttl_seconds: StrictInt | None = Field(
        default=None,
        ge=1,
        le=_MAX_TOKEN_SECONDS,
        description=f"Lifetime; {DEFAULT_TOKEN_SECONDS} by default",
    )
    max_jobs: StrictInt | None = Field(
        default=None,
        ge=1,
        le=_MAX_TOKEN_JOBS,
        description=f"Jobs that it may submit; {DEFAULT_TOKEN_JOBS} by default",
    )


class Usage(BaseModel):
    """Usage: number of jobs, megapixels of their photos, and run time of models for them."""

    jobs: int
    megapixels: Thousandths
    model_seconds: Thousandths


class DayUsage(Usage):
    """Usage of one day in UTC: in total, and by the final state of the jobs."""

    day: dt.date
    by_state: dict[JobState, Usage]


class UsagePage(BaseModel):
    """Usage of the days on which jobs ended, in order."""

    items: list[DayUsage]
    record_seconds: float | None = Field(
        description="How long a job's record is kept after its end, and longer while anything else"
        " of the job is kept; then the job answers 404. Usage stays. null: for ever"
    )
    next_cursor: None = None
