"""Webhooks, their secrets and their deliveries."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Literal, cast

from smart_filter_client.fields import Fields

DeliveryState = Literal["waiting", "sending", "succeeded", "failed"]
WebhookEvent = Literal["job.succeeded", "job.failed", "job.canceled", "batch.finished"]


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address that receives the ends of jobs.

    disabled: why nothing is sent: `paused` by its owner, `gone` after it answered 410, or None.
    """

    id: str
    url: str
    events: tuple[str, ...]
    enabled: bool
    disabled: str | None
    created_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class NewWebhook:
    """A newly created webhook; secret: `whsec_…`, shown once."""

    id: str
    url: str
    events: tuple[str, ...]
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A newly generated secret; the former one also signs until `former_until`."""

    id: str
    secret: str = field(repr=False)
    former_until: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a delivery: the response, or in `error` why there was none."""

    at: dt.datetime | None
    seconds: float | None
    status: int | None
    answer: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery to a webhook; id: its `webhook-id`.

    url: the one that the job named, else None.
    next_at: for a waiting delivery, when it is sent.
    """

    id: str
    type: str
    job_id: str | None
    url: str | None
    state: DeliveryState
    timestamp: dt.datetime | None
    next_at: dt.datetime | None
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True)
class End:
    """The end of a job or a batch; the other of the two ids is None.

    id: the same when the end is listed again.
    """

    id: str
    type: WebhookEvent
    timestamp: dt.datetime | None
    job_id: str | None
    batch_id: str | None


@dataclass(frozen=True, slots=True)
class Ends:
    """Ends of jobs and batches, the oldest first; cursor: for the next request."""

    items: tuple[End, ...]
    cursor: str


def webhook_from(document: object) -> Webhook:
    """Parse a webhook.  Raises UnexpectedAnswer."""
    fields = Fields(document, "a webhook")
    return Webhook(
        id=fields.text("id"),
        url=fields.text("url"),
        events=fields.texts("events"),
        enabled=fields.boolean_or_none("enabled") is not False,
        disabled=fields.text_or_none("disabled"),
        created_at=fields.time_or_none("created_at"),
    )


def new_webhook_from(document: object) -> NewWebhook:
    """Parse a new webhook.  Raises UnexpectedAnswer."""
    fields = Fields(document, "a new webhook")
    return NewWebhook(
        id=fields.text("id"),
        url=fields.text("url"),
        events=fields.texts("events"),
        secret=fields.text("secret"),
    )


def new_secret_from(document: object) -> NewSecret:
    """Parse a new secret.  Raises UnexpectedAnswer."""
    fields = Fields(document, "a new secret")
    return NewSecret(
        id=fields.text("id"),
        secret=fields.text("secret"),
        former_until=fields.time_or_none("former_until"),
    )


def delivery_from(document: object) -> Delivery:
    """Parse a delivery.  Raises UnexpectedAnswer."""
    fields = Fields(document, "a delivery")
    return Delivery(
        id=fields.text("id"),
        type=fields.text("type"),
        job_id=fields.text_or_none("job_id"),
        url=fields.text_or_none("url"),
        state=cast("DeliveryState", fields.text("state")),
        timestamp=fields.time_or_none("timestamp"),
        next_at=fields.time_or_none("next_at"),
        attempts=tuple(map(_attempt, fields.objects_or_none("attempts") or ())),
    )


def ends_from(document: object) -> Ends:
    """Parse a page of ends.  Raises UnexpectedAnswer."""
    fields = Fields(document, "a page of events")
    return Ends(
        items=tuple(map(_end, fields.objects_or_none("items") or ())),
        cursor=fields.text("next_cursor"),
    )


def _end(fields: Fields) -> End:
    return End(
        id=fields.text("id"),
        type=cast("WebhookEvent", fields.text("type")),
        timestamp=fields.time_or_none("timestamp"),
        job_id=fields.text_or_none("job_id"),
        batch_id=fields.text_or_none("batch_id"),
    )


def _attempt(fields: Fields) -> Attempt:
    return Attempt(
        at=fields.time_or_none("at"),
        seconds=fields.number_or_none("seconds"),
        status=fields.integer_or_none("status"),
        answer=fields.text_or_none("answer"),
        error=fields.text_or_none("error"),
    )
