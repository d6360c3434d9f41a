"""Request models of keys and device keys, of a tenant's settings, and of browser sessions."""

import uuid
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    model_validator,
)

from smart_filter_api.auth import links
from smart_filter_api.auth.api_keys import TENANT_PATTERN, Scope
from smart_filter_api.schemas.recipe import RecipeFields
from smart_filter_wire.formats import Moment

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


_MAX_CHARACTERS = 200


class SessionRequest(BaseModel):
    """Credentials for a session; send either a key or a one-time code."""

    model_config = ConfigDict(extra="forbid")

    key: str | None = Field(default=None, min_length=1, max_length=_MAX_CHARACTERS)
    code: str | None = Field(default=None, min_length=1, max_length=_MAX_CHARACTERS)

    @model_validator(mode="after")
    def _require_one_credential(self) -> "SessionRequest":
        if (self.key is None) == (self.code is None):
            raise ValueError("send either key or code")
        return self


class Session(BaseModel):
    """A session; requests that change something send csrf_token in the header X-CSRF-Token."""

    tenant: str
    key_id: uuid.UUID
    scopes: list[Scope]
    created_at: Moment
    expires_at: Moment = Field(description="Absolute end; an unused session ends earlier")
    csrf_token: str


class OpenSession(BaseModel):
    """A session of the caller's key."""

    session_id: uuid.UUID
    created_at: Moment
    used_at: Moment = Field(description="Last use, accurate to a minute")
    expires_at: Moment = Field(description="Absolute end; an unused session ends earlier")
    is_current: bool = Field(description="Whether the request has its cookie")


class OpenSessions(BaseModel):
    """The sessions of the caller's key, the newest first."""

    items: list[OpenSession]
    next_cursor: None = None
