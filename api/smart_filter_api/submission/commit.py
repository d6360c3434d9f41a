"""Store the pictures of a submission, write its jobs, and commit.

`write_job` writes a job with the stored answer of a request with an Idempotency-Key. A batch, and a
job with rows of its caller, take `open_submission`: it stores the pictures and opens the
transaction, in which the caller inserts them.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import BinaryIO, Final, cast

import anyio
from fastapi import Response, status
from sqlalchemy import Connection

from smart_filter_api.auth import api_keys
from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.auth.links import LinkTerms
from smart_filter_api.http import documents
from smart_filter_api.intake.body import SpooledFile
from smart_filter_api.services.container import Services
from smart_filter_api.services.database import CallWithConnection, Database
from smart_filter_api.services.idempotency import IdempotentRequest
from smart_filter_api.submission import photo_source
from smart_filter_api.submission.admission import AdmittedJob
from smart_filter_shared.artifacts import uploads
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import StorageUnavailable
from smart_filter_shared.eta.estimate import CompletionEstimate
from smart_filter_shared.ids import Capability, JobId
from smart_filter_shared.jobs import queries
from smart_filter_shared.jobs.photo_queue import CLIENT
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.jobs.submission import (
    NewPhotoBatch,
    NewPhotoJob,
    encode_job,
    submit_batch,
)
from smart_filter_shared.queue import batches
from smart_filter_shared.queue.batches import BatchRow
from smart_filter_shared.queue.submission import NewBatch
from smart_filter_shared.storage.objects import PART_BYTES
from smart_filter_shared.tenants import quotas
from smart_filter_shared.webhooks import endpoints

# Photos of one batch that are read or stored concurrently.
_MAX_CONCURRENT: Final = 8


@dataclass(frozen=True, slots=True)
class JobSubmission:
    """An admitted job that is ready to be written.

    pictures: stored before the job is written, by their keys.
    charged_megapixels: charged with the job.
    """

    job: NewPhotoJob
    admitted: AdmittedJob
    pictures: Mapping[str, SpooledFile]
    charged_megapixels: float


@dataclass(frozen=True, slots=True)
class BatchSubmission:
    """A batch with its admitted jobs, ready to be written.

    rows: the batch as it is written.  The others: as in `JobSubmission`.
    """

    batch: NewPhotoBatch
    rows: NewBatch
    pictures: Mapping[str, SpooledFile]
    charged_megapixels: float


@dataclass(frozen=True, slots=True)
class AcceptedJob:
    """A job that was written.

    ringing: capabilities to ring after the commit.  estimate: its estimate at admission; None for
    a job that has ended at once.
    """

    job: JobRow
    ringing: list[Capability]
    estimate: CompletionEstimate | None


@dataclass(frozen=True, slots=True)
class AcceptedBatch:
    """A batch that was written.

    jobs: the jobs of its photos.  ringing: capabilities to ring after the commit.
    """

    batch: BatchRow
    jobs: Sequence[JobId]
    ringing: list[Capability]


async def write_job(
    services: Services, caller: Caller, submission: JobSubmission, once: IdempotentRequest
) -> AcceptedJob:
    """Write a job, and with it the answer to repeated requests; ring for it and return it.

    Raises the errors of `open_submission` and `insert_job`.
    """
    async with open_submission(services, caller, submission, adds_rows=False) as call:
        accepted = await call(insert_job, services, caller, submission, once)
    services.doorbell.ring(accepted.ringing)
    return accepted


@asynccontextmanager
async def open_submission(
    services: Services,
    caller: Caller,
    submission: JobSubmission | BatchSubmission,
    *,
    adds_rows: bool = True,
) -> AsyncIterator[CallWithConnection]:
    """Store the pictures, yield what calls the functions that insert the rows, and commit.

    The pictures are stored first, so that no committed row lacks its objects. When nothing was
    written, they are removed. They stay when it is not known whether anything was; the orphan scan
    removes them if no row references them.
    adds_rows: whether the block writes rows in addition to `insert_job`.
    Raises StorageUnavailable, DatabaseUnavailable, OutcomeUnknown, and for a batch RateLimited and
    ServiceFull.
    """
    commits_itself = not adds_rows and _is_one_statement(caller, submission)
    async with contextlib.AsyncExitStack() as undo:
        stored_keys: list[str] = []
        undo.push_async_callback(_remove_pictures, services, stored_keys)
        await _store_pictures(services, submission.pictures, stored_keys)
        try:
            async with _open_writing(
                services.database, caller, submission, commits_itself=commits_itself
            ) as call:
                if isinstance(submission, JobSubmission):
                    services.eta.accept(submission.admitted.outstanding)
                yield call
                if isinstance(submission, JobSubmission) and submission.job.webhook_url is not None:
                    await call(_ensure_webhook_secret, services, caller)
        except BaseException as error:
            if not sessions.has_certainly_failed(error):
                undo.pop_all()
            raise
        finally:
            if isinstance(submission, BatchSubmission):
                services.limits.queues.forget(caller.tenant)
        undo.pop_all()


def insert_job(
    connection: Connection,
    services: Services,
    caller: Caller,
    submission: JobSubmission,
    once: IdempotentRequest | None = None,
) -> AcceptedJob:
    """Insert a job, charge its megapixels, and return the job.

    once: stores the answer to repeated requests with the job; None: nothing does.
    Raises QueueFull, RateLimited, IdempotencyInProgress, InsufficientScope, InvalidRequest for an
    upload that has expired, and InputsExpired when a borrowed artifact has expired.
    """
    job, admitted = submission.job, submission.admitted
    _hold_room(connection, caller, [job], submission.pictures, has_room=admitted.has_room)
    rows = encode_job(connection, job)
    answer = None
    if once is not None and once.is_named:
        # Not the results of a job that has ended at once: settings may hide them later.
        accepted = queries.as_accepted(job, rows, once.claimed_at)
        estimate = None if rows.has_ended else admitted.estimate
        answer = once.keep(accepted_response(accepted, services, estimate), job.job_id)
    written = CLIENT.submit(connection, rows, answer=answer)
    # Last: the tenant's other submissions wait for this row until the commit.
    quotas.charge(connection, caller.tenant, submission.charged_megapixels, caller.limits)
    row = queries.from_submission(job, written)
    return AcceptedJob(row, written.ringing, admitted.estimate if row.finished_at is None else None)


def accepted_response(
    row: JobRow,
    services: Services,
    estimate: CompletionEstimate | None = None,
    *,
    links: LinkTerms | None = None,
) -> Response:
    """Return the answer to a submission; parameters as in `Services.render_job`."""
    answer = documents.json_response(
        services.render_job(row, estimate, links=links), status.HTTP_202_ACCEPTED
    )
    answer.headers["Location"] = path_of(row)
    return answer


def path_of(row: JobRow) -> str:
    """Return the path of a job."""
    return f"/v1/jobs/{row.id}"


def insert_batch(
    connection: Connection, services: Services, caller: Caller, submission: BatchSubmission
) -> AcceptedBatch:
    """Insert a batch with all its jobs, charge its megapixels, and return it.

    Raises QueueFull, RateLimited, and InvalidRequest for an upload that has expired.
    """
    batch = submission.batch
    _hold_room(connection, caller, batch.jobs, submission.pictures, has_room=False)
    ringing = submit_batch(connection, submission.rows)
    if batch.webhook_url is not None:
        _ensure_webhook_secret(connection, services, caller)
    row = batches.find(connection, batch.batch_id, batch.tenant)
    if row is None:
        raise RuntimeError(f"batch {batch.batch_id} was written and cannot be read")
    quotas.charge(connection, caller.tenant, submission.charged_megapixels, caller.limits)
    return AcceptedBatch(row, [job.job_id for job in batch.jobs], ringing)


async def store_picture(services: Services, key: str, picture: SpooledFile) -> None:
    """Store a picture.  Raises StorageUnavailable."""
    large = (
        services.limits.large_pictures if picture.length > PART_BYTES else contextlib.nullcontext()
    )
    async with large:
        await services.in_thread(
            services.storage.put,
            key,
            # A spooled file behaves like BinaryIO but is not declared as such.
            cast("BinaryIO", picture.file),
            length=picture.length,
            media_type=picture.media_type,
        )


async def remove_picture(services: Services, key: str) -> None:
    """Remove a picture that no row will reference, if the storage is available."""
    # If the storage has failed, retention removes the object later.
    with anyio.CancelScope(shield=True), contextlib.suppress(StorageUnavailable):
        await services.in_thread(services.storage.remove, key)


async def run_concurrently(work: Callable[[], Awaitable[None]], *, tasks: int) -> None:
    """Run copies of `work` concurrently, at most 8; raise the error of the first that fails."""
    if tasks <= 1:
        await work()
        return
    failures: list[Exception] = []

    async def until_one_fails() -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - raised below, without the group around it
            failures.append(error)
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for _ in range(min(tasks, _MAX_CONCURRENT)):
            group.start_soon(until_one_fails)
    if failures:
        raise failures[0]


@asynccontextmanager
async def _open_writing(
    database: Database,
    caller: Caller,
    submission: JobSubmission | BatchSubmission,
    *,
    commits_itself: bool,
) -> AsyncIterator[CallWithConnection]:
    if commits_itself:
        yield database.query
        return
    is_batch = isinstance(submission, BatchSubmission)
    opened = database.writing_batch(caller.tenant) if is_batch else database.transaction()
    async with opened as connection:
        yield connection.run_sync  # type: ignore[misc]  # mypy does not unify the two ParamSpecs


def _is_one_statement(caller: Caller, submission: JobSubmission | BatchSubmission) -> bool:
    """Whether the single statement of `transitions.submit` writes everything."""
    if isinstance(submission, BatchSubmission):
        return False
    job = submission.job
    return submission.admitted.has_room and not (
        caller.is_device
        or caller.limits.stored_bytes
        or caller.limits.megapixels_per_day
        or job.webhook_url
        or job.upload
        or job.results
        or job.references
    )


def _hold_room(
    connection: Connection,
    caller: Caller,
    jobs: Sequence[NewPhotoJob],
    pictures: Mapping[str, SpooledFile],
    *,
    has_room: bool,
) -> None:
    """Check the quotas of the jobs before any write, and lock their uploads until the commit.

    Raises QueueFull, InsufficientScope, InvalidRequest.
    """
    if not has_room:
        # Near the limit, a tenant's submissions take turns here.
        quotas.check_queue_quota(
            connection, caller.tenant, caller.limits, exactly=True, jobs=len(jobs)
        )
    quotas.check_stored_bytes(
        connection,
        caller.tenant,
        caller.limits,
        sum(picture.length for picture in pictures.values()),
        exactly=True,
        jobs=len(jobs),
    )
    for _ in jobs:
        api_keys.count_job(connection, caller)
    # A fixed order avoids deadlocks with other transactions that lock or mark some of them.
    for upload_id in sorted({job.upload.id for job in jobs if job.upload is not None}):
        if not uploads.lock(connection, upload_id, caller.tenant):
            raise photo_source.unknown_upload()


def _ensure_webhook_secret(connection: Connection, services: Services, caller: Caller) -> None:
    assert services.secret_box is not None, "`check_webhook` was called"
    endpoints.ensure_default(connection, services.secret_box, caller.tenant)


async def _store_pictures(
    services: Services, pictures: Mapping[str, SpooledFile], stored_keys: list[str]
) -> None:
    """Store pictures, a few at a time.  Raises StorageUnavailable for the first that fails.

    stored_keys: gets the key of each picture before it is stored.
    """
    left = iter(pictures.items())

    async def store_some() -> None:
        for key, picture in left:
            stored_keys.append(key)
            await store_picture(services, key, picture)

    await run_concurrently(store_some, tasks=len(pictures))


async def _remove_pictures(services: Services, keys: Sequence[str]) -> None:
    for key in keys:
        await remove_picture(services, key)
