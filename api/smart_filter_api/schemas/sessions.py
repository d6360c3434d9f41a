"""Request and response models of browser sessions."""

import uuid

from pydantic import BaseModel, ConfigDict, Field, model_validator

from smart_filter_api.auth.api_keys import Scope
from smart_filter_wire.formats import Moment

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
