"""Endpoint for the outputs of a job: pictures from storage, others as JSON documents."""

import contextlib
import math
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import PurePath
from typing import Annotated

import anyio
import anyio.lowlevel
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.concurrency import iterate_in_threadpool
from fastapi.responses import RedirectResponse, StreamingResponse
from pydantic import TypeAdapter
from sqlalchemy import Connection

from smart_filter_api.auth import link_signer, output_links
from smart_filter_api.auth.api_keys import Caller, Scope
from smart_filter_api.auth.output_links import MAX_SECONDS, LinkTarget
from smart_filter_api.http import attachments, documents
from smart_filter_api.presenters import job as presenters_job
from smart_filter_api.problems.problem import describe_responses
from smart_filter_api.responses import stored_object
from smart_filter_api.responses.stored_object import StoredObject, StreamWrapper
from smart_filter_api.routes import jobs
from smart_filter_api.schemas.jobs import Face, Rating
from smart_filter_api.services import callers
from smart_filter_api.services.callers import Credentials, SessionCookie
from smart_filter_api.services.container import OpenServices, Services
from smart_filter_shared.artifacts import expiry, retention
from smart_filter_shared.errors import (
    JobNotFinished,
    NotFound,
    ObjectMissing,
    OutputExpired,
    TryAgain,
)
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs import queries
from smart_filter_shared.jobs.queries import JobRow, Json
from smart_filter_shared.printability import Printability
from smart_filter_shared.queue.states import JobState
from smart_filter_shared.recipe import Output
from smart_filter_shared.recipe.files import NAME_PARTS

router = APIRouter(prefix="/v1/jobs/{job_id}/outputs", tags=["jobs"])

_REDIRECT_SECONDS = 60
_NOT_MODIFIED = 304
_REDIRECT = 307
_JSON_OUTPUTS = frozenset({Output.FACES, Output.RATING, Output.PRINTABILITY})
_FACES = TypeAdapter(list[Face] | None)
_RATING = TypeAdapter(Rating | None)
_PRINTABILITY = TypeAdapter(Printability | None)

# Called after an output was sent completely.
OnComplete = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Access:
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
) -> _Access:
    """Return what a request may read, by its signed link or by its key.

    A link is not counted against the tenant's requests per minute, which the people that it is
    shared with could use up.
    """
    if signature is None and expires is None:
        caller = await callers.authorize(
            request, services, credentials, Scope.READ, also_devices=True
        )
        return _Access(caller.tenant, download, caller=caller)
    ends = link_signer.parse_expiry(expires, signature)
    target = await services.database.query(_find_target, job_id, name, ends, download)
    target = link_signer.verify(services.links.signer, target, signature)
    return _Access(target.tenant, download, target.expires)


