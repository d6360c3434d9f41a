"""Photo jobs and batches about to be written, and how they become rows of the queue."""

import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy import Connection

from smart_filter_shared.albums import Take
from smart_filter_shared.artifacts import references
from smart_filter_shared.artifacts.retention import RetentionPolicy
from smart_filter_shared.artifacts.uploads import UploadRef
from smart_filter_shared.errors import EqualPhotoDeleted, InputsExpired
from smart_filter_shared.ids import BatchId, Capability, JobId, Tenant
from smart_filter_shared.jobs import result_cache
from smart_filter_shared.jobs.photo_queue import CLIENT
from smart_filter_shared.model_registry.stage_plan import StagePlan
from smart_filter_shared.pipeline import (
    GATE,
    GATE_OF_TAKE,
    PIPELINE,
    Stage,
    StageName,
    needs_within,
)
from smart_filter_shared.queue import fair_queueing
from smart_filter_shared.queue.fair_queueing import Reservation
from smart_filter_shared.queue.states import StageState
from smart_filter_shared.queue.submission import (
    NewBatch,
    NewJob,
    RejectedItem,
    encode_jobs,
)
from smart_filter_shared.recipe import Recipe, required_stages

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class BatchMember:
    """A job's place in a batch, and whether the job is ranked in the batch.

    index: from 0; None for the take of the batch.
    """

    batch_id: BatchId
    index: int | None
    is_ranked: bool


@dataclass(frozen=True, slots=True)
class NewPhotoJob:
    """A photo job about to be written.

    plans: the models and parameters that run each of its stages.
    webhook_url: an address that is notified of its end, in addition to the tenant's webhooks.
    megapixels: of the photo, by its header; 0 until it is known.
    photo_key, photo_digest: None for a photo that `prepare` imports from photo_url or upload.
    cache_keys: the cache key of each stage; results: of earlier jobs, which stages reuse
    (result_cache.py).
    photo_name: its file's name, cleaned.
    lengths: of the stored photo and background in bytes, by key.
    parent_id: the job that it was derived from.  references: keys of other jobs' objects it needs.
    corrections: the user corrections that apply to it, and what was drawn over its photo before it
    was sent (feedback/corrections.py).
    degraded: the recipe features that were dropped to meet the deadline.
    link_seconds: lifetime of its signed links; None: the setting applies.
    device_key_id: the device key that submits it; None for any other key.
    key_id: the key that submits it.
    take: of a job that composes its photo of the shots of its batch.
    eta: the estimated p50 and p90, in seconds until its end; None when the estimate is not
    used for calibration.
    """

    job_id: JobId
    tenant: Tenant
    recipe: Recipe
    seed: int
    place: Reservation
    photo_key: str | None
    photo_digest: str | None
    background_key: str | None
    retention: RetentionPolicy
    plans: Mapping[StageName, StagePlan]
    webhook_url: str | None = None
    megapixels: float = 0.0
    photo_url: str | None = None
    upload: UploadRef | None = None
    photo_name: str | None = None
    cache_keys: Mapping[StageName, str] = field(default_factory=dict)
    results: Mapping[StageName, result_cache.Result] = field(default_factory=dict)
    lengths: Mapping[str, int] = field(default_factory=dict)
    parent_id: JobId | None = None
    references: tuple[str, ...] = ()
    corrections: tuple[Mapping[str, object], ...] = ()
    degraded: tuple[str, ...] = ()
    eta: tuple[float, float] | None = None
    membership: BatchMember | None = None
    link_seconds: int | None = None
    device_key_id: uuid.UUID | None = None
    key_id: uuid.UUID | None = None
    take: Take | None = None

    @property
    def album(self) -> BatchId | None:
        """The batch that the job is ranked in, if any."""
        member = self.membership
        return member.batch_id if member is not None and member.is_ranked else None

    @property
    def gate(self) -> StageName | None:
        """The stage that waits for the ranking of the batch, if any."""
        is_take = self.take is not None and not self.take.shots
        return GATE_OF_TAKE if is_take else GATE if self.album is not None else None


