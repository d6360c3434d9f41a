"""Jobs: submit, list, look at, cancel, redrive, delete."""

import base64
import uuid
from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import APIRouter, Header, Query, Request, Response, status
from fastapi.responses import StreamingResponse
from sqlalchemy import Connection

from smart_filter_api import (
    acceptances,
    answers,
    idempotency,
    intake,
    removal,
    shown,
    spans,
    submission,
    tags,
    waiting,
)
from smart_filter_api.deps import OpenServices, PhotoSender, Reader, Services, Submitter
from smart_filter_api.idempotency import IdempotencyKey
from smart_filter_api.openapi import bodies as openapi_bodies
from smart_filter_api.problems import documented
from smart_filter_api.schemas.jobs import JobAnswer, JobPage
from smart_filter_api.schemas.parameters import Cursor, Instant
from smart_filter_shared.errors import JobDeleted, MalformedRequest, NotFound
from smart_filter_shared.ids import OPERATOR, Capability, JobId, Tenant
from smart_filter_shared.jobs import events, limits, queries, transitions
from smart_filter_shared.jobs.events import Event
from smart_filter_shared.jobs.queries import JobRow, Listing
from smart_filter_shared.jobs.retention import Marked
from smart_filter_shared.jobs.states import JobState

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_MOST_LISTED = 200
_METADATA = "metadata."
_EVENTS = "text/event-stream"
_MOST_EVENT_ID = 2**63 - 1
# What a request with an Idempotency-Key may be told.
_ONCE = ("malformed_request", "idempotency_in_progress", "idempotency_mismatch")

Preferences = Annotated[str | None, Header(description="`wait=n`: seconds, at most 60")]

Answer = TypeVar("Answer")


