"""Stream objects of the store as answers; an object that the client has is answered with 304."""

import contextlib
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, TypeVar

from fastapi import Depends, Response, status
from fastapi.concurrency import iterate_in_threadpool
from fastapi.responses import StreamingResponse

from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.http import documents
from smart_filter_api.http.downloads import ByteRange, RangeHeaders
from smart_filter_api.services.callers import Reader
from smart_filter_api.services.container import OpenServices, Services
from smart_filter_shared.errors import ObjectMissing, TryAgain
from smart_filter_shared.jobs import result_cache
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import MAX_OBJECT_BYTES
from smart_filter_shared.telemetry.logs import logger

# Longer objects are streamed. A stream takes a thread for each piece, which costs more time than
# sending; a client that reads slowly keeps a whole object in memory.
_WHOLE_BYTES = 1024 * 1024

# Wraps the pieces of an object to do something after they are sent.
StreamWrapper = Callable[[Iterator[bytes]], AsyncIterator[bytes]]
Answer = TypeVar("Answer")
_log = logger("api")


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
