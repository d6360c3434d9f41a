"""Reads of jobs and their stages, for the API's responses and for workers."""

import contextlib
import dataclasses
import datetime as dt
import json
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, text

from smart_filter_shared.albums import Take, read_take
from smart_filter_shared.artifacts.uploads import UploadRef
from smart_filter_shared.db import driver_queries
from smart_filter_shared.errors import RowUnreadable
from smart_filter_shared.feedback import corrections
from smart_filter_shared.ids import BatchId, Capability, JobId, Tenant, UploadId, first_id
from smart_filter_shared.jobs.submission import NewPhotoJob
from smart_filter_shared.pipeline import StageName, stage_index
from smart_filter_shared.queue.events import flush_if_new
from smart_filter_shared.queue.leases import Lease
from smart_filter_shared.queue.states import JobState, StageState
from smart_filter_shared.queue.submission import NewJob, WrittenJob
from smart_filter_shared.recipe import Recipe, from_json
from smart_filter_shared.telemetry.logs import logger

# Rows that do not name their key count as submitted by another one.
_LIST_JOBS_OF_OTHER_KEYS = text("""
    SELECT id FROM jobs
    WHERE (id = ANY(:ids) OR batch_id = :batch) AND tenant = :tenant AND NOT EXISTS (
        SELECT FROM keys WHERE keys.id = jobs.key_id AND :key_id IN (keys.id, keys.parent)
    )
""")
_NO_CAPABILITY = Capability("")
_log = logger("jobs")

Json = Mapping[str, Any]  # what a JSONB column holds; parsed where it is used

# Stages are aggregated into the job's row: a second query would almost double the latency.
_STAGES_OF = """
    (
        SELECT json_agg(json_build_object(
            'stage', stage, 'state', state, 'attempt', attempt, 'models', models,
            'seconds', seconds, 'started_at', started_at, 'result', result,
            'capability', capability, 'rank', rank{more}
        ))
        FROM {source}
    )
"""
_QUEUED = "stages WHERE stages.job_id = jobs.id"
_ENDED = """
    ended_stages AS ended, unnest(ended.stages) AS stages WHERE ended.job_id = jobs.id
"""
_STAGES = f"""
    coalesce(
        CASE WHEN jobs.outcome IS NOT NULL THEN {_STAGES_OF.format(source=_ENDED, more="")} END,
        {_STAGES_OF.format(source=_QUEUED, more="")}
    )
"""
# The facts that a worker needs to run a stage without claiming it.
_OF_LEASES = """,
            'parameters', parameters, 'digests', digests,
            'is_held', not_before IS NOT NULL OR EXISTS (
                SELECT FROM pauses WHERE pauses.capability = stages.capability
            )"""
