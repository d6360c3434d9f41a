"""Jobs and batches about to be written, as rows whose content the queue does not read."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smart_filter_shared.artifacts.retention import ArtifactKind
from smart_filter_shared.ids import BatchId, Capability, JobId, Tenant
from smart_filter_shared.queue.states import StageState


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job about to be written.

    row: its columns in `jobs`.  stages: the columns in `stages` of each stage that it runs, or
    whose result it takes from an earlier job, in the pipeline's order.
    objects: lengths in bytes of the objects that it brings, by key; they are kept as long as its
    inputs.
    """

    job_id: JobId
    row: Mapping[str, Any]
    stages: Sequence[Mapping[str, Any]]
    objects: Mapping[str, int]

    @property
    def has_ended(self) -> bool:
        """Whether every stage has succeeded already: the job succeeds when it is written."""
        return all(row["state"] == StageState.SUCCEEDED for row in self.stages)


@dataclass(frozen=True, slots=True)
class EncodedJobs:
    """Jobs about to be written, as the parameters of the statement that writes them.

    count: number of jobs.  jobs, pictures, stages: JSON lists of rows.
    stage_rows: the rows of `stages`.
    """

    count: int
    jobs: str
    pictures: str
    stages: str
    stage_rows: Sequence[Mapping[str, Any]]


def encode_jobs(jobs: Sequence[NewJob]) -> EncodedJobs:
    """Encode jobs, which takes 0.2 ms each."""
    rows = [row for job in jobs for row in job.stages]
    objects = [
        {"job_id": job.job_id, "key": key, "kind": ArtifactKind.PHOTO, "length": length}
        for job in jobs
        for key, length in job.objects.items()
    ]
    return EncodedJobs(
        len(jobs),
        jobs=_encode([{**job.row, "has_ended": job.has_ended} for job in jobs]),
        pictures=_encode(objects),
        stages=_encode(rows),
        stage_rows=rows,
    )


def _encode(rows: Sequence[Mapping[str, object]]) -> str:
    # Other threads run between rows: one call for all rows would stop them until it ends.
    return f"[{','.join([json.dumps(row, default=str) for row in rows])}]"


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The answer to a request with an Idempotency-Key, stored with the job that it submits.

    tenant, key, claimed_at: of the request's claim; the job's time of creation is `claimed_at`.
    body: without secrets; it is deleted with the job.
    """

    tenant: Tenant
    key: str
    claimed_at: dt.datetime
    status: int
    media_type: str
    location: str
    body: str
    job_id: JobId


@dataclass(frozen=True, slots=True)
class WrittenJob:
    """The written job: the time, its stages, and the capabilities to ring.

    finished_at, expires_at: when a job that has ended at once did, and when its results will be
    deleted; else None.
    """

    created_at: dt.datetime
    finished_at: dt.datetime | None
    expires_at: dt.datetime | None
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
    take_id: the job of its take, which is no item; None without a take.
    webhook_url: notified of the batch's end in addition to the tenant's webhooks.
    """

    batch_id: BatchId
    tenant: Tenant
    best: int | None
    webhook_url: str | None
    jobs: EncodedJobs
    gaps: Sequence[RejectedItem]
    take_id: JobId | None = None
