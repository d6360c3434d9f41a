"""Answer with the outputs of a job: a picture streamed from storage, or a JSON document.

An object that the client has is answered with 304.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import PurePath
from typing import Annotated, Final, TypeVar

import anyio
import anyio.lowlevel
from fastapi import Depends, Request, Response, status
from fastapi.concurrency import iterate_in_threadpool
from fastapi.responses import StreamingResponse

from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.http import documents, downloads
from smart_filter_api.http.downloads import ByteRange, RangeHeaders
from smart_filter_api.presenters import job as presenters_job
from smart_filter_api.services.callers import Reader
from smart_filter_api.services.container import OpenServices, Services
from smart_filter_shared.artifacts import expiry
from smart_filter_shared.errors import (
    JobNotFinished,
    NotFound,
    ObjectMissing,
    OutputExpired,
    TryAgain,
)
from smart_filter_shared.jobs import result_cache
from smart_filter_shared.jobs.queries import JobRow, Json
from smart_filter_shared.queue.states import JobState
from smart_filter_shared.recipe import Output
from smart_filter_shared.recipe.files import NAME_PARTS
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import MAX_OBJECT_BYTES
from smart_filter_shared.telemetry.logs import logger
from smart_filter_shared.typed_json import adapter
from smart_filter_wire.findings import Face

NOT_MODIFIED: Final = 304
# Pictures are named as their photos.
USUAL_NAME: Final = "{name}"
_JSON_OUTPUTS = frozenset({Output.FACES, Output.RATING, Output.PRINTABILITY})
# Called after an output was sent completely.
OnComplete = Callable[[], Awaitable[None]]

# Longer objects are streamed. A stream takes a thread for each piece, which costs more time than
# sending; a client that reads slowly keeps a whole object in memory.
_WHOLE_BYTES = 1024 * 1024

# Wraps the pieces of an object to do something after they are sent.
StreamWrapper = Callable[[Iterator[bytes]], AsyncIterator[bytes]]
Answer = TypeVar("Answer")
_log = logger("api")


@dataclass(frozen=True, slots=True)
class JobOutput:
    """An output of a succeeded job.

    file: its entry in the stored results; None for a JSON document.
    """

    job: JobRow
    name: Output
    file: Json | None

    def disposition(self, download: str | None) -> str:
        """Return the header that names the output; with `download`, browsers save it."""
        saves, asked = download is not None, None if download == "1" else download
        # Who opens a link to look at a picture need not learn what its owner calls the photo.
        name = asked or self.job.recipe.files.filename or (USUAL_NAME if saves else "")
        return downloads.content_disposition(
            *self.file_name(name), saves=saves, fallback=str(self.job.id)
        )

    def file_name(self, pattern: str, number: int | None = None) -> tuple[str, str]:
        """Return the stem and the ending of the name that a pattern of NAME_PARTS gives.

        number: among several pictures; None: in its batch.
        """
        return downloads.name_download(
            NAME_PARTS.sub(lambda part: self._name_part(part[1], number), pattern),
            fallback=str(self.job.id),
            # Several outputs of one job can be saved into one folder.
            suffix="" if self.name == Output.IMAGE else f"-{self.name}",
            media_type="application/json" if self.file is None else str(self.file["media_type"]),
        )

    def _name_part(self, part: str, number: int | None) -> str:
        job = self.job
        match part:
            case "name":
                name = job.photo_name or job.recipe.metadata.get("name") or str(job.id)
                return PurePath(name).stem
            case "n":
                return str(number or (job.batch_index or 0) + 1)
        background = presenters_job.render_background(presenters_job.read_findings(job))
        names = (background.name or background.kind).split("+")
        return "+".join(name.rpartition("/")[2] for name in names)


def find_output(services: Services, job: JobRow, name: str) -> JobOutput:
    """Return an output of a job; its file may have expired.

    Raises NotFound, JobNotFinished, OutputExpired.
    """
    job = job if services.settings.engine.emotions else presenters_job.hide_emotions(job)
    if name not in job.recipe.outputs:
        raise NotFound(f"the recipe of job {job.id} does not request the output {name}")
    if job.finished_at is None:
        raise JobNotFinished(f"job {job.id} is {job.state}; try again when it has succeeded")
    if job.state != JobState.SUCCEEDED:
        raise NotFound(f"job {job.id} is {job.state} and has no outputs")
    if name not in presenters_job.list_outputs(job):
        raise NotFound(f"job {job.id} is not among the best of its album and has no output {name}")
    if job.expired_at is not None:
        raise expired_error()
    output = Output(name)
    if output in _JSON_OUTPUTS:
        return JobOutput(job, output, None)
    file = presenters_job.find_output_file(job, output)
    if file is None:
        raise NotFound(f"job {job.id} has no output {output}")
    return JobOutput(job, output, file)


def find_tag(output: JobOutput) -> str:
    """Return the strong ETag of an output."""
    if output.file is None:
        return documents.etag(_render_json(output))
    return object_etag(str(output.file["key"]))


def expired_error() -> OutputExpired:
    """Return the error for an output whose file was deleted."""
    return OutputExpired("the output has expired and was deleted; submit the photo again")


async def serve_output(
    services: Services,
    request: Request,
    output: JobOutput,
    *,
    if_none_match: str | None = None,
    ranges: RangeHeaders | None = None,
    download: str | None = None,
) -> Response:
    """Return the answer with an output, or 304 when the client already has it.

    With `keep_nothing` the output is deleted after its last byte was sent.
    ranges: the part of a file that the client wants, unless it is deleted then.
    Raises OutputExpired, StorageUnavailable, RangeNotSatisfiable.
    """
    keeps = not output.job.keep_nothing
    then = partial(mark_downloaded, services, output.job, output.name)
    sent = None if keeps else partial(stream_then, request, then)
    if output.file is None:
        answer = _json_response(output, if_none_match, sent)
    else:
        answer = await _picture_response(services, output.file, if_none_match, ranges, sent)
    answer.headers["Content-Disposition"] = output.disposition(download)
    return answer


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


def _json_response(
    output: JobOutput, if_none_match: str | None, sent: StreamWrapper | None
) -> Response:
    answer = documents.revalidated_response(_render_json(output), if_none_match)
    if sent is None or answer.status_code == NOT_MODIFIED:
        return answer
    return StreamingResponse(sent(iter([bytes(answer.body)])), headers=dict(answer.headers))


def _render_json(output: JobOutput) -> bytes:
    facts = presenters_job.read_findings(output.job)
    if output.name == Output.PRINTABILITY:
        return documents.encode(facts.composed and facts.composed.printability)
    faces = presenters_job.render_faces(facts)
    if output.name == Output.FACES:
        return adapter(tuple[Face, ...] | None).dump_json(faces)
    return documents.encode(presenters_job.render_rating(faces or ()))


async def _picture_response(
    services: Services,
    file: Json,
    if_none_match: str | None,
    ranges: RangeHeaders | None,
    sent: StreamWrapper | None,
) -> Response:
    stored = StoredObject(str(file["key"]), str(file["media_type"]), int(file["bytes"]))
    try:
        return await serve_object(services, stored, if_none_match, sent=sent, ranges=ranges)
    except ObjectMissing as error:
        raise expired_error() from error


@dataclass(frozen=True, slots=True)
class StoredObject:
    """Key and media type of an object in the store; length: in bytes, None if unknown."""

    key: str
    media_type: str
    length: int | None = None


async def _hold_download(services: OpenServices, caller: Reader) -> AsyncIterator[Caller]:
    """Count a download until its answer is sent.  Raises RateLimited, ServiceFull."""
    with services.limits.waits.hold_download(caller.tenant, caller):
        yield caller


# The caller of a request that downloads an object.
Downloader = Annotated[Caller, Depends(_hold_download)]


def is_known(key: str, if_none_match: str | None) -> bool:
    """Whether the client's If-None-Match names the object of a key."""
    return documents.is_known(object_etag(key), if_none_match)


