"""Endpoints for the photo and the outputs of a job: pictures from storage, others as JSON."""

import math
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy import Connection

from smart_filter_api.auth import links
from smart_filter_api.auth.api_keys import Caller, Scope
from smart_filter_api.auth.links import MAX_SECONDS, LinkTarget
from smart_filter_api.http import documents
from smart_filter_api.http.downloads import RangeHeaders
from smart_filter_api.problems.problem import describe_responses
from smart_filter_api.responses import output as responses_output
from smart_filter_api.responses.output import Downloader, JobOutput, StoredObject
from smart_filter_api.routes import jobs
from smart_filter_api.services import callers
from smart_filter_api.services.callers import Credentials, SessionCookie
from smart_filter_api.services.container import OpenServices
from smart_filter_shared.artifacts import retention
from smart_filter_shared.errors import InputsExpired, JobNotFinished, NotFound, ObjectMissing
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs import queries
from smart_filter_shared.jobs.queries import JobRow, Json
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.results import PreparedFacts, read_facts

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["jobs"])

_REDIRECT_SECONDS = 60
_REDIRECT = 307
_FILE_TYPES: dict[str, dict[str, object]] = {
    media_type: {}
    for media_type in ("image/jpeg", "image/png", "image/webp", "image/avif", "application/zip")
}


@dataclass(frozen=True, slots=True)
class OutputAccess:
    """Whose outputs a request may read.

    download: as in `LinkTarget`.
    link_ends: Unix time at which its signed link ends; None for a request with a key.
    caller: None for a signed link; a device key must have submitted the job.
    """

    tenant: Tenant
    download: str | None
    link_ends: int | None = None
    caller: Caller | None = None

    @property
    def device_key_id(self) -> uuid.UUID | None:
        """The device key that must have submitted the job; None: any key can have."""
        return None if self.caller is None else self.caller.device_key_id


async def _authorize(
    job_id: str,
    name: str,
    request: Request,
    services: OpenServices,
    credentials: Credentials,
    _: SessionCookie,
    *,
    signature: Annotated[
        str | None,
        Query(description="Of a signed link, which needs no key: see `output_links` of a job"),
    ] = None,
    expires: Annotated[
        str | None, Query(description="When the signed link ends, in seconds of Unix time")
    ] = None,
    download: Annotated[
        str | None,
        Query(
            description="Browsers save the output: `1`, or a file name to use, which can hold "
            "`{name}`, `{n}` and `{background}` as the recipe's `filename`"
        ),
    ] = None,
) -> OutputAccess:
    """Return what a request may read, by its signed link or by its key.

    A link is not counted against the tenant's requests per minute, which the people that it is
    shared with could use up.
    """
    if signature is None and expires is None:
        caller = await callers.authorize(
            request, services, credentials, Scope.READ, also_devices=True
        )
        return OutputAccess(caller.tenant, download, caller=caller)
    ends = links.parse_expiry(expires, signature)
    target = await services.database.query(_find_target, job_id, name, ends, download)
    target = links.verify(services.links.signer, target, signature)
    return OutputAccess(target.tenant, download, target.expires)


async def _hold_download(
    services: OpenServices, access: Annotated[OutputAccess, Depends(_authorize)]
) -> AsyncIterator[OutputAccess]:
    """Count a download until its answer is sent.  Raises RateLimited, ServiceFull."""
    with services.limits.waits.hold_download(access.tenant, access.caller):
        yield access


def _find_target(
    connection: Connection, job_id: str, name: str, expires: int, download: str | None
) -> LinkTarget | None:
    """Return what a link names; None when there is no such job, deleted ones included."""
    try:
        job = JobId(uuid.UUID(job_id))
    except ValueError:
        return None
    tenant = queries.find_owner(connection, job)
    return None if tenant is None else LinkTarget(tenant, job, name, expires, download)


