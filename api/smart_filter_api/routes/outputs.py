"""What a job has made: pictures from storage, the rest as JSON documents."""

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

from smart_filter_api import answers, objects, tags
from smart_filter_api.deps import OpenServices, Reader, Services
from smart_filter_api.objects import File, Sent
from smart_filter_api.problems import documented
from smart_filter_api.routes import jobs
from smart_filter_api.schemas.jobs import FaceAnswer, RatingAnswer
from smart_filter_shared.errors import (
    JobNotFinished,
    NotFound,
    ObjectMissing,
    OutputExpired,
    TryAgain,
)
from smart_filter_shared.jobs import expiry, retention
from smart_filter_shared.jobs.queries import JobRow, Json
from smart_filter_shared.jobs.states import JobState
from smart_filter_shared.printability import Printability
from smart_filter_shared.recipe import Output

router = APIRouter(prefix="/v1/jobs/{job_id}/outputs", tags=["jobs"])

_LINK_SECONDS = 60
_NOT_MODIFIED = 304
_REDIRECT = 307
_DOCUMENTS = frozenset({Output.FACES, Output.RATING, Output.PRINTABILITY})
_FACES = TypeAdapter(list[FaceAnswer] | None)
_RATING = TypeAdapter(RatingAnswer | None)
_PRINTABILITY = TypeAdapter(Printability | None)

# What is done when an output has been sent.
Then = Callable[[], Awaitable[None]]


@router.get(
    "/{name}",
    summary="Fetch an output",
    description="`redirect=1` answers a link for one minute, where the output is a file.",
    response_class=Response,
    responses={
        200: {
            "description": "the output",
            "content": {
                "image/jpeg": {},
                "image/png": {},
                "image/webp": {},
                "image/avif": {},
                "application/zip": {},
                "application/json": {},
            },
        },
        _NOT_MODIFIED: {"description": "If-None-Match names what the output still is"},
        _REDIRECT: {"description": "a link to the file, with `redirect=1`"},
        **documented(
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
    """Answer one output of a job that has succeeded."""

    def look(connection: Connection) -> tuple[JobRow, Output, Json | None]:
        job = jobs.found(connection, job_id, caller.tenant)
        output = _asked_for(job, name)
        return job, output, _file(connection, job, output)

    async with services.reading() as connection:
        job, output, file = await connection.run_sync(look)
    then = partial(hand_over, services, job, output) if job.keep_nothing else None
    sent = None if then is None else partial(followed, request, then)
    if file is None:
        return _document(job, output, if_none_match, sent)
    # Nobody could tell when a link has been used.
    by_link = redirect and not job.keep_nothing
    return await _picture(services, file, redirect=by_link, known=if_none_match, sent=sent)


def _asked_for(job: JobRow, name: str) -> Output:
    if name not in job.recipe.outputs:
        raise NotFound(f"job {job.id} was not asked for the output {name}")
    if job.finished_at is None:
        raise JobNotFinished(f"job {job.id} is {job.state}; ask again when it has succeeded")
    if job.state != JobState.SUCCEEDED:
        raise NotFound(f"job {job.id} has {job.state}: it has no outputs")
    if name not in answers.made(job):
        raise NotFound(f"job {job.id} is not among the best of its album: it has no {name}")
    if job.expired_at is not None:
        raise _expired()
    return Output(name)


def _file(connection: Connection, job: JobRow, output: Output) -> Json | None:
    """Return what is known of an output's file; None for one that is a document."""
    if output in _DOCUMENTS:
        return None
    file = answers.file(job, output)
    if file is None:
        raise NotFound(f"job {job.id} has no output {output}")
    if not retention.is_kept(connection, job.tenant, str(file["key"])):
        raise _expired()
    return file


def _expired() -> OutputExpired:
    return OutputExpired("the output was kept for its time and is gone; submit the photo again")


def _document(job: JobRow, output: Output, known: str | None, sent: Sent | None) -> Response:
    answer = tags.json(_content(job, output), known)
    if sent is None or answer.status_code == _NOT_MODIFIED:
        return answer
    return StreamingResponse(sent(iter([bytes(answer.body)])), headers=dict(answer.headers))


def _content(job: JobRow, output: Output) -> bytes:
    if output == Output.PRINTABILITY:
        return _PRINTABILITY.dump_json(answers.printability(job))
    faces = answers.faces(job)
    if output == Output.FACES:
        return _FACES.dump_json(faces)
    return _RATING.dump_json(None if faces is None else answers.rating(faces))


async def _picture(
    services: Services, file: Json, *, redirect: bool, known: str | None, sent: Sent | None
) -> Response:
    key = str(file["key"])
    if redirect and not objects.is_known(key, known):
        link = services.storage.presigned_get(key, seconds=_LINK_SECONDS)
        return RedirectResponse(link, status_code=_REDIRECT)
    stored = File(key, str(file["media_type"]), int(file["bytes"]))
    try:
        return await objects.answered(services, stored, known, sent=sent)
    except ObjectMissing as error:
        raise _expired() from error


async def followed(request: Request, then: Then, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield pieces, and do something when the last of them has been sent."""
    last = b""
    async for piece in iterate_in_threadpool(pieces):
        if last:
            yield last
        last = piece
    # The last byte goes alone: whoever has left by then has not got all, and whoever leaves
    # after it has, even if that is at once. So nothing is waited for between it and `then`:
    # the answer ends when its client leaves.
    yield last[:-1]
    await anyio.lowlevel.checkpoint()  # who asks for the head alone has it by now
    if not await request.is_disconnected():
        yield last[-1:]
        await then()


async def hand_over(services: Services, job: JobRow, output: Output) -> None:
    """Note that a client has an output of a job of which nothing is to be kept then."""
    # What is not noted now goes with the time.
    with anyio.CancelScope(shield=True), contextlib.suppress(TryAgain):
        async with services.transaction() as connection:
            await connection.run_sync(expiry.hand_over, job.id, job.tenant, str(output))
