"""Request and response models of webhooks and their deliveries."""

import uuid
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from smart_filter_api.schemas.jobs import Thousandths
from smart_filter_api.schemas.moments import UtcDatetime
from smart_filter_shared.security import urls
from smart_filter_shared.webhooks.outbox import DeliveryState


def _validate_url(text: str) -> str:
    return str(urls.parse(text))


def _refuse_duplicates(events: list[str]) -> list[str]:
    return list(dict.fromkeys(events))


WebhookEvent = Literal["job.succeeded", "job.failed", "job.canceled", "batch.finished"]
Address = Annotated[str, Field(max_length=urls.MAX_CHARACTERS), AfterValidator(_validate_url)]
Events = Annotated[
    list[WebhookEvent], Field(min_length=1, max_length=16), AfterValidator(_refuse_duplicates)
]


class WebhookRequest(BaseModel):
    """A request for a webhook."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: Address = Field(
        description="An http or https URL on the public internet, or allowed by the operator",
        json_schema_extra={"format": "uri"},
        min_length=1,
    )
    events: Events | None = Field(default=None, description="All by default")

    @property
    def wanted_events(self) -> list[str]:
        """The events that are sent to the webhook."""
        return list(get_args(WebhookEvent)) if self.events is None else list(self.events)


class WebhookChange(BaseModel):
    """Changes to a webhook; null and omitted fields stay.  enabled: whether events are sent."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: Address | None = None
    events: Events | None = None
    enabled: bool | None = None


class Webhook(BaseModel):
    """A webhook: an address and the events that it receives.

    disabled: why nothing is sent: `paused` by its owner, `gone` after it answered 410, or null.
    """

    id: uuid.UUID
    url: str
    events: list[str]
    enabled: bool
    disabled: str | None
    created_at: UtcDatetime


class NewWebhook(BaseModel):
    """A new webhook; secret: `whsec_…`, shown once."""

    id: uuid.UUID
    url: str
    events: list[str]
    secret: str


class WebhookPage(BaseModel):
    """All webhooks of a tenant, on one page, the oldest first."""

    items: list[Webhook]
    next_cursor: str | None = None


class WebhookSecret(BaseModel):
    """A new secret, shown once; former_until: until then the former secret signs too."""

    id: str
    secret: str
    former_until: UtcDatetime | None


class DeliveryAttempt(BaseModel):
    """One delivery attempt.

    status: HTTP status of the receiver.  answer: first kilobyte of its answer.
    error: why there was no answer.
    """

    at: UtcDatetime
    seconds: Thousandths
    status: int | None
    answer: str | None
    error: str | None


class Delivery(BaseModel):
    """An event sent to a webhook; id: the value of the header `webhook-id`.

    url: the address that the job named, else null.  next_at: time of the next attempt, while the
    delivery waits.
    """

    id: uuid.UUID
    type: str
    job_id: uuid.UUID | None
    batch_id: uuid.UUID | None = None
    url: str | None
    state: DeliveryState
    timestamp: UtcDatetime
    next_at: UtcDatetime | None
    attempts: list[DeliveryAttempt]


class DeliveryPage(BaseModel):
    """A page of deliveries, newest first; next_cursor: `cursor` of the next page."""

    items: list[Delivery]
    next_cursor: str | None


class EndedEvent(BaseModel):
    """The end of a job or a batch.

    type: `job.succeeded`, `job.failed`, `job.canceled` or `batch.finished`.
    batch_id: null for a job; job_id: null for a batch.
    """

    id: str
    type: str
    timestamp: UtcDatetime
    job_id: uuid.UUID | None
    batch_id: uuid.UUID | None


class EndedEventPage(BaseModel):
    """Ends of jobs and batches, the oldest first; next_cursor: `cursor` of the next request."""

    items: list[EndedEvent]
    next_cursor: str


class ReplayedDeliveries(BaseModel):
    """Number of deliveries that are sent again."""

    replayed: int
