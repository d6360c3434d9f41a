"""Endpoints for batches: submit photos together; list, read, follow, cancel and delete batches."""

import base64
import contextlib
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated

import anyio
import anyio.to_thread
from fastapi import APIRouter, Header, Query, Request, Response, status
from fastapi.responses import StreamingResponse
from sqlalchemy import Connection

from smart_filter_api.http import documents, middleware
from smart_filter_api.openapi import bodies as openapi_bodies
from smart_filter_api.presenters import job as presenters_job
from smart_filter_api.problems.problem import describe_responses
from smart_filter_api.responses import long_poll
from smart_filter_api.responses.long_poll import FollowedBatch
from smart_filter_api.routes.jobs import NEEDS_ADMIN, Preferences
from smart_filter_api.schemas.parameters import Cursor, parse_id
from smart_filter_api.services import idempotency, object_cleanup
from smart_filter_api.services.callers import Reader, Submitter, refuse_foreign
from smart_filter_api.services.container import OpenServices, Services
from smart_filter_api.services.idempotency import IdempotencyKey
from smart_filter_api.submission import batch_body, commit, submit_batch
from smart_filter_shared.artifacts.retention import MarkedArtifact
from smart_filter_shared.errors import (
    JobDeleted,
    NotFound,
    RateLimited,
    ServiceFull,
)
from smart_filter_shared.ids import BatchId, JobId, Tenant
from smart_filter_shared.jobs import choices
from smart_filter_shared.jobs.photo_queue import CLIENT
from smart_filter_shared.queue import batches, events
from smart_filter_shared.queue.batches import BatchRow
from smart_filter_shared.queue.events import Event, EventType
from smart_filter_wire.batches import Batch, BatchPage

router = APIRouter(prefix="/v1/batches", tags=["batches"])

_MAX_PAGE_SIZE = 100
# Jobs of a batch that one transaction deletes.
_DELETE_CHUNK_JOBS = 50
# Jobs whose objects are removed concurrently.
_MAX_CONCURRENT_REMOVALS = 8
# Longest time that a delete request takes for the jobs, and again for their objects; retention
# removes the rest.
_REMOVAL_TIMEOUT_SECONDS = 10.0
_BATCH_PROBLEMS = ("not_found", "job_deleted")


