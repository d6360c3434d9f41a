"""The shapes of what is asked and answered about browsers' sessions."""

import uuid

from pydantic import BaseModel, ConfigDict, Field, model_validator

from smart_filter_api.keys import Scope
from smart_filter_api.schemas.moments import Moment

_LONGEST = 200


class SessionWish(BaseModel):
    """What opens a session: a key, or a code that was shown once."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"oneOf": [{"required": ["key"]}, {"required": ["code"]}]},
    )

    key: str | None = Field(default=None, min_length=1, max_length=_LONGEST)
    code: str | None = Field(default=None, min_length=1, max_length=_LONGEST)

    @model_validator(mode="after")
    def _one_of_both(self) -> "SessionWish":
        if (self.key is None) == (self.code is None):
            raise ValueError("send either key or code")
        return self


class SessionAnswer(BaseModel):
    """A session; what changes something carries csrf_token in the header X-CSRF-Token."""

    tenant: str
    key_id: uuid.UUID
    scopes: list[Scope]
    created_at: Moment
    expires_at: Moment = Field(description="at the latest; sooner when it is not used")
    csrf_token: str