@router.post(
    "",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Submit a photo",
    response_model=JobAnswer,
    openapi_extra={"requestBody": openapi_bodies.SUBMISSION},
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
    | {status.HTTP_200_OK: {"model": JobAnswer, "description": "it ended within `Prefer: wait`"}},
)
async def create(
    request: Request,
    services: OpenServices,
    caller: PhotoSender,
    prefer: Preferences = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Take a photo and what to do with it; the job is queued when this is answered."""
    async with (
        intake.received(request) as upload,
        idempotency.once(
            services, request, caller.tenant, idempotency_key, upload.fingerprint
        ) as once,
    ):
        if once.replayed is not None:
            return once.replayed

        def remember(connection: Connection, row: JobRow) -> None:
            once.remember(connection, acceptances.answer(row, services), job_id=row.id)

        also = remember if once.is_named else None
        taken = await submission.accept(services, caller, upload, also=also)
    services.ringer.ring(taken.ringing)
    await spans.tell(request, jobs=[taken.job.id])
    return await acceptances.preferred(
        services, caller, taken, remembered=once.remembered, prefer=prefer
    )


@router.get(
    "",
    summary="List jobs, newest first",
    description="Narrowed by metadata too: `metadata.KEY=VALUE`, any number of them.",
    responses=documented("malformed_request", "unauthorized", "scope", "unavailable"),
)
async def list_jobs(
    request: Request,
    services: OpenServices,
    caller: Reader,
    *,
    state: JobState | None = None,
    created_after: Instant | None = None,
    limit: Annotated[int, Query(ge=1, le=_MOST_LISTED)] = 50,
    cursor: Cursor | None = None,
) -> JobPage:
    """Answer a page of the caller's jobs."""
    listing = Listing(
        tenant=caller.tenant,
        state=state,
        created_after=created_after,
        metadata=_metadata_of(request),
        before=None if cursor is None else _after(cursor),
        limit=limit + 1,  # one more tells whether there is another page
    )
    async with services.reading() as connection:
        rows = await connection.run_sync(queries.listed, listing)
    if any(row.finished_at is None for row in rows):
        await services.forecasts.refresh()
    more = len(rows) > limit
    return JobPage(
        items=[shown.job(row, services) for row in rows[:limit]],
        next_cursor=_cursor(rows[limit - 1].id) if more else None,
    )


@router.get(
    "/{job_id}",
    summary="Look at a job",
    description="With `Prefer: wait=n` when it has ended, or after n seconds; with "
    "`If-None-Match` as well when it is not any more what the tag names.",
    response_model=JobAnswer,
    responses={
        status.HTTP_304_NOT_MODIFIED: {"description": "If-None-Match names what it still is"},
        **documented("unauthorized", "scope", "not_found", "job_deleted", "unavailable"),
    },
)
async def show(
    job_id: str,
    services: OpenServices,
    caller: Reader,
    *,
    prefer: Preferences = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Answer what is known of a job by now."""
    async with services.reading() as connection:
        row = await connection.run_sync(found, job_id, caller.tenant)
    seconds = waiting.preferred_seconds(prefer)
    tag, answer = services.tagged.of(row)
    known = tags.is_known(tag, if_none_match)
    # Whoever knows something else wants to know this now.
    if seconds is not None and row.finished_at is None and (known or if_none_match is None):
        row = await waiting.until(
            services,
            caller.tenant,
            row.id,
            seconds=seconds,
            changed_from=row if known else None,
        )
        tag, answer = services.tagged.of(row)
    if row.finished_at is None:
        await services.forecasts.refresh()
        queue = answers.queue(services.forecasts.of_row(row))
        answer = answer.model_copy(update={"queue": queue})
    response = tags.json(answer.model_dump_json().encode(), if_none_match, tag=tag)
    if seconds is not None:
        response.headers[waiting.APPLIED] = f"wait={seconds}"
    return response


@router.get(
    "/{job_id}/events",
    summary="Follow a job",
    description="Server-sent events: `job.queued`, `job.running`, `job.stage` for each stage that "
    "has succeeded, and its end, after which the stream ends. Each `data` is "
    '`{"type","timestamp","data": the job}`. `Last-Event-ID` goes on behind that event; when '
    "there is nothing behind it any more, 204.",
    # FastAPI's own class for this wants a generator, which cannot answer 204 any more.
    response_class=StreamingResponse,
    responses={
        status.HTTP_200_OK: {"description": "the events", "content": {_EVENTS: {}}},
        status.HTTP_204_NO_CONTENT: {"description": "nothing will happen any more"},
        **documented(
            "malformed_request", "unauthorized", "scope", "not_found", "job_deleted", "unavailable"
        ),
    },
)
async def follow(
    job_id: str,
    services: OpenServices,
    caller: Reader,
    last_event_id: Annotated[int, Header(ge=0, le=_MOST_EVENT_ID)] = 0,
) -> Response:
    """Answer what happens to a job, as it happens."""

    def look(connection: Connection) -> tuple[JobRow, list[Event]]:
        row = found(connection, job_id, caller.tenant)
        return row, events.of_job(connection, row.id, after=last_event_id)

    async with services.reading() as connection:
        row, behind = await connection.run_sync(look)
    if row.finished_at is not None and not behind:
        return Response(status_code=status.HTTP_204_NO_CONTENT)
    happening = waiting.stream(services, caller.tenant, row.id, after=last_event_id)
    return StreamingResponse(happening, media_type=_EVENTS, headers={"X-Accel-Buffering": "no"})


@router.post(
    "/{job_id}/cancel",
    summary="Cancel a job",
    response_model=JobAnswer,
    responses=documented(
        *_ONCE, "unauthorized", "scope", "not_found", "job_final", "job_deleted", "unavailable"
    ),
)
async def cancel(
    job_id: str,
    request: Request,
    services: OpenServices,
    caller: Submitter,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Withdraw a job that has not ended."""

    def move(connection: Connection) -> Response:
        _own(connection, job_id, caller.tenant, transitions.cancel)
        row = found(connection, job_id, caller.tenant)
        answer = _answer(row, services, status.HTTP_200_OK)
        once.remember(connection, answer, job_id=row.id)
        return answer

    async with idempotency.once(services, request, caller.tenant, idempotency_key) as once:
        if once.replayed is not None:
            return once.replayed
        async with services.transaction() as connection:
            return await connection.run_sync(move)


@router.post(
    "/{job_id}/redrive",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Let a failed job go on",
    response_model=JobAnswer,
    responses=documented(
        *_ONCE,
        "unauthorized",
        "scope",
        "not_found",
        "job_final",
        "job_not_finished",
        "job_deleted",
        "inputs_expired",
        "queue_full",
        "unavailable",
    ),
)
async def redrive(
    job_id: str,
    request: Request,
    services: OpenServices,
    caller: Submitter,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Let a failed job go on from what has succeeded, with all its attempts."""

    def move(connection: Connection) -> tuple[Response, list[Capability]]:
        limits.refuse_when_full(connection, caller.tenant, caller.limits, exactly=True)
        ready = _own(connection, job_id, caller.tenant, transitions.redrive)
        row = found(connection, job_id, caller.tenant)
        answer = _answer(row, services, status.HTTP_202_ACCEPTED)
        once.remember(connection, answer, job_id=row.id)
        return answer, ready

    async with idempotency.once(services, request, caller.tenant, idempotency_key) as once:
        if once.replayed is not None:
            return once.replayed
        await services.forecasts.refresh()
        if caller.tenant != OPERATOR:
            await services.refuse_when_full()
        async with services.transaction() as connection:
            answer, ready = await connection.run_sync(move)
    services.ringer.ring(ready)
    return answer


@router.delete(
    "/{job_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Delete a job",
    description="Whatever its state: an unfinished one is canceled first. Its photo, results "
    "and rows are gone then.",
    responses=documented("unauthorized", "scope", "not_found", "job_deleted", "unavailable"),
)
async def delete(job_id: str, services: OpenServices, caller: Submitter) -> None:
    """Forget a job and all that it has stored."""

    def move(connection: Connection) -> list[Marked]:
        return _own(connection, job_id, caller.tenant, transitions.delete)

    async with services.transaction() as connection:
        marked = await connection.run_sync(move)
    await removal.remove(services, caller.tenant, JobId(uuid.UUID(job_id)), marked)


def found(connection: Connection, job_id: str, tenant: Tenant) -> JobRow:
    """Return a tenant's job.

    Raises NotFound, the same for what is no id, nobody's and somebody else's; JobDeleted.
    """
    row = queries.find(connection, _parsed(job_id), tenant)
    if row is None:
        raise _gone(connection, job_id, tenant)
    return row


def _answer(row: JobRow, services: Services, code: int) -> Response:
    content = shown.content(row, services)
    return Response(content, status_code=code, media_type="application/json")


def _own(
    connection: Connection,
    job_id: str,
    tenant: Tenant,
    move: Callable[[Connection, JobId, Tenant], Answer],
) -> Answer:
    """Move a tenant's job.  Raises NotFound, JobDeleted, and what the move does."""
    try:
        return move(connection, _parsed(job_id), tenant)
    except NotFound:
        raise _gone(connection, job_id, tenant) from None


def _gone(connection: Connection, job_id: str, tenant: Tenant) -> JobDeleted | NotFound:
    if queries.is_deleted(connection, _parsed(job_id), tenant):
        return JobDeleted(f"job {job_id} was deleted; nothing of it is kept")
    return NotFound(f"job {job_id}")


def _parsed(job_id: str) -> JobId:
    try:
        return JobId(uuid.UUID(job_id))
    except ValueError:
        raise NotFound(f"job {job_id}") from None


def _metadata_of(request: Request) -> dict[str, str]:
    narrowed = {
        name.removeprefix(_METADATA): value
        for name, value in request.query_params.multi_items()
        if name.startswith(_METADATA)
    }
    for name, value in narrowed.items():
        if "\0" in name + value:
            raise MalformedRequest(
                "metadata holds no NUL characters", pointer=f"/{_METADATA}{name}"
            )
    return narrowed


def _cursor(job_id: JobId) -> str:
    return base64.urlsafe_b64encode(job_id.bytes).rstrip(b"=").decode()


def _after(cursor: str) -> JobId:
    return JobId(uuid.UUID(bytes=base64.urlsafe_b64decode(cursor + "==")))
