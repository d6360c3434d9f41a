"""Endpoints for jobs: submit, list, read, follow, cancel, redrive and delete them."""

import base64
import contextlib
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Annotated, Final, TypeVar

from fastapi import APIRouter, Depends, Header, Query, Request, Response, status
from fastapi.responses import StreamingResponse
from sqlalchemy import Connection

from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.http import documents, middleware
from smart_filter_api.http.request_checks import PrefixedParameters
from smart_filter_api.intake import body
from smart_filter_api.openapi import bodies as openapi_bodies
from smart_filter_api.presenters import job as presenters_job
from smart_filter_api.problems.problem import describe_responses
from smart_filter_api.responses import long_poll
from smart_filter_api.responses import submission as responses_submission
from smart_filter_api.responses.long_poll import FollowedJob
from smart_filter_api.responses.submission import PictureWanted
from smart_filter_api.schemas.parameters import Cursor, Instant, parse_id
from smart_filter_api.schemas.submissions import JobView
from smart_filter_api.services import idempotency, object_cleanup
from smart_filter_api.services.callers import (
    JobReader,
    LinkOptions,
    PhotoSender,
    Reader,
    Submitter,
    refuse_foreign,
)
from smart_filter_api.services.container import OpenServices, Services
from smart_filter_api.services.idempotency import IdempotencyKey, IdempotentRequest
from smart_filter_api.services.loops import JobWatch
from smart_filter_api.submission import submit
from smart_filter_shared.errors import JobDeleted, NotFound
from smart_filter_shared.ids import OPERATOR, BatchId, Capability, JobId, Tenant, new_job_id
from smart_filter_shared.jobs import queries
from smart_filter_shared.jobs.photo_queue import CLIENT
from smart_filter_shared.jobs.queries import JobFilter, JobRow
from smart_filter_shared.queue import events
from smart_filter_shared.queue.events import Event
from smart_filter_shared.queue.states import JobState
from smart_filter_shared.tenants import quotas
from smart_filter_wire import words
from smart_filter_wire.jobs import Job, JobPage

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_MAX_PAGE_SIZE = 200
_METADATA = "metadata."


async def read_preferences(
    request: Request,
    prefer: Annotated[  # noqa: ARG001 - documents the header
        str | None, Header(description="`wait=n`: wait up to n seconds, at most 60")
    ] = None,
) -> str | None:
    """Return the header `Prefer`."""
    return request.headers.get("prefer")


NEEDS_ADMIN: Final = (
    "What another key submitted needs the scope `admin`; jobs of a device key count as jobs of the "
    "key that issued it."
)
Preferences = Annotated[str | None, Depends(read_preferences)]

Answer = TypeVar("Answer")


