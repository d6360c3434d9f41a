"""Request models of keys and device keys."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt

from smart_filter_api.auth.api_keys import TENANT_PATTERN, Scope

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