# The columns of a JobRow. The recipe is read as text: most jobs share a few recipes, and parsed
# recipes are cached by that text.
_JOB_COLUMNS: Final = (
    *("id", "tenant", "seed", "metadata", "photo_key", "background_key", "photo_url"),
    *("upload_id", "upload_etag", "photo_name", "batch_id", "batch_index", "album_rank"),
    *("album_terms", "take", "created_at"),
    *("finished_at", "outcome", "error", "keep_nothing", "expires_at", "expired_at"),
    *("megapixels", "degraded", "photo_digest", "parent_id", "corrections"),
    *("link_seconds", "device_key_id"),
)
_RECIPE = "CAST(jobs.recipe AS text)"
_EMOTIONS = "(SELECT emotions FROM tenants WHERE tenants.name = jobs.tenant)"
# The row as one JSON text: psycopg's decoding per column costs more than `json.loads`.
_JOB = f"""
    CAST(json_build_object(
        {", ".join(f"'{name}', {name}" for name in _JOB_COLUMNS)},
        'recipe', {_RECIPE}, 'emotions', {_EMOTIONS}, 'stages', {{stages}}
    ) AS text)
"""
# The plan is generic. Without ARRAY the planner may search the index (tenant, id) for every tenant.
CLAIMED_JOB: Final = f"""(
    SELECT {_JOB.format(stages=_STAGES_OF.format(source=_QUEUED, more=_OF_LEASES))}
    FROM jobs WHERE id = ANY(ARRAY(SELECT claimed.job_id))
)"""  # noqa: S608 - all parts stand here
# An id begins with the time of the API's clock, `created_at` is of the database's: how far they may
# differ.
_CLOCKS_DIFFER: Final = dt.timedelta(days=7)
_FIRST_MOMENT: Final = dt.datetime(1971, 1, 1, tzinfo=dt.UTC)  # no id is older than 1970
_FIND_JOB: Final = text(f"""
    SELECT outcome, {_JOB.format(stages=_STAGES)} AS job, {flush_if_new("finished_at")}
    FROM jobs WHERE id = :job_id AND tenant = :tenant AND deleted_by IS NULL
""")  # noqa: S608 - all parts stand here
_GET_JOBS: Final = text(f"""
    SELECT {_JOB.format(stages=_STAGES)} AS job FROM jobs WHERE id = ANY(:ids)
""")  # noqa: S608 - all parts stand here
# The second condition lets PostgreSQL use the index; it follows from the first.
_HAS_METADATA: Final = "metadata @> CAST(:metadata AS jsonb) AND metadata <> '{}'"
# A photo of an album has a picture of its own when it is among the best, and none when the album
# makes a take.
IS_UNCOMPOSED: Final = """EXISTS (
    SELECT FROM batches WHERE batches.id = jobs.batch_id AND best IS NOT NULL
        AND take_id IS DISTINCT FROM jobs.id
        AND (take_id IS NOT NULL OR coalesce(album_rank > best, true))
)"""
# Two indexes, whose rows are few next to those of queued jobs.
_RUNNING_IDS: Final = """
    SELECT job_id FROM stages WHERE stage = 'prepare' AND started_at IS NOT NULL
    UNION ALL SELECT job_id FROM begun_jobs
"""
# The outcome is a literal: a generic plan of a parameter cannot use the index of unsuccessful jobs.
_IN_STATE: Final[Mapping[JobState, str]] = {
    **{state: f"outcome = '{state}'" for state in JobState},
    JobState.QUEUED: """outcome IS NULL AND NOT EXISTS (
        SELECT FROM stages WHERE job_id = jobs.id AND started_at IS NOT NULL
    )""",
    JobState.RUNNING: f"outcome IS NULL AND id = ANY(ARRAY({_RUNNING_IDS}))",
}
_IS_DELETED: Final = text("""
    SELECT FROM tombstones WHERE job_id = :id AND tenant = :tenant
    UNION ALL
    SELECT FROM jobs WHERE id = :id AND tenant = :tenant AND deleted_by IS NOT NULL
""")
_FIND_OWNER: Final = text("""
    SELECT tenant FROM jobs WHERE id = :id
    UNION ALL SELECT tenant FROM tombstones WHERE job_id = :id
""")
_IDS: Final = ("id", "parent_id", "batch_id", "upload_id", "device_key_id")
_MOMENTS: Final = ("created_at", "finished_at", "expires_at", "expired_at")
_STAGE_ORDER: Final[Mapping[str, int]] = {stage: stage_index(stage) for stage in StageName}


