"""Jobs: submit, list, look at, cancel."""

import base64
import binascii
import uuid
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Query, Request, Response, status
from pydantic import AfterValidator, AwareDatetime
from sqlalchemy import Connection

from smart_filter_api import answers, intake, openapi, submission
from smart_filter_api.deps import OpenServices, Reader, Services, Submitter
from smart_filter_api.problems import documented
from smart_filter_api.schemas import JobAnswer, JobPage
from smart_filter_shared.errors import MalformedRequest, NotFound
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs import queries, transitions
from smart_filter_shared.jobs.queries import JobRow, Listing
from smart_filter_shared.jobs.states import JobState

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_MOST_LISTED = 200
_METADATA = "metadata."


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
    afterwards: BackgroundTasks,
    services: OpenServices,
    caller: Submitter,
) -> JobAnswer:
    """Take a photo and what to do with it; the job is queued when this is answered."""
    async with intake.received(request) as upload:
        accepted = await submission.accept(services, caller.tenant, upload)
    # After the answer: a broker that is away, black-holed too, delays nobody.
    afterwards.add_task(services.in_thread, services.doorbell.ring, accepted.ringing)
    job = answers.job(accepted.job)
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
    async with services.transaction() as connection:
        rows = await connection.run_sync(queries.listed, listing)
    more = len(rows) > limit
    return JobPage(
        items=[answers.job(row) for row in rows[:limit]],
        next_cursor=_cursor(rows[limit - 1].id) if more else None,
    )


@router.get(
    "/{job_id}",
    summary="Look at a job",
    responses=documented("unauthorized", "scope", "not_found", "unavailable"),
)
async def show(job_id: str, services: OpenServices, caller: Reader) -> JobAnswer:
    """Answer what is known of a job by now."""
    return answers.job(await found(services, caller.tenant, job_id))


@router.post(
    "/{job_id}/cancel",
    summary="Cancel a job",
    responses=documented("unauthorized", "scope", "not_found", "job_final", "unavailable"),
)
async def cancel(job_id: str, services: OpenServices, caller: Submitter) -> JobAnswer:
    """Withdraw a job that has not ended."""
    async with services.transaction() as connection:
        row = await connection.run_sync(_cancel, _parsed(job_id), caller.tenant)
    return answers.job(row)


@router.delete("/{job_id}", include_in_schema=False)
async def delete(job_id: str, caller: Submitter) -> None:
    """Say that there is no such endpoint yet; 405 would promise something else."""
    del caller
    raise NotFound(f"there is no DELETE /v1/jobs/{job_id}")


async def found(services: Services, tenant: Tenant, job_id: str) -> JobRow:
    """Return a tenant's job.

    Raises NotFound, the same for what is no id, nobody's and somebody else's.
    """
    async with services.transaction() as connection:
        row = await connection.run_sync(queries.find, _parsed(job_id), tenant)
    if row is None:
        raise NotFound(f"job {job_id}")
    return row


def _cancel(connection: Connection, job_id: JobId, tenant: Tenant) -> JobRow:
    transitions.cancel(connection, job_id, tenant)
    row = queries.find(connection, job_id, tenant)
    if row is None:
        raise RuntimeError(f"job {job_id} was canceled and cannot be read")
    return row


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
