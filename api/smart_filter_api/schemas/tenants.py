"""The shapes of what is asked and answered about tenants: keys, tokens, usage."""

import datetime as dt
import uuid
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt

from smart_filter_api.keys import TENANT_PATTERN, Scope
from smart_filter_api.schemas.moments import Moment
from smart_filter_shared.jobs.states import JobState

_DAY_SECONDS = 24 * 3600
_LONGEST_KEY_SECONDS = 10 * 365 * _DAY_SECONDS
_LONGEST_TOKEN_SECONDS = _DAY_SECONDS
_MOST_JOBS_OF_A_TOKEN = 1000


def _only_submit(scopes: list[Scope]) -> list[Scope]:
    if scopes != [Scope.SUBMIT]:
        raise ValueError('is not ["submit"], which is all that a device may do')
    return scopes


class KeyWish(BaseModel):
    """A key that somebody wants; without expires_in_seconds it does not expire."""

    model_config = ConfigDict(extra="forbid")

    # Who runs the service makes keys for operators where it runs (`smart-filter keys create`).
    scopes: list[Literal[Scope.SUBMIT, Scope.READ, Scope.ADMIN]] = Field(min_length=1, max_length=3)
    expires_in_seconds: StrictInt | None = Field(default=None, ge=1, le=_LONGEST_KEY_SECONDS)
    tenant: str | None = Field(
        default=None,
        pattern=TENANT_PATTERN,
        description="whose; by default the caller's own, others only for the operator",
    )


class KeyAnswer(BaseModel):
    """A key as it is known afterwards; parent, max_jobs and jobs are of those for devices."""

    key_id: uuid.UUID
    tenant: str
    scopes: list[Scope]
    created_at: Moment
    expires_at: Moment | None
    revoked_at: Moment | None
    parent: uuid.UUID | None
    max_jobs: int | None
    jobs: int | None = Field(description="submitted so far")


class NewKeyAnswer(KeyAnswer):
    """A new key."""

    key: str | None = Field(
        description="shown this once; again only to the same request under its Idempotency-Key, "
        "null then where the operator has set no key to seal secrets with"
    )


class KeyPage(BaseModel):
    """A page of keys."""

    items: list[KeyAnswer]
    next_cursor: uuid.UUID | None


class TokenWish(BaseModel):
    """A key for an end user's device."""

    model_config = ConfigDict(extra="forbid")

    scopes: Annotated[list[Scope], AfterValidator(_only_submit)] = Field(
        default=[Scope.SUBMIT], json_schema_extra={"const": [Scope.SUBMIT]}
    )
    ttl_seconds: StrictInt = Field(default=600, ge=1, le=_LONGEST_TOKEN_SECONDS)
    max_jobs: StrictInt = Field(default=1, ge=1, le=_MOST_JOBS_OF_A_TOKEN)


class UsedAnswer(BaseModel):
    """How many jobs, of photos with how many megapixels, and how long models ran for them."""

    jobs: int
    megapixels: float
    model_seconds: float


class DayAnswer(UsedAnswer):
    """What was used on a day in UTC: all of it, and by the states in which jobs ended."""

    day: dt.date
    by_state: dict[JobState, UsedAnswer]


class UsagePage(BaseModel):
    """The days on which jobs ended, in order."""

    items: list[DayAnswer]
    next_cursor: None = None
