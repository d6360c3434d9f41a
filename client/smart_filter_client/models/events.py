"""What happened to a job or a batch, as streams and webhooks tell it."""

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
    """Something that happened.

    id: of a stream what `after` takes; of a webhook its `webhook-id`, the same however often it
        is sent.
    type: such as `job.succeeded`; the contract lists them.
    job, batch: as it was when this was told; None of an event that is not about one.  The webhook
        of a crowd has a count and a link in place of faces and rating, which are None then.
    data: what was told, as it came.
    """

    id: str
    type: str
    timestamp: dt.datetime | None
    job: Job | None
    batch: Batch | None
    data: JsonObject = field(repr=False, compare=False)

    @property
    def is_final(self) -> bool:
        """Whether it is an end."""
        return self.type in FINAL_EVENTS


def event_from(document: object, event_id: str) -> Event:
    """Return the event that a text tells; raises UnexpectedAnswer when it is none."""
    fields = Fields(document, "an event")
    kind, data = fields.text("type"), fields.mapping("data")
    return Event(
        id=event_id,
        type=kind,
        timestamp=fields.time_or_none("timestamp"),
        job=job_from(data) if kind.startswith(_JOBS) else None,
        batch=batch_from(data) if kind.startswith(_BATCHES) else None,
        data=data,
    )