@router.post(
    "",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Submit a photo",
    response_model=Job,
    openapi_extra={"requestBody": openapi_bodies.SUBMISSION},
    responses=describe_responses(
        "unauthorized",
        "scope",
        "photo_too_large",
        "unsupported_media",
        "invalid_recipe",
        "contradiction",
        "not_available",
        "invalid_request",
        "invalid_photo_url",
        "invalid_webhook_url",
        "token_used_up",
        "upload_missing",
        *idempotency.PROBLEMS,
        "job_deleted",
        "no_picture",
        "queue_full",
        "unavailable",
    )
    | responses_submission.WAITED,
)
async def submit_job(
    request: Request,
    services: OpenServices,
    caller: PhotoSender,
    *,
    links: LinkOptions,
    picture: PictureWanted,
    prefer: Preferences = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Create a job for a photo; the job is queued, or has ended, when the answer is sent."""
    seconds = long_poll.preferred_seconds(prefer)
    with contextlib.ExitStack() as watches:
        async with (
            body.receive_photo_request(request) as upload,
            idempotency.once(
                services, request, caller, idempotency_key, upload.fingerprint
            ) as once,
        ):
            if once.replayed is not None:
                return once.replayed
            # It begins before the job exists, so the job need not be read before the wait.
            job_id = new_job_id()
            watch = watches.enter_context(_watch(services, job_id, seconds, ends_only=True))
            accepted = await submit.submit_photo(
                services,
                caller,
                upload,
                once,
                job_id=job_id,
                link_seconds=None if links is None else links.seconds,
            )
        await middleware.record_submission(request, jobs=[accepted.job.id])
        return await responses_submission.respond_or_wait(
            services,
            request,
            caller,
            accepted,
            remembered=once.remembered,
            prefer=prefer,
            links=links,
            picture=picture,
            watch=watch,
        )


@router.get(
    "",
    summary="List jobs, newest first",
    description="Filter by metadata with `metadata.KEY=VALUE`, "
    "any number of times, and by `batch_id`. With "
    "`album_shots=false` the photos of albums that have no picture are left out. With "
    "`view=summary` the largest parts are left out: `persons`, `faces`, `printability`, `frame` "
    "and `rank_terms` are null, `stages` and the background's `candidates` are empty.",
    responses=describe_responses("malformed_request", "unauthorized", "scope", "unavailable"),
)
async def list_jobs(
    request: Request,
    services: OpenServices,
    caller: Reader,
    links: LinkOptions,
    *,
    state: words.JobState | None = None,
    created_after: Instant | None = None,
    batch_id: uuid.UUID | None = None,
    album_shots: bool = True,
    view: JobView = JobView.FULL,
    limit: Annotated[int, Query(ge=1, le=_MAX_PAGE_SIZE)] = 50,
    cursor: Cursor | None = None,
    metadata: Annotated[dict[str, str], Depends(PrefixedParameters(_METADATA))],
) -> JobPage:
    """Return a page of the tenant's jobs."""
    listing = JobFilter(
        tenant=caller.tenant,
        state=state and JobState(state),
        created_after=created_after,
        batch=None if batch_id is None else BatchId(batch_id),
        metadata=metadata,
        before=None if cursor is None else _decode_cursor(cursor),
        limit=limit + 1,  # one more row shows whether there is another page
        album_shots=album_shots,
    )
    async with services.database.listing(caller.tenant, request) as connection:
        rows = await connection.run_sync(queries.list_jobs, listing)
    if any(row.finished_at is None for row in rows):
        await services.eta.refresh()
    more = len(rows) > limit
    items = [services.render_job(row, links=links) for row in rows[:limit]]
    if view is JobView.SUMMARY:
        items = [presenters_job.summarize_job(job) for job in items]
    return JobPage(
        items=tuple(items),
        next_cursor=_encode_cursor(rows[limit - 1].id) if more else None,
    )


@router.get(
    "/{job_id}",
    summary="Get a job",
    description="With `Prefer: wait=n` the answer comes when the job has ended, or after n "
    "seconds; with `If-None-Match` in addition, as soon as the job differs from that version.",
    response_model=Job,
    responses={
        status.HTTP_304_NOT_MODIFIED: {
            "description": "Not modified: `If-None-Match` names the current version"
        },
        **describe_responses("unauthorized", "scope", "not_found", "job_deleted", "unavailable"),
    },
)
async def get_job(
    job_id: str,
    request: Request,
    services: OpenServices,
    caller: JobReader,
    links: LinkOptions,
    *,
    prefer: Preferences = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Return the current state of a job."""
    seconds = long_poll.preferred_seconds(prefer)
    # The watch begins before the job is read, so that no later event is missed.
    with (
        _hold_wait(services, caller, seconds),
        _watch(
            services,
            JobId(parse_id(job_id, "job")),
            seconds,
            ends_only=if_none_match is None,
        ) as watch,
    ):
        row = await services.database.query(
            find_job, job_id, caller.tenant, device_key_id=caller.device_key_id
        )
        if watch is not None and seconds is not None and row.finished_at is None:
            is_known = if_none_match is not None and documents.is_known(
                services.caches.jobs.tag(row, links), if_none_match
            )
            # A client whose ETag is outdated gets the current version without waiting.
            if is_known or if_none_match is None:
                row = await long_poll.wait_from(
                    row,
                    services,
                    request,
                    FollowedJob(caller.tenant, row.id, links),
                    watch,
                    seconds=seconds,
                    changed_from=row if is_known else None,
                )
    eta = None
    if row.finished_at is None:
        await services.eta.refresh()
        eta = services.eta.estimate_row(row)
    tag, content = services.caches.jobs.content(row, links, eta)
    response = documents.revalidated_response(content, if_none_match, tag=tag)
    if seconds is not None:
        response.headers[long_poll.APPLIED_HEADER] = f"wait={seconds}"
    return response


@router.get(
    "/{job_id}/events",
    summary="Stream the events of a job",
    description="Server-sent events: `job.queued`, `job.running`, `job.stage` for each stage that "
    "has succeeded, and the final event, after which the stream ends. Each `data` is "
    '`{"type","timestamp","data": the job}`. `Last-Event-ID` resumes after that event; 204 means '
    "that no more events will follow.",
    # FastAPI's own class for this needs a generator, which could not answer 204.
    response_class=StreamingResponse,
    responses={
        status.HTTP_200_OK: {"description": "The events", "content": {long_poll.EVENT_STREAM: {}}},
        status.HTTP_204_NO_CONTENT: {"description": "No more events will follow"},
        **describe_responses(
            "malformed_request", "unauthorized", "scope", "not_found", "job_deleted", "unavailable"
        ),
    },
)
async def stream_job_events(
    job_id: str,
    services: OpenServices,
    caller: JobReader,
    links: LinkOptions,
    last_event_id: long_poll.LastEventId = 0,
) -> Response:
    """Stream the events of a job as they happen."""

    def look(connection: Connection) -> tuple[JobRow, list[Event]]:
        row = find_job(connection, job_id, caller.tenant, device_key_id=caller.device_key_id)
        return row, events.list_for_job(connection, row.id, after=last_event_id)

    row, behind = await services.database.query(look)
    if row.finished_at is not None and not behind:
        return Response(status_code=status.HTTP_204_NO_CONTENT)
    followed = FollowedJob(caller.tenant, row.id, links)
    stream = long_poll.stream_events(services, followed, after=last_event_id)
    return long_poll.EventStream(services, caller, stream)


@router.post(
    "/{job_id}/cancel",
    summary="Cancel a job",
    description=NEEDS_ADMIN,
    response_model=Job,
    responses=describe_responses(
        *idempotency.PROBLEMS,
        "unauthorized",
        "scope",
        "not_found",
        "job_final",
        "job_deleted",
        "unavailable",
    ),
)
async def cancel_job(
    job_id: str,
    request: Request,
    services: OpenServices,
    caller: Submitter,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Cancel a job that has not ended."""

    def move(connection: Connection, once: IdempotentRequest) -> Response:
        _move_job(connection, job_id, caller, CLIENT.cancel)
        row = find_job(connection, job_id, caller.tenant)
        answer = _job_response(row, services, status.HTTP_200_OK)
        once.remember(connection, answer, job_id=row.id)
        return answer

    return await idempotency.write_once(services, request, caller, idempotency_key, move)


@router.post(
    "/{job_id}/redrive",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Redrive a failed job",
    description=NEEDS_ADMIN,
    response_model=Job,
    responses=describe_responses(
        *idempotency.PROBLEMS,
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
async def redrive_job(
    job_id: str,
    request: Request,
    services: OpenServices,
    caller: Submitter,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Continue a failed job after its succeeded stages, with all its attempts again."""

    def move(connection: Connection) -> tuple[Response, list[Capability]]:
        quotas.check_queue_quota(connection, caller.tenant, caller.limits, exactly=True)
        # The job may name an address.
        quotas.check_deliveries(connection, caller.tenant, caller.limits, jobs=1, single=1)
        ready = _move_job(connection, job_id, caller, CLIENT.redrive)
        row = find_job(connection, job_id, caller.tenant)
        answer = _job_response(row, services, status.HTTP_202_ACCEPTED)
        once.remember(connection, answer, job_id=row.id)
        return answer, ready

    async with idempotency.once(services, request, caller, idempotency_key) as once:
        if once.replayed is not None:
            return once.replayed
        await services.eta.refresh()
        if caller.tenant != OPERATOR:
            await services.refuse_when_full()
        async with services.database.transaction() as connection:
            answer, ready = await connection.run_sync(move)
    services.doorbell.ring(ready)
    return answer


@router.delete(
    "/{job_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Delete a job",
    description="Deletes a job in any state, with its photo and results; an unfinished job is "
    f"canceled first. {NEEDS_ADMIN}",
    responses=describe_responses(
        "unauthorized", "scope", "not_found", "job_deleted", "unavailable"
    ),
)
async def delete_job(job_id: str, services: OpenServices, caller: Submitter) -> None:
    """Delete a job and its files."""
    job = JobId(parse_id(job_id, "job"))
    marked = await services.database.transact(_move_job, job_id, caller, CLIENT.delete)
    await object_cleanup.remove_job_objects(services, caller.tenant, job, marked)


def find_job(
    connection: Connection,
    job_id: str,
    tenant: Tenant,
    *,
    device_key_id: uuid.UUID | None = None,
) -> JobRow:
    """Return a tenant's job.

    device_key_id: the device key that must have submitted it; None: any key can have.
    Raises JobDeleted, and the same NotFound for a malformed id, an unknown one, another tenant's
    and, for a device, any job that it has not submitted; its deleted ones are not told apart.
    """
    row = queries.find(connection, JobId(parse_id(job_id, "job")), tenant)
    if device_key_id is not None and (row is None or row.device_key_id != device_key_id):
        raise NotFound(f"there is no job {job_id}")
    if row is None:
        raise _missing_job_error(connection, job_id, tenant)
    return row


def _hold_wait(
    services: Services, caller: Caller, seconds: int | None
) -> AbstractContextManager[None]:
    return contextlib.nullcontext() if seconds is None else services.limits.waits.hold(caller)


def _watch(
    services: Services, job_id: JobId, seconds: int | None, *, ends_only: bool
) -> AbstractContextManager[JobWatch | None]:
    """Return a watch of a job for a request that may wait; None for one that does not."""
    if seconds is None:
        return contextlib.nullcontext()
    return services.events.watch(job_id, ends_only=ends_only)


def _job_response(row: JobRow, services: Services, code: int) -> Response:
    # Canceled and redriven jobs have no outputs.
    return documents.json_response(services.render_job(row), code)


def _move_job(
    connection: Connection,
    job_id: str,
    caller: Caller,
    move: Callable[[Connection, JobId, Tenant], Answer],
) -> Answer:
    """Apply a transition to a caller's job.

    Raises InsufficientScope for a job of another key, NotFound, JobDeleted, and the move's errors.
    """
    job = JobId(parse_id(job_id, "job"))
    refuse_foreign(connection, caller, [job])
    try:
        return move(connection, job, caller.tenant)
    except NotFound:
        raise _missing_job_error(connection, job_id, caller.tenant) from None


def _missing_job_error(
    connection: Connection, job_id: str, tenant: Tenant
) -> JobDeleted | NotFound:
    if queries.is_deleted(connection, JobId(parse_id(job_id, "job")), tenant):
        return JobDeleted(f"job {job_id} was deleted")
    return NotFound(f"there is no job {job_id}")


def _encode_cursor(job_id: JobId) -> str:
    return base64.urlsafe_b64encode(job_id.bytes).rstrip(b"=").decode()


def _decode_cursor(cursor: str) -> JobId:
    return JobId(uuid.UUID(bytes=base64.urlsafe_b64decode(cursor + "==")))
