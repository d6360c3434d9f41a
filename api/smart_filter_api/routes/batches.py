"""Batches: submit many photos, look at them, cancel and delete them together."""

import base64
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated

import anyio
from fastapi import APIRouter, Header, Query, Request, Response, status
from fastapi.responses import StreamingResponse
from sqlalchemy import Connection

from smart_filter_api import idempotency, removal, spans, tags, waiting
from smart_filter_api.batches import answers as batch_answers
from smart_filter_api.batches import intake as batch_intake
from smart_filter_api.batches import submission as batch_submission
from smart_filter_api.batches import waiting as batch_waiting
from smart_filter_api.deps import OpenServices, Reader, Services, Submitter
from smart_filter_api.idempotency import IdempotencyKey
from smart_filter_api.openapi import bodies as openapi_bodies
from smart_filter_api.problems import documented
from smart_filter_api.routes.jobs import Preferences
from smart_filter_api.schemas.batches import BatchAnswer, BatchPage
from smart_filter_api.schemas.parameters import Cursor
from smart_filter_shared.errors import JobDeleted, NotFound
from smart_filter_shared.ids import BatchId, JobId, Tenant
from smart_filter_shared.jobs import batches, events, transitions
from smart_filter_shared.jobs.batches import BatchRow
from smart_filter_shared.jobs.events import Event
from smart_filter_shared.jobs.retention import Marked

router = APIRouter(prefix="/v1/batches", tags=["batches"])

_MOST_LISTED = 100
_EVENTS = "text/event-stream"
_MOST_EVENT_ID = 2**63 - 1
# How many jobs of a batch one transaction deletes, and how many objects are removed at a time.
_DELETED_AT_ONCE = 50
_REMOVED_AT_ONCE = 8
# What whoever deletes a batch waits for its jobs, and then for their objects; what is left then,
# retention removes.
_PATIENCE_SECONDS = 10.0
_ONCE = ("malformed_request", "idempotency_in_progress", "idempotency_mismatch")
_OF_ONE = ("unauthorized", "scope", "not_found", "job_deleted", "unavailable")