@dataclass(frozen=True, slots=True)
class StageRow:
    """One stage of a job.

    models: the models that run it, by task.
    seconds: how long its code ran; None before it ran.
    result: numbers and artifact keys as the worker stored them; None before it succeeded.
    capability, rank: its queue, and its place in the queue.
    parameters, digests: as in `Lease`.
    is_held: whether it must not run yet, although its needs may be met: its retry is not due, or
        its capability is paused.
    The last three are read for leases only. They and `rank` are no part of a comparison.
    """

    name: StageName
    state: str
    attempt: int
    models: Mapping[str, str]
    seconds: float | None
    result: Json | None
    capability: Capability = _NO_CAPABILITY
    rank: float = field(default=0.0, compare=False)
    parameters: Json = field(default_factory=dict, compare=False)
    digests: Json = field(default_factory=dict, compare=False)
    is_held: bool = field(default=True, compare=False)


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job; stages in the pipeline's order.

    photo_key: None until `prepare` has imported the photo from photo_url or upload.
    photo_name: the file's name as its sender calls it.  batch_index: its index in the batch.
    keep_nothing: whether everything is deleted once the outputs have been downloaded.
    expires_at: when its results will be deleted.
    expired_at: when its results and the stages' findings were deleted.
    megapixels: of the photo.
    degraded: the recipe features that were dropped to meet the deadline.
    rank, rank_terms: its rank in its album and the reasons; None before the album is ranked.
    take: of a job whose photo is composed of the shots of its batch.
    link_seconds: lifetime of its signed links; None: the setting applies.
    device_key_id: the device key that submitted it; None for any other key.
    emotions: whether its tenant's settings allow that emotions are shown.
    """

    id: JobId
    tenant: Tenant
    state: JobState
    recipe: Recipe
    seed: int
    photo_key: str | None
    created_at: dt.datetime
    finished_at: dt.datetime | None
    error: Json | None
    stages: tuple[StageRow, ...]
    background_key: str | None = None
    photo_url: str | None = None
    upload: UploadRef | None = None
    photo_name: str | None = None
    keep_nothing: bool = False
    expires_at: dt.datetime | None = None
    expired_at: dt.datetime | None = None
    photo_digest: str | None = None
    parent_id: JobId | None = None
    corrections: tuple[Json, ...] = ()
    megapixels: float = 0.0
    degraded: tuple[str, ...] = ()
    batch_id: BatchId | None = None
    batch_index: int | None = None
    rank: int | None = None
    rank_terms: Json | None = None
    take: Take | None = None
    link_seconds: int | None = None
    device_key_id: uuid.UUID | None = None
    emotions: bool = True

    def result(self, stage: StageName) -> Json | None:
        """Return the stored result of a stage, with the labels that people corrected.

        None when the stage has not succeeded, or the job does not run it.
        """
        stored = self._stored_result(stage)
        labels = [
            change["label"]
            for change in self.corrections
            if change["form"] == "label" and change["stage"] == stage
        ]
        rated = self._stored_result(StageName.FACE)
        if stage != StageName.SMILE or not labels or stored is None or rated is None:
            return stored
        boxes = [face["box"] for face in rated["facts"]["faces"]]
        return corrections.apply_labels(stored, labels, boxes)

    def _stored_result(self, stage: StageName) -> Json | None:
        done = (row for row in self.stages if row.state == StageState.SUCCEEDED)
        return next((row.result for row in done if row.name == stage), None)


_FIELDS: Final = {field.name for field in dataclasses.fields(JobRow)} - {"recipe"}
# The fields that a submission has, and those that a stored row has, as they are.
_SUBMITTED: Final = _FIELDS & {field.name for field in dataclasses.fields(NewPhotoJob)}
_READ: Final = _FIELDS & set(_JOB_COLUMNS) - {"take", "megapixels", "degraded", "corrections"}


@dataclass(frozen=True, slots=True)
class JobFilter:
    """The filters of a list of jobs; `before` is the last id of the previous page.

    batch: whose jobs are listed.
    album_shots: whether photos of albums are listed that have no picture.
    """

    tenant: Tenant
    batch: BatchId | None = None
    state: JobState | None = None
    created_after: dt.datetime | None = None
    metadata: Mapping[str, str] | None = None
    before: JobId | None = None
    limit: int = 50
    album_shots: bool = True


def find(connection: Connection, job_id: JobId, tenant: Tenant) -> JobRow | None:
    """Return a tenant's job, or None when the tenant has no such job."""
    rows = driver_queries.fetch_rows(connection, _FIND_JOB, {"job_id": job_id, "tenant": tenant})
    if not rows:
        return None
    [(outcome, job, _)] = rows
    return _parse_unfinished(job) if outcome is None else _parse_job(job)