async def _hold_download(
    services: OpenServices, access: Annotated[_Access, Depends(_authorize)]
) -> AsyncIterator[_Access]:
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
    "/{name}",
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
            "content": {
                "image/jpeg": {},
                "image/png": {},
                "image/webp": {},
                "image/avif": {},
                "application/zip": {},
                "application/json": {},
            },
        },
        _NOT_MODIFIED: {"description": "Not modified: `If-None-Match` names the current version"},
        _REDIRECT: {"description": "With `redirect=1`: a link to the file"},
        **describe_responses(
            *("malformed_request", "link_invalid", "link_expired", "not_found"),
            *("job_not_finished", "job_deleted", "output_expired"),
        ),
    },
)
async def get_output(
    job_id: str,
    name: str,
    request: Request,
    services: OpenServices,
    access: Annotated[_Access, Depends(_hold_download)],
    *,
    redirect: bool = False,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Return one output of a succeeded job."""

    def look(connection: Connection) -> tuple[JobRow, Output, Json | None]:
        job = jobs.find_job(connection, job_id, access.tenant, device_key_id=access.device_key_id)
        job = job if services.settings.engine.emotions else presenters_job.hide_emotions(job)
        output = _parse_output(job, name)
        return job, output, _find_file(connection, job, output)

    job, output, file = await services.database.query(look)
    disposition = _disposition(job, output, file, access.download)
    # With `keep_nothing` the service must know when the download ends, which a link would hide.
    if file is not None and redirect and not job.keep_nothing:
        key = str(file["key"])
        if not stored_object.is_known(key, if_none_match):
            if not await services.in_thread(services.storage.has, key):
                await stored_object.stop_sharing(services, key)
                raise _expired_error()
            seconds = min(_REDIRECT_SECONDS, _seconds_left(job, access))
            link = services.storage.presigned_get(key, seconds=seconds, disposition=disposition)
            if link is None:
                expires = math.ceil(time.time()) + seconds
                target = LinkTarget(access.tenant, job.id, name, expires, access.download)
                link = output_links.output_url(
                    services.links.required_signer, services.links.base_url(request), target
                )
            return RedirectResponse(link, status_code=_REDIRECT, headers=_embedding(access))
    then = partial(mark_downloaded, services, job, output) if job.keep_nothing else None
    sent = None if then is None else partial(stream_then, request, then)
    if file is None:
        answer = _json_response(job, output, if_none_match, sent)
    else:
        answer = await _picture_response(services, file, if_none_match=if_none_match, sent=sent)
    answer.headers["Content-Disposition"] = disposition
    answer.headers.update(_embedding(access))
    if access.link_ends is not None:
        answer.headers["Cache-Control"] = (
            "no-store"
            if job.keep_nothing
            else f"private, max-age={_seconds_left(job, access)}, immutable"
        )
    return answer


def _embedding(access: _Access) -> dict[str, str]:
    """Return the header that lets any page embed an output by its signed link."""
    return {} if access.link_ends is None else {"Cross-Origin-Resource-Policy": "cross-origin"}


def _seconds_left(job: JobRow, access: _Access) -> int:
    """Return the seconds until a request's link ends, or the output does; at least 1."""
    link_ends = math.inf if access.link_ends is None else access.link_ends
    output_ends = math.inf if job.expires_at is None else job.expires_at.timestamp()
    return max(1, int(min(link_ends - time.time(), output_ends - time.time(), MAX_SECONDS)))


def _disposition(job: JobRow, output: Output, file: Json | None, download: str | None) -> str:
    """Return the header that names an output; with `download`, browsers save it."""
    saves, asked = download is not None, None if download == "1" else download
    # Who opens a link to look at a picture need not learn what its owner calls the photo.
    name = asked or job.recipe.files.filename or ("{name}" if saves else "")
    return attachments.content_disposition(
        NAME_PARTS.sub(lambda part: _name_part(job, part[1]), name),
        saves=saves,
        fallback=str(job.id),
        # Several outputs of one job can be saved into one folder.
        suffix="" if output == Output.IMAGE else f"-{output}",
        media_type="application/json" if file is None else str(file["media_type"]),
    )


def _name_part(job: JobRow, part: str) -> str:
    """Return the text for one of NAME_PARTS."""
    match part:
        case "name":
            return PurePath(job.photo_name or str(job.id)).stem
        case "n":
            return str((job.batch_index or 0) + 1)
    background = presenters_job.render_background(job)
    names = (background.name or background.kind).split("+")
    return "+".join(name.rpartition("/")[2] for name in names)


def _parse_output(job: JobRow, name: str) -> Output:
    if name not in job.recipe.outputs:
        raise NotFound(f"the recipe of job {job.id} does not request the output {name}")
    if job.finished_at is None:
        raise JobNotFinished(f"job {job.id} is {job.state}; try again when it has succeeded")
    if job.state != JobState.SUCCEEDED:
        raise NotFound(f"job {job.id} is {job.state} and has no outputs")
    if name not in presenters_job.list_outputs(job):
        raise NotFound(f"job {job.id} is not among the best of its album and has no output {name}")
    if job.expired_at is not None:
        raise _expired_error()
    return Output(name)


def _find_file(connection: Connection, job: JobRow, output: Output) -> Json | None:
    """Return the file entry of an output; None for a JSON output."""
    if output in _JSON_OUTPUTS:
        return None
    file = presenters_job.find_output_file(job, output)
    if file is None:
        raise NotFound(f"job {job.id} has no output {output}")
    if not retention.is_available(connection, job.tenant, str(file["key"])):
        raise _expired_error()
    return file


def _expired_error() -> OutputExpired:
    return OutputExpired("the output has expired and was deleted; submit the photo again")


def _json_response(
    job: JobRow, output: Output, if_none_match: str | None, sent: StreamWrapper | None
) -> Response:
    answer = documents.revalidated_response(_render_json(job, output), if_none_match)
    if sent is None or answer.status_code == _NOT_MODIFIED:
        return answer
    return StreamingResponse(sent(iter([bytes(answer.body)])), headers=dict(answer.headers))


def _render_json(job: JobRow, output: Output) -> bytes:
    if output == Output.PRINTABILITY:
        return _PRINTABILITY.dump_json(presenters_job.render_printability(job))
    faces = presenters_job.render_faces(job)
    if output == Output.FACES:
        return _FACES.dump_json(faces)
    return _RATING.dump_json(None if faces is None else presenters_job.render_rating(faces))


async def _picture_response(
    services: Services, file: Json, *, if_none_match: str | None, sent: StreamWrapper | None
) -> Response:
    stored = StoredObject(str(file["key"]), str(file["media_type"]), int(file["bytes"]))
    try:
        return await stored_object.serve_object(services, stored, if_none_match, sent=sent)
    except ObjectMissing as error:
        raise _expired_error() from error


async def stream_then(
    request: Request, then: OnComplete, pieces: Iterator[bytes]
) -> AsyncIterator[bytes]:
    """Yield pieces, and call `then` after the last byte was sent."""
    last = b""
    async for piece in iterate_in_threadpool(pieces):
        if last:
            yield last
        last = piece
    # Send the last byte alone: a client that disconnected before it lacks part of the output, and
    # one that disconnects after it has everything. The answer is canceled when its client
    # disconnects, so nothing is awaited between that byte and `then`.
    yield last[:-1]
    await anyio.lowlevel.checkpoint()  # a HEAD request is canceled here
    if not await request.is_disconnected():
        yield last[-1:]
        await then()


async def mark_downloaded(services: Services, job: JobRow, output: Output) -> None:
    """Record that a client has downloaded an output of a job with `keep_nothing`."""
    # If this fails, the files are deleted when their retention ends.
    with anyio.CancelScope(shield=True), contextlib.suppress(TryAgain):
        await services.database.transact(expiry.mark_downloaded, job.id, job.tenant, str(output))