@router.post(
    "",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Submit photos together",
    description="An invalid item gets an `error` and the others run. When no item is valid, the "
    "whole batch is rejected.",
    response_model=Batch,
    openapi_extra={"requestBody": openapi_bodies.BATCH},
    responses=describe_responses(
        *("photo_too_large", "unsupported_media", "invalid_recipe", "contradiction"),
        *("not_available", "invalid_request", "invalid_photo_url", "invalid_webhook_url"),
        "upload_missing",
        *idempotency.PROBLEMS,
        *("job_deleted", "queue_full"),
    )
    | {status.HTTP_200_OK: {"model": Batch, "description": "Finished within `Prefer: wait`"}},
)
async def create_batch(
    request: Request,
    services: OpenServices,
    caller: Submitter,
    prefer: Preferences = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Create a job for each photo; the jobs are queued when the answer is sent."""
    async with (
        batch_body.receive_batch(request, with_fingerprint=idempotency_key is not None) as sent,
        idempotency.once(
            services, request, caller, idempotency_key, fingerprint=sent.fingerprint
        ) as once,
    ):
        if once.replayed is not None:
            return once.replayed
        submission = await submit_batch.prepare_batch(services, caller, sent)
        async with commit.open_submission(services, caller, submission) as call:
            accepted = await call(commit.insert_batch, services, caller, submission)
            if once.is_named:
                answer = await _submission_response(accepted.batch)
                await call(once.remember, answer, job_id=JobId(accepted.batch.id))
    services.doorbell.ring(accepted.ringing)
    await middleware.record_submission(request, jobs=accepted.jobs, batch=accepted.batch.id)
    seconds = long_poll.preferred_seconds(prefer)
    if seconds is None or not services.limits.waits.has_room(caller):
        return once.remembered or await _submission_response(accepted.batch)
    followed = FollowedBatch(caller.tenant, accepted.batch.id)
    with services.limits.waits.hold(caller):
        row = await long_poll.wait_for_end(services, request, followed, seconds=seconds)
    answer = await _submission_response(row)
    answer.headers[long_poll.APPLIED_HEADER] = f"wait={seconds}"
    return answer


@router.get(
    "",
    summary="List batches, newest first",
    description="The batches are listed without their items.",
    responses=describe_responses("malformed_request"),
)
async def list_batches(
    request: Request,
    services: OpenServices,
    caller: Reader,
    *,
    limit: Annotated[int, Query(ge=1, le=_MAX_PAGE_SIZE)] = 20,
    cursor: Cursor | None = None,
) -> BatchPage:
    """Return a page of the tenant's batches."""
    before = None
    if cursor is not None:
        before = BatchId(uuid.UUID(bytes=base64.urlsafe_b64decode(cursor + "==")))

    def look(connection: Connection) -> list[BatchRow]:
        # One more row shows whether there is another page.
        return batches.list_batches(connection, caller.tenant, before=before, limit=limit + 1)

    async with services.database.listing(caller.tenant, request) as connection:
        rows = await connection.run_sync(look)
    more = len(rows) > limit
    return BatchPage(
        items=tuple(map(presenters_job.render_summary, rows[:limit])),
        next_cursor=_encode_cursor(rows[limit - 1].id) if more else None,
    )


@router.get(
    "/{batch_id}",
    summary="Get a batch",
    description="With `Prefer: wait=n` the answer comes when the batch has finished, or after n "
    "seconds; with `If-None-Match` in addition, as soon as the batch differs from that version.",
    response_model=Batch,
    responses={
        status.HTTP_304_NOT_MODIFIED: {
            "description": "Not modified: `If-None-Match` names the current version"
        },
        **describe_responses(*_BATCH_PROBLEMS),
    },
)
async def get_batch(
    batch_id: str,
    request: Request,
    services: OpenServices,
    caller: Reader,
    *,
    prefer: Preferences = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Return a batch with the current state of every item."""
    followed = FollowedBatch(caller.tenant, BatchId(parse_id(batch_id, "batch")))

    async def read_batch() -> tuple[BatchRow, bytes]:
        # It reads as many rows as a list.
        async with services.database.listing(caller.tenant, request) as connection:
            row = await connection.run_sync(_find_batch, batch_id, caller.tenant)
        return row, await _render_in_thread(row)

    row, content = await services.caches.batch_reads.get_now(followed, read_batch)
    seconds = long_poll.preferred_seconds(prefer)
    is_known = documents.is_known(documents.etag(content), if_none_match)
    # A client whose ETag is outdated gets the current version without waiting.
    if seconds is not None and row.finished_at is None and (is_known or if_none_match is None):
        changed_from = row if is_known else None
        with services.limits.waits.hold(caller):
            row = await long_poll.wait_for_end(
                services, request, followed, seconds=seconds, changed_from=changed_from
            )
        content = await _render_in_thread(row)
    answer = documents.revalidated_response(content, if_none_match)
    if seconds is not None:
        answer.headers[long_poll.APPLIED_HEADER] = f"wait={seconds}"
    return answer


@router.get(
    "/{batch_id}/events",
    summary="Stream the events of a batch",
    description="Server-sent events: `batch.progress` when jobs of the batch have ended, and "
    "`batch.finished`, after which the stream ends. Each `data` is "
    '`{"type","timestamp","data": the batch}`, without its items until it has finished. '
    "`Last-Event-ID` resumes after that event; 204 means that no more events will follow.",
    response_class=StreamingResponse,
    responses={
        status.HTTP_200_OK: {"description": "The events", "content": {long_poll.EVENT_STREAM: {}}},
        status.HTTP_204_NO_CONTENT: {"description": "No more events will follow"},
        **describe_responses(*_BATCH_PROBLEMS, "malformed_request"),
    },
)
async def stream_batch_events(
    batch_id: str,
    services: OpenServices,
    caller: Reader,
    last_event_id: long_poll.LastEventId = 0,
) -> Response:
    """Stream the events of a batch as they happen."""

    def look(connection: Connection) -> tuple[BatchRow, Event | None]:
        id_ = BatchId(parse_id(batch_id, "batch"))
        row = batches.find_summary(connection, id_, caller.tenant)
        if row is None:
            raise _missing_batch_error(connection, batch_id, caller.tenant)
        return row, events.find_last(connection, id_, EventType.BATCH_FINISHED)

    row, end = await services.database.query(look)
    if row.finished_at is not None and (end is None or end.id <= last_event_id):
        return Response(status_code=status.HTTP_204_NO_CONTENT)
    followed = FollowedBatch(caller.tenant, row.id)
    stream = long_poll.stream_events(services, followed, after=last_event_id)
    return long_poll.EventStream(services, caller, stream)


@router.post(
    "/{batch_id}/cancel",
    summary="Cancel a batch",
    description=NEEDS_ADMIN,
    response_model=Batch,
    responses=describe_responses(*idempotency.PROBLEMS, *_BATCH_PROBLEMS, "job_final"),
)
async def cancel_batch(
    batch_id: str,
    request: Request,
    services: OpenServices,
    caller: Submitter,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Cancel all jobs of a batch that have not ended."""

    def move(connection: Connection) -> BatchRow:
        try:
            id_ = BatchId(parse_id(batch_id, "batch"))
            refuse_foreign(connection, caller, batch=id_)
            CLIENT.cancel_batch(connection, id_, caller.tenant)
        except NotFound:
            raise _missing_batch_error(connection, batch_id, caller.tenant) from None
        return _find_batch(connection, batch_id, caller.tenant)

    async with idempotency.once(services, request, caller, idempotency_key) as once:
        if once.replayed is not None:
            return once.replayed
        async with services.database.writing_batch(caller.tenant) as connection:
            row = await connection.run_sync(move)
            if once.is_named:
                answer = await _render_response(row)
                await connection.run_sync(once.remember, answer, job_id=JobId(row.id))
    return once.remembered or await _render_response(row)


@router.delete(
    "/{batch_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Delete a batch",
    description="Deletes the batch and all its jobs in any state, with their photos and results. "
    f"{NEEDS_ADMIN}",
    responses=describe_responses(*_BATCH_PROBLEMS),
)
async def delete_batch(batch_id: str, services: OpenServices, caller: Submitter) -> None:
    """Delete a batch, its jobs and their files."""

    def begin(connection: Connection) -> BatchId:
        batch = BatchId(parse_id(batch_id, "batch"))
        refuse_foreign(connection, caller, batch=batch)
        try:
            CLIENT.begin_batch_deletion(connection, batch, caller.tenant)
        except NotFound:
            raise _missing_batch_error(connection, batch_id, caller.tenant) from None
        choices.give_up_batch(connection, batch, caller.tenant)
        return batch

    def go_on(connection: Connection) -> dict[JobId, list[MarkedArtifact]]:
        return CLIENT.continue_batch_deletion(
            connection, batch, caller.tenant, most=_DELETE_CHUNK_JOBS
        )

    async with services.database.writing_batch(caller.tenant) as connection:
        batch = await connection.run_sync(begin)
    marked: dict[JobId, list[MarkedArtifact]] = {}
    is_left, ends_at = True, anyio.current_time() + _REMOVAL_TIMEOUT_SECONDS
    # Without a turn in time, retention removes the rest too: the batch is deleted already.
    with contextlib.suppress(RateLimited, ServiceFull):
        while is_left and anyio.current_time() < ends_at:
            async with services.database.writing_batch(caller.tenant) as connection:
                some = await connection.run_sync(go_on)
            marked |= some
            is_left = bool(some)
    await _remove_objects(services, caller.tenant, marked)


async def _remove_objects(
    services: Services, tenant: Tenant, marked: Mapping[JobId, Sequence[MarkedArtifact]]
) -> None:
    left = iter(marked.items())

    async def remove_some() -> None:
        for job_id, artifacts in left:
            await object_cleanup.remove_job_objects(services, tenant, job_id, artifacts)

    with anyio.move_on_after(_REMOVAL_TIMEOUT_SECONDS):
        async with anyio.create_task_group() as group:
            for _ in range(_MAX_CONCURRENT_REMOVALS):
                group.start_soon(remove_some)


async def _submission_response(row: BatchRow) -> Response:
    """Return the answer to a submission: 202, or 200 when the batch has already finished."""
    answer = await _render_response(row)
    if row.finished_at is None:
        answer.status_code = status.HTTP_202_ACCEPTED
    answer.headers["Location"] = f"{router.prefix}/{row.id}"
    return answer


async def _render_response(row: BatchRow) -> Response:
    return Response(await _render_in_thread(row), media_type="application/json")


async def _render_in_thread(row: BatchRow) -> bytes:
    """Render a batch; a thousand items would keep the event loop from other requests."""
    return await anyio.to_thread.run_sync(_render_json, row)


def _render_json(row: BatchRow) -> bytes:
    return documents.encode(presenters_job.render_batch(row))


def _find_batch(connection: Connection, batch_id: str, tenant: Tenant) -> BatchRow:
    """Return a tenant's batch.

    Raises JobDeleted, and the same NotFound for a malformed id, an unknown one and another
    tenant's.
    """
    row = batches.find(connection, BatchId(parse_id(batch_id, "batch")), tenant)
    if row is None:
        raise _missing_batch_error(connection, batch_id, tenant)
    return row


def _missing_batch_error(
    connection: Connection, batch_id: str, tenant: Tenant
) -> JobDeleted | NotFound:
    if batches.is_deleted(connection, BatchId(parse_id(batch_id, "batch")), tenant):
        return JobDeleted(f"batch {batch_id} was deleted")
    return NotFound(f"there is no batch {batch_id}")


def _encode_cursor(batch_id: BatchId) -> str:
    return base64.urlsafe_b64encode(batch_id.bytes).rstrip(b"=").decode()
