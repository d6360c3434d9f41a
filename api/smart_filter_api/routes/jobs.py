"""Jobs: submit, list, look at, cancel, redrive, delete."""

import base64
import binascii
import uuid
from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import APIRouter, Query, Request, Response, status
from pydantic import AfterValidator, AwareDatetime
from sqlalchemy import Connection

from smart_filter_api import answers, intake, openapi, removal, submission
from smart_filter_api.deps import OpenServices, Reader, Submitter
from smart_filter_api.problems import documented
from smart_filter_api.schemas import JobAnswer, JobPage
from smart_filter_shared.errors import JobDeleted, MalformedRequest, NotFound
from smart_filter_shared.ids import Capability, JobId, Tenant
from smart_filter_shared.jobs import queries, transitions
from smart_filter_shared.jobs.queries import JobRow, Listing
from smart_filter_shared.jobs.retention import Marked
from smart_filter_shared.jobs.states import JobState

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_MOST_LISTED = 200
_METADATA = "metadata."

Answer = TypeVar("Answer")


@router.post(
    "",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Submit a photo",
    openapi_extra={"requestBody": openapi.SUBMISSION},
    responses=documented(
        "malformed_request",
        "unauthorized",
        "scope",
        "photo_too_large",
        "unsupported_media",
        "invalid_recipe",
        "contradiction",
        "not_available",
        "unavailable",
    ),
)
async def create(
    request: Request,
    response: Response,
    services: OpenServices,
    caller: Submitter,
) -> JobAnswer:
    """Take a photo and what to do with it; the job is queued when this is answered."""
    async with intake.received(request) as upload:
        accepted = await submission.accept(services, caller.tenant, upload)
    services.ringer.ring(accepted.ringing)
    job = answers.job(accepted.job, services.keeping)
    response.headers["Location"] = job.links.self
    return job


def _job_id_of_cursor(cursor: str) -> str:
    try:
        uuid.UUID(bytes=base64.urlsafe_b64decode(cursor + "=="))
    except (ValueError, binascii.Error):
        raise ValueError("is not a cursor that this service gave out") from None
    return cursor


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
    created_after: AwareDatetime | None = None,
    limit: Annotated[int, Query(ge=1, le=_MOST_LISTED)] = 50,
    cursor: Annotated[str | None, AfterValidator(_job_id_of_cursor)] = None,
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
    more = len(rows) > limit
    return JobPage(
        items=[answers.job(row, services.keeping) for row in rows[:limit]],
        next_cursor=_cursor(rows[limit - 1].id) if more else None,
    )


@router.get(
    "/{job_id}",
    summary="Look at a job",
    responses=documented("unauthorized", "scope", "not_found", "job_deleted", "unavailable"),
)
async def show(job_id: str, services: OpenServices, caller: Reader) -> JobAnswer:
    """Answer what is known of a job by now."""
    async with services.reading() as connection:
        row = await connection.run_sync(found, job_id, caller.tenant)
    return answers.job(row, services.keeping)


@router.post(
    "/{job_id}/cancel",
    summary="Cancel a job",
    responses=documented(
        "unauthorized", "scope", "not_found", "job_final", "job_deleted", "unavailable"
    ),
)
async def cancel(job_id: str, services: OpenServices, caller: Submitter) -> JobAnswer:
    """Withdraw a job that has not ended."""

    def move(connection: Connection) -> JobRow:
        _own(connection, job_id, caller.tenant, transitions.cancel)
        return found(connection, job_id, caller.tenant)

    async with services.transaction() as connection:
        row = await connection.run_sync(move)
    return answers.job(row, services.keeping)


@router.post(
    "/{job_id}/redrive",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Let a failed job go on",
    responses=documented(
        "unauthorized",
        "scope",
        "not_found",
        "job_final",
        "job_not_finished",
        "job_deleted",
        "inputs_expired",
        "unavailable",
    ),
)
async def redrive(job_id: str, services: OpenServices, caller: Submitter) -> JobAnswer:
    """Let a failed job go on from what has succeeded, with all its attempts."""

    def move(connection: Connection) -> tuple[JobRow, list[Capability]]:
        ready = _own(connection, job_id, caller.tenant, transitions.redrive)
        return found(connection, job_id, caller.tenant), ready

    async with services.transaction() as connection:
        row, ready = await connection.run_sync(move)
    services.ringer.ring(ready)
    return answers.job(row, services.keeping)


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
    if any("\0" in text for pair in narrowed.items() for text in pair):
        raise MalformedRequest("metadata holds no NUL characters")
    return narrowed


def _cursor(job_id: JobId) -> str:
    return base64.urlsafe_b64encode(job_id.bytes).rstrip(b"=").decode()


def _after(cursor: str) -> JobId:
    return JobId(uuid.UUID(bytes=base64.urlsafe_b64decode(cursor + "==")))