@router.get(
    "/outputs/{name}",
    summary="Download an output",
    description="With a key, or with a signed link from `output_links` of the job, whose `expires` "
    "and `signature` replace the key. `redirect=1` redirects, for at most one minute, to the "
    "storage, or to a signed link where clients cannot reach the storage, if the output is a file.",
    # The link replaces the key.
    openapi_extra={"security": [{}]},
    response_class=Response,
    responses={
        200: {
            "description": "The output",
            "content": {**_FILE_TYPES, "application/json": {}},
            "headers": {"Accept-Ranges": {"schema": {"type": "string"}}},
        },
        206: {
            "description": "The part of a file that `Range` asks for; several ranges come whole",
            "content": _FILE_TYPES,
            "headers": {"Content-Range": {"required": True, "schema": {"type": "string"}}},
        },
        responses_output.NOT_MODIFIED: {
            "description": "Not modified: `If-None-Match` names the current version"
        },
        _REDIRECT: {"description": "With `redirect=1`: a link to the file"},
        **describe_responses(
            *("malformed_request", "link_invalid", "link_expired", "not_found"),
            *("job_not_finished", "job_deleted", "output_expired"),
            *("precondition_failed", "range_not_satisfiable"),
        ),
    },
)
async def get_output(
    job_id: str,
    name: str,
    request: Request,
    services: OpenServices,
    access: Annotated[OutputAccess, Depends(_hold_download)],
    *,
    redirect: bool = False,
    if_match: Annotated[
        str | None, Header(description="ETags; an output with another one is not sent")
    ] = None,
    if_none_match: Annotated[str | None, Header()] = None,
    wanted: Annotated[
        str | None, Header(alias="Range", description="One range of a file, such as `bytes=0-999`")
    ] = None,
    if_range: Annotated[
        str | None,
        Header(description="The ETag of the file that `Range` refers to; another one comes whole"),
    ] = None,
) -> Response:
    """Return one output of a succeeded job."""

    def look(connection: Connection) -> JobOutput:
        job = jobs.find_job(connection, job_id, access.tenant, device_key_id=access.device_key_id)
        output = responses_output.find_output(services, job, name)
        key = None if output.file is None else str(output.file["key"])
        if key is not None and not retention.is_available(connection, job.tenant, key):
            raise responses_output.expired_error()
        return output

    output = await services.database.query(look)
    job, file = output.job, output.file
    if if_match is not None:
        documents.require_match(responses_output.find_tag(output), if_match)
    # With `keep_nothing` the service must know when the download ends, which a link would hide.
    if file is not None and redirect and not job.keep_nothing:
        key = str(file["key"])
        if not responses_output.is_known(key, if_none_match):
            if not await services.in_thread(services.storage.has, key):
                await responses_output.stop_sharing(services, key)
                raise responses_output.expired_error()
            seconds = min(_REDIRECT_SECONDS, _seconds_left(job, access))
            link = services.storage.presigned_get(
                key, seconds=seconds, disposition=output.disposition(access.download)
            )
            if link is None:
                expires = math.ceil(time.time()) + seconds
                target = LinkTarget(access.tenant, job.id, name, expires, access.download)
                link = links.output_url(
                    services.links.required_signer, services.links.base_url(request), target
                )
            return RedirectResponse(link, status_code=_REDIRECT, headers=_embedding(access))
    answer = await responses_output.serve_output(
        services,
        request,
        output,
        if_none_match=if_none_match,
        ranges=RangeHeaders(wanted, if_range),
        download=access.download,
    )
    answer.headers.update(_embedding(access))
    if job.keep_nothing:
        answer.headers["Cache-Control"] = "no-store"
    elif access.link_ends is not None:
        seconds = _seconds_left(job, access)
        answer.headers["Cache-Control"] = f"private, max-age={seconds}, immutable"
    return answer


def _embedding(access: OutputAccess) -> dict[str, str]:
    """Return the header that lets any page embed an output by its signed link."""
    return {} if access.link_ends is None else {"Cross-Origin-Resource-Policy": "cross-origin"}


def _seconds_left(job: JobRow, access: OutputAccess) -> int:
    """Return the seconds until a request's link ends, or the output does; at least 1."""
    link_ends = math.inf if access.link_ends is None else access.link_ends
    output_ends = math.inf if job.expires_at is None else job.expires_at.timestamp()
    return max(1, int(min(link_ends - time.time(), output_ends - time.time(), MAX_SECONDS)))


_PREVIEW = "preview"
_MEDIA_SUBTYPES = {"jpg": "jpeg"}  # other subtypes equal the name of the format


@router.get(
    "/photo",
    summary="Download the photo",
    description="The photo in the coordinate system of the job: upright, as JPEG, with sides of at "
    "most 1024 pixels and without metadata. It is available as soon as the job has `photo`. "
    "`original=1` returns the submitted bytes with all metadata; to show them upright, apply "
    "their EXIF orientation, then `photo.quarter_turns`.",
    response_class=Response,
    responses={
        200: {
            "description": "The photo",
            "content": {
                "image/jpeg": {},
                "image/png": {},
                "image/webp": {},
                "image/avif": {},
                "image/heic": {},
                "image/gif": {},
                "image/bmp": {},
                "image/tiff": {},
            },
        },
        304: {"description": "Not modified: `If-None-Match` names the current version"},
        **describe_responses(
            *("malformed_request", "not_found", "job_not_finished", "job_deleted"), "inputs_expired"
        ),
    },
)
async def get_photo(
    job_id: str,
    services: OpenServices,
    caller: Downloader,
    *,
    original: bool = False,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Return the photo of a job until it expires."""

    def look(connection: Connection) -> StoredObject:
        job = jobs.find_job(connection, job_id, caller.tenant)
        prepared = _prepare_stage_result(job)
        file = _original_object(job, prepared) if original else _preview_object(prepared)
        if not retention.is_available(connection, job.tenant, file.key):
            raise _expired_error(job_id)
        return file

    file = await services.database.query(look)
    try:
        return await responses_output.serve_object(services, file, if_none_match)
    except ObjectMissing as error:
        raise _expired_error(job_id) from error


def _prepare_stage_result(job: JobRow) -> Json:
    """Return the result of the stage `prepare`.  Raises InputsExpired, JobNotFinished, NotFound."""
    if job.expired_at is not None:
        raise _expired_error(str(job.id))
    prepared = job.result(StageName.PREPARE)
    if prepared is not None:
        return prepared
    if job.finished_at is None:
        raise JobNotFinished(f"the photo of job {job.id} is not prepared yet; try again soon")
    raise NotFound(f"job {job.id} ended as {job.state} before its photo was prepared")


def _preview_object(prepared: Json) -> StoredObject:
    preview = prepared["files"][_PREVIEW]
    return StoredObject(str(preview["key"]), str(preview["media_type"]), int(preview["bytes"]))


def _original_object(job: JobRow, prepared: Json) -> StoredObject:
    if job.photo_key is None:
        raise _expired_error(str(job.id))
    facts = read_facts(prepared, PreparedFacts)
    assert facts is not None, "there is a result"
    subtype = _MEDIA_SUBTYPES.get(facts.format, facts.format)
    return StoredObject(job.photo_key, f"image/{subtype}")


def _expired_error(job_id: str) -> InputsExpired:
    return InputsExpired(f"the photo of job {job_id} has expired")