@dataclass(frozen=True, slots=True)
class NewPhotoBatch:
    """A batch of photo jobs about to be written.

    best: how many photos of an album are composed; None for a batch that is not an album.
    webhook_url: an address that is notified of its end, in addition to the tenant's webhooks.
    take: the job that composes its take, if any.
    """

    batch_id: BatchId
    tenant: Tenant
    best: int | None
    webhook_url: str | None
    jobs: Sequence[NewPhotoJob]
    gaps: Sequence[RejectedItem]
    take: NewPhotoJob | None = None


def encode_job(connection: Connection, job: NewPhotoJob) -> NewJob:
    """Reference the objects of other jobs that a job needs, and return the rows to submit.

    Stages whose results are reused from earlier jobs are written as succeeded; the job ends with
    it when none is left.
    Raises InputsExpired or EqualPhotoDeleted when a needed object of another job is gone; the
    caller must then roll back.
    """
    results = _exclude_own_picture(job, job.results)
    result_keys = {key for result in results.values() for key in references.artifact_keys(result)}
    available = references.add_references(
        connection, job.tenant, job.job_id, {*job.references, *result_keys}, job.retention
    )
    _require_borrowed(job, available)
    return _as_rows(job, result_cache.keep_usable(results, available, job.plans))


def encode_batch(batch: NewPhotoBatch) -> NewBatch:
    """Return a batch as the rows that `submit_batch` writes.

    It takes 0.5 s for a thousand jobs: call it in a thread.
    """
    jobs = [*batch.jobs, *([] if batch.take is None else [batch.take])]
    return NewBatch(
        batch.batch_id,
        batch.tenant,
        batch.best,
        batch.webhook_url,
        encode_jobs([_as_rows(job, {}) for job in jobs]),
        batch.gaps,
        None if batch.take is None else batch.take.job_id,
    )


def submit_batch(connection: Connection, batch: NewBatch) -> list[Capability]:
    """Write a batch, its jobs and its refused items; return the capabilities to ring.

    Jobs of a batch reference no objects of other jobs, and reuse no results.
    """
    return CLIENT.submit_batch(connection, batch)


def plan_columns(plan: StagePlan, alone: str = "") -> dict[str, object]:
    """Return what a plan runs, as columns of `stages`.

    alone: unique, for a stage that shares no pass.
    """
    what = {"models": plan.models, "parameters": plan.parameters, "digests": plan.digests}
    key = json.dumps([*what.values(), alone], sort_keys=True)
    return {"capability": plan.capability, **what, "batch_key": key}


def _exclude_own_picture(
    job: NewPhotoJob, by_stage: Mapping[StageName, Value]
) -> Mapping[StageName, Value]:
    """Return the entries of the stages whose results jobs share.

    A picture with corrections is not shared, because the cache key does not cover them, nor one
    that is deleted after its download.
    """
    if job.corrections or job.retention.nothing:
        return {stage: value for stage, value in by_stage.items() if stage != StageName.COMPOSITE}
    return by_stage


def _as_rows(job: NewPhotoJob, reused: Mapping[StageName, result_cache.Result]) -> NewJob:
    return NewJob(
        job.job_id,
        _job_row(job),
        [*_reused_rows(job, reused), *_stage_rows(job, reused)],
        {
            key: job.lengths.get(key, 0)
            for key in (job.photo_key, job.background_key, *map(_drawing_key, job.corrections))
            if key is not None and key not in job.references
        },
    )


def _drawing_key(correction: Mapping[str, object]) -> str | None:
    """Return the key of the object that holds a correction; None for a label."""
    key = correction["key"]
    return None if key is None else str(key)


