"""Jobs and batches about to be written, as rows whose content the queue does not read."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smart_filter_shared.ids import BatchId, Capability, JobId, Tenant
from smart_filter_shared.queue.leases import Payload


@dataclass(frozen=True, slots=True)
class StagePayload:
    """What a stage runs: JSON objects of its row, by task (see Lease).

    batch_key: rows with the same key can share a forward pass.
    """

    models: Payload
    parameters: Payload
    digests: Payload
    batch_key: str


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job about to be written.

    row: its columns in `jobs`.  stages: the columns in `stages` of each stage that it runs, or
    whose result it takes from an earlier job.
    objects: keys of the objects that it brings; they are kept as long as its inputs.
    """

    job_id: JobId
    row: Mapping[str, Any]
    stages: Sequence[Mapping[str, Any]]
    objects: Sequence[str]


@dataclass(frozen=True, slots=True)
class WrittenJob:
    """What was written of a job: the time, its stages, and the capabilities to ring."""

    created_at: dt.datetime
    stages: Sequence[Mapping[str, Any]]
    ringing: list[Capability]


@dataclass(frozen=True, slots=True)
class RejectedItem:
    """An item of a batch that was rejected; error: in the form of a failed job's error."""

    index: int
    error: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class NewBatch:
    """A batch about to be written.

    best: for an album, the number of photos to composite.
    webhook_url: notified of the batch's end in addition to the tenant's webhooks.
    """

    batch_id: BatchId
    tenant: Tenant
    best: int | None
    webhook_url: str | None
    jobs: Sequence[NewJob]
    gaps: Sequence[RejectedItem]
