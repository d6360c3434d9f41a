"""Webhooks, their deliveries, and the ends of jobs and batches."""

from dataclasses import dataclass, field

from smart_filter_wire.formats import Id, Moment, Thousandths
from smart_filter_wire.words import DeliveryState


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook: an address and the events that it receives.

    disabled: why nothing is sent: `paused` by its owner, `gone` after it answered 410, or null.
    """

    id: Id
    url: str
    events: tuple[str, ...]
    enabled: bool
    disabled: str | None
    created_at: Moment


@dataclass(frozen=True, slots=True)
class NewWebhook:
    """A new webhook; secret: `whsec_…`, shown once."""

    id: Id
    url: str
    events: tuple[str, ...]
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class WebhookPage:
    """All webhooks of a tenant, on one page, the oldest first."""

    items: tuple[Webhook, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class WebhookSecret:
    """A new secret, shown once; former_until: until then the former secret signs too."""

    id: str
    secret: str = field(repr=False)
    former_until: Moment | None


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """One delivery attempt.

    status: HTTP status of the receiver.  answer: first kilobyte of its answer.
    error: why there was no answer.
    """

    at: Moment
    seconds: Thousandths
    status: int | None
    answer: str | None
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An event sent to a webhook; id: the value of the header `webhook-id`.

    url: the address that the job named, else null.  next_at: time of the next attempt, while the
    delivery waits.
    """

    id: Id
    type: str
    job_id: Id | None
    batch_id: Id | None = None
    url: str | None
    state: DeliveryState
    timestamp: Moment
    next_at: Moment | None
    attempts: tuple[DeliveryAttempt, ...]


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """A page of deliveries, newest first; next_cursor: `cursor` of the next page."""

    items: tuple[Delivery, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class EndedEvent:
    """The end of a job or a batch.

    type: `job.succeeded`, `job.failed`, `job.canceled` or `batch.finished`.
    batch_id: null for a job; job_id: null for a batch.
    """

    id: str
    type: str
    timestamp: Moment
    job_id: Id | None
    batch_id: Id | None


@dataclass(frozen=True, slots=True)
class EndedEventPage:
    """Ends of jobs and batches, the oldest first; next_cursor: `cursor` of the next request."""

    items: tuple[EndedEvent, ...]
    next_cursor: str


@dataclass(frozen=True, slots=True)
class ReplayedDeliveries:
    """Number of deliveries that are sent again."""

    replayed: int