@router.post(
    "",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Submit photos together",
    description="What is wrong with an item is told in its place, and the others run; when nothing "
    "of the batch can be done, nothing is written.",
    response_model=BatchAnswer,
    openapi_extra={"requestBody": openapi_bodies.BATCH},
    responses=documented(
        "unauthorized",
        "scope",
        "photo_too_large",
        "unsupported_media",
        "invalid_recipe",
        "contradiction",
        "not_available",
        "invalid_request",
        "upload_missing",
        *_ONCE,
        "job_deleted",
        "queue_full",
        "unavailable",
    )
    | {status.HTTP_200_OK: {"model": BatchAnswer, "description": "it finished within the wait"}},
)
async def create(
    request: Request,
    services: OpenServices,
    caller: Submitter,
    prefer: Preferences = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Take photos and what to do with them; their jobs are queued when this is answered."""
    async with (
        batch_intake.received(request) as sent,
        idempotency.once(
            services, request, caller.tenant, idempotency_key, sent.fingerprint
        ) as once,
    ):
        if once.replayed is not None:
            return once.replayed

        def remember(connection: Connection, row: BatchRow) -> None:
            once.remember(connection, _accepted(row), job_id=JobId(row.id))

        accepted = await batch_submission.accept(services, caller, sent, also=remember)
    services.ringer.ring(accepted.ringing)
    await spans.tell(request, jobs=accepted.jobs, batch=accepted.batch.id)
    seconds = waiting.preferred_seconds(prefer)
    if seconds is None:
        return _accepted(accepted.batch)
    batch_id = accepted.batch.id
    row = await batch_waiting.until(services, caller.tenant, batch_id, seconds=seconds)
    answer = _accepted(row)
    answer.headers[waiting.APPLIED] = f"wait={seconds}"
    return answer


@router.get(
    "",
    summary="List batches, newest first",
    description="Without their items.",
    responses=documented("malformed_request", "unauthorized", "scope", "unavailable"),
)
async def list_batches(
    services: OpenServices,
    caller: Reader,
    *,
    limit: Annotated[int, Query(ge=1, le=_MOST_LISTED)] = 20,
    cursor: Cursor | None = None,
) -> BatchPage:
    """Answer a page of the caller's batches."""
    before = None
    if cursor is not None:
        before = BatchId(uuid.UUID(bytes=base64.urlsafe_b64decode(cursor + "==")))

    def look(connection: Connection) -> list[BatchRow]:
        # One more tells whether there is another page.
        return batches.listed(connection, caller.tenant, before=before, limit=limit + 1)

    async with services.reading() as connection:
        rows = await connection.run_sync(look)
    more = len(rows) > limit
    return BatchPage(
        items=[batch_answers.summary(row) for row in rows[:limit]],
        next_cursor=_cursor(rows[limit - 1].id) if more else None,
    )


@router.get(
    "/{batch_id}",
    summary="Look at a batch",
    description="With `Prefer: wait=n` when it has finished, or after n seconds; with "
    "`If-None-Match` as well when it is not any more what the tag names.",
    response_model=BatchAnswer,
    responses={
        status.HTTP_304_NOT_MODIFIED: {"description": "If-None-Match names what it still is"},
        **documented(*_OF_ONE),
    },
)
async def show(
    batch_id: str,
    services: OpenServices,
    caller: Reader,
    *,
    prefer: Preferences = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Answer what has become of every item by now."""
    async with services.reading() as connection:
        row = await connection.run_sync(_found, batch_id, caller.tenant)
    content = _content(row)
    seconds = waiting.preferred_seconds(prefer)
    known = tags.is_known(tags.etag(content), if_none_match)
    # Whoever knows something else wants to know this now.
    if seconds is not None and row.finished_at is None and (known or if_none_match is None):
        changed_from = row if known else None
        row = await batch_waiting.until(
            services, caller.tenant, row.id, seconds=seconds, changed_from=changed_from
        )
        content = _content(row)
    answer = tags.json(content, if_none_match)
    if seconds is not None:
        answer.headers[waiting.APPLIED] = f"wait={seconds}"
    return answer


@router.get(
    "/{batch_id}/events",
    summary="Follow a batch",
    description="Server-sent events: `batch.progress` when jobs of it have ended, and "
    "`batch.finished`, after which the stream ends. Each `data` is "
    '`{"type","timestamp","data": the batch}`, without its items until it has finished. '
    "`Last-Event-ID` goes on behind that event; when there is nothing behind it any more, 204.",
    response_class=StreamingResponse,
    responses={
        status.HTTP_200_OK: {"description": "the events", "content": {_EVENTS: {}}},
        status.HTTP_204_NO_CONTENT: {"description": "nothing will happen any more"},
        **documented(*_OF_ONE, "malformed_request"),
    },
)
async def follow(
    batch_id: str,
    services: OpenServices,
    caller: Reader,
    last_event_id: Annotated[int, Header(ge=0, le=_MOST_EVENT_ID)] = 0,
) -> Response:
    """Answer what happens to a batch, as it happens."""

    def look(connection: Connection) -> tuple[BatchRow, list[Event]]:
        row = _found(connection, batch_id, caller.tenant)
        return row, events.of_batch(connection, row.id, after=last_event_id)

    async with services.reading() as connection:
        row, behind = await connection.run_sync(look)
    if row.finished_at is not None and not behind:
        return Response(status_code=status.HTTP_204_NO_CONTENT)
    happening = batch_waiting.stream(services, caller.tenant, row.id, after=last_event_id)
    return StreamingResponse(happening, media_type=_EVENTS, headers={"X-Accel-Buffering": "no"})


@router.post(
    "/{batch_id}/cancel",
    summary="Cancel a batch",
    response_model=BatchAnswer,
    responses=documented(*_ONCE, *_OF_ONE, "job_final"),
)
async def cancel(
    batch_id: str,
    request: Request,
    services: OpenServices,
    caller: Submitter,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Withdraw all jobs of a batch that have not ended."""

    def move(connection: Connection) -> Response:
        row = _found(connection, batch_id, caller.tenant)
        transitions.cancel_batch(connection, row.id, caller.tenant)
        row = _found(connection, batch_id, caller.tenant)
        answer = Response(_content(row), media_type="application/json")
        once.remember(connection, answer, job_id=JobId(row.id))
        return answer

    async with idempotency.once(services, request, caller.tenant, idempotency_key) as once:
        if once.replayed is not None:
            return once.replayed
        async with services.transaction() as connection:
            return await connection.run_sync(move)


@router.delete(
    "/{batch_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Delete a batch",
    description="And all its jobs, whatever their state: their photos, results and rows are gone "
    "then.",
    responses=documented(*_OF_ONE),
)
async def delete(batch_id: str, services: OpenServices, caller: Submitter) -> None:
    """Forget a batch, its jobs and all that they have stored."""

    def begin(connection: Connection) -> BatchId:
        try:
            transitions.begin_to_delete(connection, _parsed(batch_id), caller.tenant)
        except NotFound:
            raise _gone(connection, batch_id, caller.tenant) from None
        return _parsed(batch_id)

    def go_on(connection: Connection) -> dict[JobId, list[Marked]]:
        return transitions.go_on_deleting(connection, begun, caller.tenant, most=_DELETED_AT_ONCE)

    async with services.transaction() as connection:
        begun = await connection.run_sync(begin)
    marked: dict[JobId, list[Marked]] = {}
    is_left, ends_at = True, anyio.current_time() + _PATIENCE_SECONDS
    while is_left and anyio.current_time() < ends_at:
        async with services.transaction() as connection:
            some = await connection.run_sync(go_on)
        marked |= some
        is_left = bool(some)
    await _remove(services, caller.tenant, marked)


async def _remove(
    services: Services, tenant: Tenant, marked: Mapping[JobId, Sequence[Marked]]
) -> None:
    left = iter(marked.items())

    async def remove_some() -> None:
        for job_id, artifacts in left:
            await removal.remove(services, tenant, job_id, artifacts)

    with anyio.move_on_after(_PATIENCE_SECONDS):
        async with anyio.create_task_group() as group:
            for _ in range(_REMOVED_AT_ONCE):
                group.start_soon(remove_some)


def _accepted(row: BatchRow) -> Response:
    """Return the answer to a submission: 202, or 200 when the batch has finished by now."""
    code = status.HTTP_202_ACCEPTED if row.finished_at is None else status.HTTP_200_OK
    answer = Response(_content(row), status_code=code, media_type="application/json")
    answer.headers["Location"] = f"{router.prefix}/{row.id}"
    return answer


def _content(row: BatchRow) -> bytes:
    return batch_answers.batch(row).model_dump_json().encode()


def _found(connection: Connection, batch_id: str, tenant: Tenant) -> BatchRow:
    """Return a tenant's batch.

    Raises NotFound, the same for what is no id, nobody's and somebody else's; JobDeleted.
    """
    row = batches.find(connection, _parsed(batch_id), tenant)
    if row is None:
        raise _gone(connection, batch_id, tenant)
    return row


def _gone(connection: Connection, batch_id: str, tenant: Tenant) -> JobDeleted | NotFound:
    if batches.is_deleted(connection, _parsed(batch_id), tenant):
        return JobDeleted(f"batch {batch_id} was deleted; nothing of it is kept")
    return NotFound(f"batch {batch_id}")


def _parsed(batch_id: str) -> BatchId:
    try:
        return BatchId(uuid.UUID(batch_id))
    except ValueError:
        raise NotFound(f"batch {batch_id}") from None


def _cursor(batch_id: BatchId) -> str:
    return base64.urlsafe_b64encode(batch_id.bytes).rstrip(b"=").decode()