def _stage_rows(job: NewPhotoJob, reused: Collection[StageName] = ()) -> list[dict[str, object]]:
    """Return the rows of the stages that a job runs, as `submit` writes them.

    reused: the stages whose results are reused from other jobs; they get no row here.
    """
    recipe = job.recipe
    running = [stage for stage in required_stages(recipe) if stage not in reused]
    cache_keys = _exclude_own_picture(job, job.cache_keys)
    # A slow remote server, or a take, delays no other job.
    is_slow = job.photo_url is not None or (job.take is not None and job.photo_key is None)
    return [
        {
            "job_id": job.job_id,
            "stage": str(stage.name),
            **plan_columns(
                job.plans[stage.name], str(job.job_id) if is_slow and stage.imports_photo else ""
            ),
            "work": cache_keys.get(stage.name),
            # In an album the gated stage also waits for the ranking.
            "open_needs": len(needs_within(stage, running)) + (stage.name == job.gate),
            "state": str(_first_state(stage, recipe, running, job.gate)),
            "not_before": None if needs_within(stage, running) else recipe.run_at,
            "rank": fair_queueing.rank(job.place, recipe.priority),
            "album": job.album,
            "head_start": fair_queueing.HEAD_START_SECONDS[recipe.priority],
        }
        for stage in PIPELINE
        if stage.name in running
    ]


def _first_state(
    stage: Stage, recipe: Recipe, running: Collection[StageName], gate: StageName | None
) -> StageState:
    waits = bool(needs_within(stage, running)) or recipe.run_at is not None or stage.name == gate
    return StageState.WAITING if waits else StageState.READY


def _job_row(job: NewPhotoJob) -> dict[str, object]:
    recipe, member = job.recipe, job.membership
    p50, p90 = job.eta or (None, None)
    return {
        "id": job.job_id,
        "tenant": job.tenant,
        "recipe": recipe.as_json(),
        "seed": job.seed,
        "metadata": dict(recipe.metadata),
        "photo_key": job.photo_key,
        "photo_digest": job.photo_digest,
        "photo_url": job.photo_url,
        "upload_id": None if job.upload is None else job.upload.id,
        "upload_etag": None if job.upload is None else job.upload.etag,
        "photo_name": job.photo_name,
        "background_key": job.background_key,
        "estimated_seconds": job.place.estimated_seconds,
        "webhook_url": job.webhook_url,
        "megapixels": job.megapixels,
        "keep_input_seconds": job.retention.input_seconds,
        "keep_result_seconds": job.retention.result_seconds,
        "keep_nothing": job.retention.nothing,
        "parent_id": job.parent_id,
        "corrections": [dict(correction) for correction in job.corrections],
        "batch_id": None if member is None else member.batch_id,
        "batch_index": None if member is None else member.index,
        "take": None if job.take is None else job.take.as_json(),
        "degraded": list(job.degraded) or None,
        "foreseen_p50": p50,
        "foreseen_p90": p90,
        "deadline_ms": recipe.deadline_ms,
        "link_seconds": job.link_seconds,
        "device_key_id": job.device_key_id,
        "key_id": job.key_id,
    }


def _require_borrowed(job: NewPhotoJob, available: Collection[str]) -> None:
    """Raise unless the objects of other jobs that the job needs are available.

    Raises InputsExpired for a derived job, and EqualPhotoDeleted for one whose equal photo was
    deleted after its admission: it can be submitted again.
    """
    if set(job.references) <= set(available):
        return
    if job.parent_id is None:
        raise EqualPhotoDeleted(
            "the same photo was deleted while it was submitted again; retry the request",
            retry_after_seconds=0,
        )
    raise InputsExpired(
        f"the photo of job {job.parent_id}, or a file submitted with it, is not kept any"
        " more; submit it again"
    )


def _reused_rows(
    job: NewPhotoJob, reused: Mapping[StageName, result_cache.Result]
) -> list[dict[str, object]]:
    """Return the rows of the stages whose results are reused from other jobs."""
    if not reused:
        return []
    return [
        {
            **row,
            "state": StageState.SUCCEEDED,
            "open_needs": 0,
            "not_before": None,
            "seconds": 0.0,
            "result": reused[StageName(str(row["stage"]))],
        }
        for row in _stage_rows(job)
        if row["stage"] in reused
    ]
