"""What is read of jobs: by the API to answer, by workers to work."""

import contextlib
import dataclasses
import datetime as dt
import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, and_, exists, literal_column, select, text

from smart_filter_shared.db import days, tables
from smart_filter_shared.errors import RowUnreadable
from smart_filter_shared.ids import BatchId, Capability, JobId, Tenant, UploadId
from smart_filter_shared.jobs import labels
from smart_filter_shared.jobs.leases import Lease
from smart_filter_shared.jobs.states import JobState
from smart_filter_shared.jobs.submission import Submission, Submitted
from smart_filter_shared.jobs.transitions import statements
from smart_filter_shared.jobs.uploads import Named
from smart_filter_shared.pipeline import StageName, place
from smart_filter_shared.recipe import Recipe, from_json
from smart_filter_shared.telemetry.logs import logger

_NOWHERE = Capability("")
_log = logger("jobs")

Json = Mapping[str, Any]  # what a JSONB column holds; parsed where it is used
Row = RowMapping | Mapping[str, Any]
# Jobs with their stages, as they were read: see `jobs_in`.
Rows = Sequence[str]

# With its job: another round trip is most of what a look at a job costs.
_STAGES = """
    (
        SELECT json_agg(json_build_object(
            'stage', stage, 'state', state, 'attempt', attempt, 'models', models,
            'seconds', seconds, 'has_started', started_at IS NOT NULL, 'result', result,
            'capability', capability, 'rank', rank
        ))
        FROM {stages} AS stages WHERE stages.job_id = jobs.id{own}
    )
"""
# What a JobRow is made of; the recipe as text, for most of them are the same few.
_READ: Final = (
    *("id", "tenant", "seed", "metadata", "photo_key", "background_key", "photo_url"),
    *("upload_id", "upload_etag", "batch_id", "album_rank", "album_terms", "created_at"),
    *("finished_at", "outcome", "error", "keep_nothing", "expires_at", "expired_at"),
    *("megapixels", "degraded", "photo_digest", "parent_id", "corrections"),
)
_RECIPE = "CAST(jobs.recipe AS text)"
_WITH_STAGES = select(
    *(tables.jobs.c[name] for name in _READ),
    literal_column(_RECIPE).label("recipe"),
    literal_column(_STAGES.format(stages="stages", own="")).label("stages"),
)
# As one text: each column costs the driver as much as some of what is in them.
_JOB = f"""
    CAST(json_build_object(
        {", ".join(f"'{name}', {name}" for name in _READ)},
        'recipe', {_RECIPE}, 'stages', {_STAGES}
    ) AS text)
"""
_FIND = text(f"""
    SELECT outcome, {_JOB.format(stages="stages", own=" AND stages.job_id = :job_id")} AS job
    FROM jobs WHERE id = :job_id AND tenant = :tenant
""")  # noqa: S608 - all parts stand here
# A stage that runs is of an open day; these plans are generic (transitions/statements.py).
_OF_LEASES = text(f"""
    SELECT {_JOB.format(stages="open_stages", own="")} AS job
    FROM open_jobs AS jobs WHERE id = ANY(:ids)
""")  # noqa: S608 - as above
_IDS: Final = ("id", "parent_id", "batch_id", "upload_id")
_MOMENTS: Final = ("created_at", "finished_at", "expires_at", "expired_at")
_PLACES: Final[Mapping[str, int]] = {stage: place(stage) for stage in StageName}


@dataclass(frozen=True, slots=True)
class StageRow:
    """What is known of one stage of a job.

    models: the models that run it, by task.  seconds: how long its code ran; None before.
    result: numbers and artifacts' keys, as the worker stored them; None before.
    capability, rank: where it waits for its turn.
    """

    name: StageName
    state: str
    attempt: int
    models: Mapping[str, str]
    seconds: float | None
    result: Json | None
    capability: Capability = _NOWHERE
    rank: float = 0.0


@dataclass(frozen=True, slots=True)
class JobRow:
    """What is known of one job; stages in the pipeline's order.

    photo_key: None until `prepare` has brought the photo from photo_url or upload.
    keep_nothing: whether all goes once its outputs are handed over.  expires_at: when its results
    go; expired_at: when they did, and all that stages had found out.
    megapixels: of the photo.  degraded: what it was given up for its deadline.
    rank, rank_terms: where it stands in its album and why, None before that is ranked.
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
    upload: Named | None = None
    keep_nothing: bool = False
    expires_at: dt.datetime | None = None
    expired_at: dt.datetime | None = None
    photo_digest: str | None = None
    parent_id: JobId | None = None
    corrections: tuple[Json, ...] = ()
    megapixels: float = 0.0
    degraded: tuple[str, ...] = ()
    batch_id: BatchId | None = None
    rank: int | None = None
    rank_terms: Json | None = None

    def result(self, stage: StageName) -> Json | None:
        """Return what a stage stored, as people corrected it.

        None when it has not, or the job does not run it.
        """
        stored = next((row.result for row in self.stages if row.name == stage), None)
        return labels.relabelled(stage, stored, self.corrections)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list of jobs is narrowed to; `before` is the id that the last page ended with."""

    tenant: Tenant
    state: JobState | None = None
    created_after: dt.datetime | None = None
    metadata: Mapping[str, str] | None = None
    before: JobId | None = None
    limit: int = 50


