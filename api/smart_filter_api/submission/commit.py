"""Store the pictures of a submission, write its jobs, and commit.

Single jobs, derived jobs and batches take this path: `open_submission` stores the pictures and
opens the transaction, in which the caller inserts the job or the batch and writes what belongs to
it, such as the stored answer of a request with an Idempotency-Key.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import BinaryIO, Final, cast

import anyio
from sqlalchemy import Connection

from smart_filter_api.auth import api_keys
from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.intake.body import SpooledFile
from smart_filter_api.services.container import Services
from smart_filter_api.services.database import CallWithConnection, Database
from smart_filter_api.submission import outbound_url, photo_source
from smart_filter_api.submission.admission import AdmittedJob
from smart_filter_shared.artifacts import uploads
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import (
    FieldError,
    InvalidWebhookUrl,
    NotAvailable,
    StorageUnavailable,
)
from smart_filter_shared.eta.estimate import CompletionEstimate
from smart_filter_shared.ids import Capability, JobId
from smart_filter_shared.jobs import queries
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.jobs.submission import (
    NewPhotoBatch,
    NewPhotoJob,
    submit_batch,
    submit_job,
)
from smart_filter_shared.queue import batches
from smart_filter_shared.queue.batches import BatchRow
from smart_filter_shared.queue.submission import NewBatch, NewJob, StoredAnswer
from smart_filter_shared.storage.objects import PART_BYTES
from smart_filter_shared.tenants import quotas
from smart_filter_shared.webhooks import endpoints

# Detail of the problem for a webhook when the operator has set no secrets key.
WEBHOOKS_DISABLED: Final = "webhooks need the setting SMART_FILTER_SECRETS_KEY"
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


def check_webhook_url(services: Services, webhook_url: str | None) -> str | None:
    """Return the address for the final event of a job or batch in normalized form, if there is one.

    Raises InvalidWebhookUrl when it is not a URL or can never be reached, NotAvailable when the
    operator has set no secrets key.
    """
    if webhook_url is None:
        return None
    if services.secret_box is None:
        raise NotAvailable([FieldError("/webhook_url", WEBHOOKS_DISABLED)])
    return outbound_url.check(services, "webhook_url", webhook_url, InvalidWebhookUrl)


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
    caller: Caller,
    submission: JobSubmission,
    answer: Callable[[NewJob], StoredAnswer] | None = None,
) -> AcceptedJob:
    """Insert a job, charge its megapixels, and return the job; answer: as in `submit_job`.

    Raises QueueFull, RateLimited, IdempotencyInProgress, InsufficientScope, InvalidRequest for an
    upload that has expired, and InputsExpired when a borrowed artifact has expired.
    """
    job, admitted = submission.job, submission.admitted
    _hold_room(connection, caller, [job], submission.pictures, has_room=admitted.has_room)
    written = submit_job(connection, job, answer=answer)
    # Last: the tenant's other submissions wait for this row until the commit.
    quotas.charge(connection, caller.tenant, submission.charged_megapixels, caller.limits)
    row = queries.from_submission(job, written)
    estimate = admitted.estimate if row.finished_at is None else None
    return AcceptedJob(row, written.ringing, estimate)


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
    assert services.secret_box is not None, "`check_webhook_url` was called"
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
