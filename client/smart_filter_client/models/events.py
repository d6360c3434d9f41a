"""Events of a job or a batch, from streams and webhooks."""

import datetime as dt
from dataclasses import dataclass, field

from smart_filter_client.fields import Fields, JsonObject
from smart_filter_client.models.batches import Batch, batch_from
from smart_filter_client.models.jobs import Job, job_from

FINAL_EVENTS = frozenset({"job.succeeded", "job.failed", "job.canceled", "batch.finished"})
_JOBS = "job."
_BATCHES = "batch."


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a job or a batch.

    stage: of `job.stage`, the stage that has succeeded; None for other events.
    id: in a stream the value for `after`; in a webhook its `webhook-id`, the same in each attempt.
    type: such as `job.succeeded`; the contract lists them.
    job, batch: its state when the event was sent; None for events of the other kind.  A webhook
        about a crowd has a count and a link in place of faces and rating, which are None then.
    data: the unparsed JSON.
    """

    id: str
    type: str
    timestamp: dt.datetime | None
    job: Job | None
    batch: Batch | None
    data: JsonObject = field(repr=False, compare=False)
    stage: str | None = None

    @property
    def is_final(self) -> bool:
        """Whether the job or the batch has ended."""
        return self.type in FINAL_EVENTS


def event_from(document: object, event_id: str) -> Event:
    """Parse an event.  Raises UnexpectedAnswer."""
    fields = Fields(document, "an event")
    kind, data = fields.text("type"), fields.mapping("data")
    return Event(
        id=event_id,
        type=kind,
        timestamp=fields.time_or_none("timestamp"),
        job=job_from(data) if kind.startswith(_JOBS) else None,
        batch=batch_from(data) if kind.startswith(_BATCHES) else None,
        data=data,
        stage=fields.text_or_none("stage"),
    )