def find(connection: Connection, job_id: JobId, tenant: Tenant) -> JobRow | None:
    """Return a tenant's job, or None when the tenant has no such job."""
    row = connection.execute(_FIND, {"job_id": job_id, "tenant": tenant}).one_or_none()
    if row is None:
        return None
    return _unfinished(row.job) if row.outcome is None else _parsed(row.job)


def submitted(job: Submission, written: Submitted) -> JobRow:
    """Return a job as it stands when it has just been written: as `find` would read it."""
    rows = sorted(written.stages, key=lambda row: _PLACES[row["stage"]])
    return JobRow(
        id=job.job_id,
        tenant=job.tenant,
        state=JobState.QUEUED,
        recipe=dataclasses.replace(job.recipe, seed=job.seed),
        seed=job.seed,
        photo_key=job.photo_key,
        created_at=written.created_at,
        finished_at=None,
        error=None,
        stages=tuple(
            _stage_row({"attempt": 0, "seconds": None, "result": None, **row}) for row in rows
        ),
        background_key=job.background_key,
        photo_url=job.photo_url,
        upload=job.upload,
        keep_nothing=job.keeping.nothing,
        photo_digest=job.photo_digest,
        parent_id=job.parent_id,
        corrections=job.corrections,
        megapixels=job.megapixels,
        degraded=job.degraded,
        batch_id=None if job.membership is None else job.membership.batch_id,
    )


def among(connection: Connection, job_ids: Collection[JobId]) -> dict[JobId, JobRow | None]:
    """Return those of the jobs that there are, of any day and any tenant, as `jobs_in` does."""
    if not job_ids:
        return {}
    # A prepared statement gets a generic plan at its sixth execution, if only for its cost to be
    # compared: with `= ANY(:ids)` alone that plan names, and locks, every day.
    job = _JOB.format(stages="stages", own=f" AND {days.within('stages.job_id', job_ids)}")
    query = text(f"""
        SELECT {job} AS job FROM jobs WHERE id = ANY(:ids) AND {days.within("id", job_ids)}
    """)  # noqa: S608 - all parts stand here and in days
    return jobs_in(connection.execute(query, {"ids": list(job_ids)}).scalars().all())


def is_deleted(connection: Connection, job_id: JobId, tenant: Tenant) -> bool:
    """Whether a tenant has deleted this job of its own."""
    grave = tables.tombstones
    query = select(grave.c.job_id).where(grave.c.job_id == job_id, grave.c.tenant == tenant)
    return connection.execute(query).one_or_none() is not None


def listed(connection: Connection, listing: Listing) -> list[JobRow]:
    """Return a page of a tenant's jobs, newest first, without those that cannot be read."""
    found: list[JobRow] = []
    while len(found) < listing.limit:
        rest = dataclasses.replace(listing, limit=listing.limit - len(found))
        rows = _page(connection, rest)
        for row in rows:
            with contextlib.suppress(RowUnreadable):
                found.append(_job_row(row))
        if len(rows) < rest.limit:
            break
        listing = dataclasses.replace(listing, before=JobId(rows[-1]["id"]))
    return found


def _page(connection: Connection, listing: Listing) -> Sequence[RowMapping]:
    jobs = tables.jobs
    query = _WITH_STAGES.where(jobs.c.tenant == listing.tenant)
    if listing.before is not None:
        query = query.where(jobs.c.id < listing.before)
    if listing.created_after is not None:
        query = query.where(jobs.c.created_at > listing.created_after)
    if listing.metadata:
        query = query.where(jobs.c.metadata.contains(dict(listing.metadata)))
    if listing.state is not None:
        query = query.where(_is_in(listing.state))
    rows = connection.execute(query.order_by(jobs.c.id.desc()).limit(listing.limit))
    return rows.mappings().all()


def for_leases(connection: Connection, leases: Sequence[Lease]) -> Rows:
    """Return the rows of the jobs of leases, with what their earlier stages made."""
    ids = list({lease.job_id for lease in leases})
    return connection.execute(_OF_LEASES, {"ids": ids}).scalars().all()