async def serve_object(
    services: Services,
    file: StoredObject,
    if_none_match: str | None,
    *,
    sent: StreamWrapper | None = None,
    ranges: RangeHeaders | None = None,
) -> Response:
    """Return a streaming answer with an object, or 304 when the client already has it.

    sent: wraps the pieces, to do something after the last one.
    ranges: the part that the client wants, if the length is known and `sent` is None.
    Raises ObjectMissing, StorageUnavailable, RangeNotSatisfiable.
    """
    tag = object_etag(file.key)
    if documents.is_known(tag, if_none_match):
        return documents.not_modified(tag)
    headers = documents.caching_headers(tag)
    if ranges is not None and sent is None and file.length is not None:
        headers["Accept-Ranges"] = "bytes"
        part = ranges.choose(tag, file.length)
        if part is not None:
            return await _serve_part(services, file, part, headers)
    if sent is None and file.length is not None and file.length <= _WHOLE_BYTES:
        get = partial(services.storage.get, most=file.length, length=file.length)
        content = await read_stored_object(services, get, file.key)
        return Response(content, media_type=file.media_type, headers=headers)
    most = MAX_OBJECT_BYTES if file.length is None else file.length
    stream = partial(services.storage.stream, most=most, length=file.length)
    pieces = await read_stored_object(services, stream, file.key)
    if file.length is not None:
        headers["Content-Length"] = str(file.length)
    whole = iterate_in_threadpool(pieces) if sent is None else sent(pieces)
    return StreamingResponse(_closing(whole, pieces), media_type=file.media_type, headers=headers)