def from_submission(job: NewPhotoJob, written: WrittenJob) -> JobRow:
    """Return a job that was just written, as `find` would read it."""
    rows = sorted(written.stages, key=lambda row: _STAGE_ORDER[row["stage"]])
    has_ended = written.finished_at is not None
    alike: dict[str, Any] = {name: getattr(job, name) for name in _SUBMITTED}
    return JobRow(
        **alike,
        id=job.job_id,
        state=JobState.SUCCEEDED if has_ended else JobState.QUEUED,
        recipe=dataclasses.replace(job.recipe, seed=job.seed),
        created_at=written.created_at,
        finished_at=written.finished_at,
        expires_at=written.expires_at,
        error=None,
        stages=tuple(
            _stage_row({"attempt": 0, "seconds": None, "result": None, **row}) for row in rows
        ),
        keep_nothing=job.retention.nothing,
        batch_id=None if job.membership is None else job.membership.batch_id,
        batch_index=None if job.membership is None else job.membership.index,
    )


def as_accepted(job: NewPhotoJob, rows: NewJob, created_at: dt.datetime) -> JobRow:
    """Return a job that is about to be written, as it is accepted.

    Of a job that ends at once no stage has run yet.
    """
    row = from_submission(job, WrittenJob(created_at, None, None, rows.stages, []))
    if not rows.has_ended:
        return row
    stages = (
        dataclasses.replace(stage, state=StageState.WAITING, seconds=None, result=None)
        for stage in row.stages
    )
    return dataclasses.replace(row, stages=tuple(stages))


def get_many(connection: Connection, job_ids: Collection[JobId]) -> dict[JobId, JobRow | None]:
    """Return the jobs that exist, of any tenant; None for an unreadable one."""
    if not job_ids:
        return {}
    stored = connection.execute(_GET_JOBS, {"ids": list(job_ids)}).scalars()
    return {JobId(job["id"]): _parse_readable(job) for job in map(_parse_columns, stored)}


def is_deleted(connection: Connection, job_id: JobId, tenant: Tenant) -> bool:
    """Return whether the tenant had this job and has deleted it."""
    where = {"id": job_id, "tenant": tenant}
    return connection.execute(_IS_DELETED, where).first() is not None


def list_jobs_of_other_keys(
    connection: Connection,
    job_ids: Collection[JobId],
    tenant: Tenant,
    key_id: uuid.UUID,
    batch: BatchId | None = None,
) -> frozenset[JobId]:
    """Return the jobs of these, and of a batch, that neither this key nor its devices submitted."""
    where = {"ids": list(job_ids), "batch": batch, "tenant": tenant, "key_id": key_id}
    return frozenset(connection.execute(_LIST_JOBS_OF_OTHER_KEYS, where).scalars())


def find_owner(connection: Connection, job_id: JobId) -> Tenant | None:
    """Return the tenant that has, or has deleted, a job; None for an unknown id."""
    tenant = connection.execute(_FIND_OWNER, {"id": job_id}).scalars().first()
    return None if tenant is None else Tenant(tenant)


def list_jobs(connection: Connection, listing: JobFilter) -> list[JobRow]:
    """Return a page of a tenant's jobs, newest first, without unreadable ones."""
    jobs: list[JobRow] = []
    while len(jobs) < listing.limit:
        rest = dataclasses.replace(listing, limit=listing.limit - len(jobs))
        page = _list_page(connection, rest)
        jobs += [job for job in map(_parse_readable, page) if job is not None]
        if len(page) < rest.limit:
            break
        listing = dataclasses.replace(listing, before=JobId(page[-1]["id"]))
    return jobs


def _list_page(connection: Connection, listing: JobFilter) -> list[dict[str, Any]]:
    conditions = ["tenant = :tenant", "deleted_by IS NULL"]
    values = {**dataclasses.asdict(listing)}
    if listing.before is not None:
        conditions.append("id < :before")
    if listing.created_after is not None:
        conditions.append("created_at > :created_after AND id >= :first")
        values["first"] = first_id(max(listing.created_after, _FIRST_MOMENT) - _CLOCKS_DIFFER)
    if listing.metadata:
        conditions.append(_HAS_METADATA)
        values["metadata"] = json.dumps(dict(listing.metadata))
    if listing.batch is not None:
        conditions.append("batch_id = :batch")
    if not listing.album_shots:
        conditions.append(f"NOT {IS_UNCOMPOSED}")
    if listing.state is not None:
        conditions.append(_IN_STATE[listing.state])
    query = text(f"""
        SELECT {_JOB.format(stages=_STAGES)} AS job, {flush_if_new("finished_at")}
        FROM jobs WHERE {" AND ".join(conditions)}
        ORDER BY id DESC LIMIT :limit
    """)  # noqa: S608 - all parts stand here
    return [_parse_columns(job) for job in connection.execute(query, values).scalars()]