def jobs_in(rows: Rows) -> dict[JobId, JobRow | None]:
    """Return the jobs that rows hold; None for one that this version cannot read."""
    jobs: dict[JobId, JobRow | None] = {}
    for stored in rows:
        job = _columns(stored)
        jobs[JobId(job["id"])] = None
        with contextlib.suppress(RowUnreadable):
            jobs[JobId(job["id"])] = _job_row(job)
    return jobs


def next_capability(connection: Connection, served: Collection[Capability]) -> Capability | None:
    """Return the capability whose head has the lowest rank, the later stage among equals.

    None when none of them has a ready row.
    """
    heads = connection.execute(statements.HEADS, {"capabilities": list(served)}).all()
    if not heads:
        return None
    lowest = min(heads, key=lambda head: (head.rank, -place(stage_of(head.capability))))
    return Capability(lowest.capability)


def ready_among(connection: Connection, served: Collection[Capability]) -> list[Capability]:
    """Return those of the capabilities that have a ready row."""
    heads = connection.execute(statements.HEADS, {"capabilities": list(served)})
    return [Capability(head.capability) for head in heads]


def stage_of(capability: str) -> StageName:
    """Return the stage of a capability, such as `face` of `face.centerface`."""
    return StageName(capability.partition(".")[0])


def _is_in(state: JobState) -> Any:  # noqa: ANN401 - SQLAlchemy's clauses share no simpler type
    jobs, stages = tables.jobs, tables.stages
    if state in {JobState.QUEUED, JobState.RUNNING}:
        started = exists().where(stages.c.job_id == jobs.c.id, stages.c.started_at.is_not(None))
        return and_(jobs.c.outcome.is_(None), started if state == JobState.RUNNING else ~started)
    return jobs.c.outcome == str(state)


def _stage_row(row: Json) -> StageRow:
    return StageRow(
        name=StageName(row["stage"]),
        state=row["state"],
        attempt=row["attempt"],
        models=row["models"],
        seconds=row["seconds"],
        result=row["result"],
        capability=Capability(row["capability"]),
        rank=row["rank"],
    )


# Whoever waits polls, and mostly nothing has happened since: then it is the same object.
@lru_cache(maxsize=512)
def _unfinished(stored: str) -> JobRow:
    return _parsed(stored)


def _parsed(stored: str) -> JobRow:
    """Return a job that `_FIND` has read.  Raises RowUnreadable."""
    return _job_row(_columns(stored))


def _columns(stored: str) -> dict[str, Any]:
    job: dict[str, Any] = json.loads(stored)
    for name in _IDS:
        job[name] = None if job[name] is None else uuid.UUID(job[name])
    for name in _MOMENTS:
        job[name] = None if job[name] is None else dt.datetime.fromisoformat(job[name])
    return job


def _upload(job: Row) -> Named | None:
    if job["upload_id"] is None:
        return None
    return Named(UploadId(job["upload_id"]), job["upload_etag"])


@lru_cache(maxsize=256)
def _recipe(stored: str) -> Recipe:
    """Return a recipe without what each job has of its own."""
    return from_json(json.loads(stored), seed=0, metadata={})


def _job_row(job: Row) -> JobRow:
    """Return a job.  Raises RowUnreadable when a column holds what only a later version knows."""
    try:
        return _read_job(job)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        _log.exception("a job cannot be read", job=str(job["id"]))
        raise RowUnreadable(f"job {job['id']}: {error!r}") from error


def _read_job(job: Row) -> JobRow:
    state = job["outcome"]
    if state is None:
        started = any(stage["has_started"] for stage in job["stages"])
        state = JobState.RUNNING if started else JobState.QUEUED
    return JobRow(
        id=JobId(job["id"]),
        tenant=Tenant(job["tenant"]),
        state=JobState(state),
        recipe=dataclasses.replace(
            _recipe(job["recipe"]), seed=job["seed"], metadata=job["metadata"]
        ),
        seed=job["seed"],
        photo_key=job["photo_key"],
        background_key=job["background_key"],
        photo_url=job["photo_url"],
        upload=_upload(job),
        batch_id=None if job["batch_id"] is None else BatchId(job["batch_id"]),
        rank=job["album_rank"],
        rank_terms=job["album_terms"],
        created_at=job["created_at"],
        finished_at=job["finished_at"],
        error=job["error"],
        keep_nothing=job["keep_nothing"],
        expires_at=job["expires_at"],
        expired_at=job["expired_at"],
        megapixels=job["megapixels"] or 0.0,
        degraded=tuple(job["degraded"] or ()),
        stages=tuple(
            map(_stage_row, sorted(job["stages"], key=lambda stage: _PLACES[stage["stage"]]))
        ),
        photo_digest=job["photo_digest"],
        parent_id=None if job["parent_id"] is None else JobId(job["parent_id"]),
        corrections=tuple(job["corrections"]),
    )
