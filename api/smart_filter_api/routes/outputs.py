"""Endpoint for the outputs of a job: pictures from storage, others as JSON documents."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from typing import Annotated

import anyio
import anyio.lowlevel
from fastapi import APIRouter, Header, Request, Response
from fastapi.concurrency import iterate_in_threadpool
from fastapi.responses import RedirectResponse, StreamingResponse
from pydantic import TypeAdapter
from sqlalchemy import Connection

from smart_filter_api.http import etags
from smart_filter_api.presenters import job as presenters_job
from smart_filter_api.problems.problem import describe_responses
from smart_filter_api.responses import stored_object
from smart_filter_api.responses.stored_object import StoredObject, StreamWrapper
from smart_filter_api.routes import jobs
from smart_filter_api.schemas.jobs import FaceAnswer, RatingAnswer
from smart_filter_api.services.container import OpenServices, Reader, Services
from smart_filter_shared.artifacts import expiry, retention
from smart_filter_shared.errors import (
    JobNotFinished,
    NotFound,
    ObjectMissing,
    OutputExpired,
    TryAgain,
)
from smart_filter_shared.jobs.queries import JobRow, Json
from smart_filter_shared.printability import Printability
from smart_filter_shared.queue.states import JobState
from smart_filter_shared.recipe import Output

router = APIRouter(prefix="/v1/jobs/{job_id}/outputs", tags=["jobs"])

_LINK_SECONDS = 60
_NOT_MODIFIED = 304
_REDIRECT = 307
_JSON_OUTPUTS = frozenset({Output.FACES, Output.RATING, Output.PRINTABILITY})
_FACES = TypeAdapter(list[FaceAnswer] | None)
_RATING = TypeAdapter(RatingAnswer | None)
_PRINTABILITY = TypeAdapter(Printability | None)

# Called after an output was sent completely.
OnComplete = Callable[[], Awaitable[None]]


@router.get(
    "/{name}",
    summary="Download an output",
    description="`redirect=1` redirects to a link valid for one minute, if the output is a file.",
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
            "malformed_request",
            "unauthorized",
            "scope",
            "not_found",
            "job_not_finished",
            "job_deleted",
            "output_expired",
            "unavailable",
        ),
    },
)
async def fetch(
    job_id: str,
    name: str,
    request: Request,
    services: OpenServices,
    caller: Reader,
    *,
    redirect: bool = False,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Return one output of a succeeded job."""

    def look(connection: Connection) -> tuple[JobRow, Output, Json | None]:
        job = jobs.find_job(connection, job_id, caller.tenant)
        output = _parse_output(job, name)
        return job, output, _find_file(connection, job, output)

    async with services.reading() as connection:
        job, output, file = await connection.run_sync(look)
    then = partial(mark_downloaded, services, job, output) if job.keep_nothing else None
    sent = None if then is None else partial(stream_then, request, then)
    if file is None:
        return _json_response(job, output, if_none_match, sent)
    # With `keep_nothing` the service must know when the download ends, which a link would hide.
    by_link = redirect and not job.keep_nothing
    return await _picture_response(services, file, redirect=by_link, known=if_none_match, sent=sent)


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
    job: JobRow, output: Output, known: str | None, sent: StreamWrapper | None
) -> Response:
    answer = etags.json_response(_render_json(job, output), known)
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
    services: Services, file: Json, *, redirect: bool, known: str | None, sent: StreamWrapper | None
) -> Response:
    key = str(file["key"])
    if redirect and not stored_object.is_known(key, known):
        link = services.storage.presigned_get(key, seconds=_LINK_SECONDS)
        return RedirectResponse(link, status_code=_REDIRECT)
    stored = StoredObject(key, str(file["media_type"]), int(file["bytes"]))
    try:
        return await stored_object.serve_object(services, stored, known, sent=sent)
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
        async with services.transaction() as connection:
            await connection.run_sync(expiry.mark_downloaded, job.id, job.tenant, str(output))