def parse_claimed_jobs(leases: Collection[Lease]) -> dict[JobId, JobRow | None]:
    """Return the jobs of claimed leases; None for a job that this version cannot read."""
    jobs: dict[JobId, JobRow | None] = {}
    for lease in leases:
        job = _parse_columns(lease.job)
        for stage in job["stages"]:
            if stage["stage"] == lease.stage:  # the row is older than the claim
                stage.update(state=StageState.RUNNING, attempt=lease.attempt, started_at="now")
        jobs[lease.job_id] = _parse_readable(job)
    return jobs


def _parse_readable(job: Json) -> JobRow | None:
    with contextlib.suppress(RowUnreadable):
        return _job_row(job)
    return None


def _stage_row(row: Json) -> StageRow:
    return StageRow(
        name=StageName(row["stage"]),
        state=row["state"],
        attempt=row["attempt"],
        models=row["models"],
        seconds=row["seconds"],
        result=row["result"],
        capability=Capability(row["capability"]),
        rank=row.get("rank") or 0.0,  # none once it has ended
        parameters=row.get("parameters", {}),
        digests=row.get("digests", {}),
        is_held=row.get("is_held", True),
    )


# Waiting clients poll, and the row has mostly not changed: the cache then returns the same object.
@lru_cache(maxsize=512)
def _parse_unfinished(stored: str) -> JobRow:
    return _parse_job(stored)


def _parse_job(stored: str) -> JobRow:
    """Return the job of a row that `_FIND_JOB` returned.  Raises RowUnreadable."""
    return _job_row(_parse_columns(stored))


def _parse_columns(stored: str) -> dict[str, Any]:
    job: dict[str, Any] = json.loads(stored)
    for name in _IDS:
        job[name] = None if job[name] is None else uuid.UUID(job[name])
    for name in _MOMENTS:
        job[name] = None if job[name] is None else dt.datetime.fromisoformat(job[name])
    return job


def _upload_ref(job: Json) -> UploadRef | None:
    if job["upload_id"] is None:
        return None
    return UploadRef(UploadId(job["upload_id"]), job["upload_etag"])


@lru_cache(maxsize=256)
def _recipe(stored: str) -> Recipe:
    """Return a recipe without the fields that differ by job: seed and metadata."""
    return from_json(json.loads(stored), seed=0, metadata={})


def _job_row(job: Json) -> JobRow:
    """Return a job.  Raises RowUnreadable for a value that only a later version can read."""
    try:
        return _read_job(job)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        _log.exception("job_unreadable", job=str(job["id"]))
        raise RowUnreadable(f"job {job['id']}: {error!r}") from error


def _read_job(job: Json) -> JobRow:
    state = job["outcome"]
    if state is None:
        started = any(stage["started_at"] for stage in job["stages"])
        state = JobState.RUNNING if started else JobState.QUEUED
    alike: dict[str, Any] = {name: job[name] for name in _READ}
    return JobRow(
        **alike,
        state=JobState(state),
        recipe=dataclasses.replace(
            _recipe(job["recipe"]), seed=job["seed"], metadata=job["metadata"]
        ),
        upload=_upload_ref(job),
        rank=job["album_rank"],
        rank_terms=job["album_terms"],
        take=None if job["take"] is None else read_take(job["take"]),
        megapixels=job["megapixels"] or 0.0,
        degraded=tuple(job["degraded"] or ()),
        stages=tuple(
            map(_stage_row, sorted(job["stages"], key=lambda stage: _STAGE_ORDER[stage["stage"]]))
        ),
        corrections=tuple(job["corrections"]),
        emotions=job["emotions"] is not False,
    )
