"""Webhooks and their deliveries, as requests and answers show them."""

import uuid
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from smart_filter_api.schemas.moments import Moment
from smart_filter_shared import web_address
from smart_filter_shared.jobs.deliveries import DeliveryState


def _address(text: str) -> str:
    return str(web_address.read(text))


def _once(events: list[str]) -> list[str]:
    return list(dict.fromkeys(events))


WebhookEvent = Literal["job.succeeded", "job.failed", "job.canceled", "batch.finished"]
Address = Annotated[str, Field(max_length=web_address.MAX_CHARACTERS), AfterValidator(_address)]
Events = Annotated[list[WebhookEvent], Field(min_length=1, max_length=16), AfterValidator(_once)]


class WebhookRequest(BaseModel):
    """A webhook to be; events: all when absent."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: Address = Field(
        description="http or https, on the public internet",
        json_schema_extra={"format": "uri"},
        min_length=1,
    )
    events: Events = Field(default=list(get_args(WebhookEvent)))


class WebhookChange(BaseModel):
    """What is to change of a webhook; enabled: whether anything is sent to it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: Address | None = None
    events: Events | None = None
    enabled: bool | None = None

    @field_validator("url", "events", "enabled")
    @classmethod
    def _says_something(cls, value: object) -> object:
        """Refuse null, which would change nothing; what is left out is not looked at."""
        if value is None:
            raise ValueError("is null; leave it out, or say what it is to be")
        return value


class WebhookAnswer(BaseModel):
    """Where a tenant is told of what.

    disabled: why nothing is sent: `paused` by its owner, `gone` since it answered 410, or null.
    """

    id: uuid.UUID
    url: str
    events: list[str]
    enabled: bool
    disabled: str | None
    created_at: Moment


class CreatedWebhook(BaseModel):
    """A new webhook; secret: `whsec_…`, shown once."""

    id: uuid.UUID
    url: str
    events: list[str]
    secret: str


class WebhookPage(BaseModel):
    """All webhooks of a tenant, on one page, the oldest first."""

    items: list[WebhookAnswer]
    next_cursor: str | None = None


class RotatedSecret(BaseModel):
    """A new secret, shown once; former_until: until then the one before signs as well."""

    id: str
    secret: str
    former_until: Moment | None


class AttemptAnswer(BaseModel):
    """One try to deliver.

    status, answer: of the receiver, its first kilobyte; error: why there was no answer.
    """

    at: Moment
    seconds: float
    status: int | None
    answer: str | None
    error: str | None


class DeliveryAnswer(BaseModel):
    """Something that is sent to a webhook; id: what `webhook-id` says.

    url: that the job named, else null.  next_at: of one that waits, when it is sent.
    """

    id: uuid.UUID
    type: str
    job_id: uuid.UUID | None
    batch_id: uuid.UUID | None = None
    url: str | None
    state: DeliveryState
    timestamp: Moment
    next_at: Moment | None
    attempts: list[AttemptAnswer]


class DeliveryPage(BaseModel):
    """A page of deliveries, the newest first; next_cursor: what to ask the next page with."""

    items: list[DeliveryAnswer]
    next_cursor: str | None


class Replayed(BaseModel):
    """How many deliveries are sent once more."""

    replayed: int
