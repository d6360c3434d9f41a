"""Models of lists and events of jobs."""

from dataclasses import dataclass, field
from enum import StrEnum

from smart_filter_shared.queue.events import EventType
from smart_filter_wire.batches import Batch, BatchSummary
from smart_filter_wire.formats import Moment, described
from smart_filter_wire.jobs import Job
from smart_filter_wire.words import StageName


class JobView(StrEnum):
    """How much of each job a list shows."""

    FULL = "full"
    SUMMARY = "summary"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent:
    """An event of a job; data: the job when the event is sent."""

    type: EventType
    stage: StageName | None = field(
        default=None, metadata=described("The stage of `job.stage`; null for other events")
    )
    timestamp: Moment
    data: Job


@dataclass(frozen=True, slots=True)
class BatchEvent:
    """An event of a batch.

    data: the batch when the event is sent, without its items until it has finished.
    """

    type: EventType = field(metadata=described("`batch.progress` or `batch.finished`"))
    timestamp: Moment
    data: Batch | BatchSummary