async def _serve_part(
    services: Services, file: StoredObject, part: ByteRange, headers: dict[str, str]
) -> Response:
    headers |= {"Content-Range": part.content_range, "Content-Length": str(part.length)}
    # The first piece is read before the answer begins, so that a missing object is a problem.
    first = await _read_piece(services, file.key, part, part.start)

    async def read_pieces() -> AsyncIterator[bytes]:
        piece, at = first, part.start
        while True:
            yield piece
            at += len(piece)
            if at == part.start + part.length:
                return
            piece = await _read_piece(services, file.key, part, at)

    return StreamingResponse(
        read_pieces(),
        status_code=status.HTTP_206_PARTIAL_CONTENT,
        media_type=file.media_type,
        headers=headers,
    )


async def _read_piece(services: Services, key: str, part: ByteRange, start: int) -> bytes:
    """Return the bytes of a part from an offset of the object on, at most _WHOLE_BYTES."""
    length = min(_WHOLE_BYTES, part.start + part.length - start)
    read = partial(services.storage.part, start=start, length=length)
    piece = await read_stored_object(services, read, key)
    if len(piece) != length:
        await stop_sharing(services, key)
        raise ObjectMissing(key)
    return piece


async def read_stored_object(services: Services, how: Callable[[str], Answer], key: str) -> Answer:
    """Read an object in a thread by a method of the store.

    Later jobs do not share an object that was found missing, or damaged.
    Raises ObjectMissing, StorageUnavailable.
    """
    try:
        return await services.in_thread(how, key)
    except ObjectMissing:
        await stop_sharing(services, key)
        raise


async def stop_sharing(services: Services, key: str) -> None:
    """Let no later job share an object that is missing, if the database is available."""
    _log.warning("artifact_missing", key=key)
    with contextlib.suppress(TryAgain):
        async with services.database.transaction() as connection:
            await connection.run_sync(result_cache.stop_sharing, keys.tenant_of(key), key)


async def _closing(
    whole: AsyncIterator[bytes], pieces: Generator[bytes, None, None]
) -> AsyncIterator[bytes]:
    """Yield an answer, and close the storage connection even when the client disconnects."""
    try:
        async for piece in whole:
            yield piece
    finally:
        pieces.close()


def object_etag(key: str) -> str:
    """Return the strong ETag of the object of a key."""
    # A key is written once, so it identifies its content. It is hashed, since it holds a lease
    # token.
    return documents.etag(key.encode())
