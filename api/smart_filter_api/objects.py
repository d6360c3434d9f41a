"""Objects of the store as answers: streamed, and sent again only to whom they are new."""

from collections.abc import AsyncIterator, Callable, Generator, Iterator
from dataclasses import dataclass

from fastapi import Response
from fastapi.concurrency import iterate_in_threadpool
from fastapi.responses import StreamingResponse

from smart_filter_api import tags
from smart_filter_api.deps import Services

# How pieces are sent so that something follows.
Sent = Callable[[Iterator[bytes]], AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class File:
    """An object that a row names: where it lies, what it is; length: in bytes, if it is known."""

    key: str
    media_type: str
    length: int | None = None


def is_known(key: str, if_none_match: str | None) -> bool:
    """Whether a client has what lies under a key, by what it says."""
    return tags.is_known(_tag(key), if_none_match)


async def answered(
    services: Services, file: File, if_none_match: str | None, *, sent: Sent | None = None
) -> Response:
    """Return an object; 304 to whom it is known.

    sent: how its pieces are sent, where something follows.
    Raises ObjectMissing, StorageUnavailable.
    """
    tag = _tag(file.key)
    if tags.is_known(tag, if_none_match):
        return tags.not_modified(tag)
    pieces = await services.in_thread(services.storage.stream, file.key)
    headers = tags.headers(tag)
    if file.length is not None:
        headers["Content-Length"] = str(file.length)
    whole = iterate_in_threadpool(pieces) if sent is None else sent(pieces)
    return StreamingResponse(_closing(whole, pieces), media_type=file.media_type, headers=headers)


async def _closing(
    whole: AsyncIterator[bytes], pieces: Generator[bytes, None, None]
) -> AsyncIterator[bytes]:
    """Yield an answer, and close the connection to storage also when its client leaves."""
    try:
        async for piece in whole:
            yield piece
    finally:
        pieces.close()


def _tag(key: str) -> str:
    # A key is written once, so it names its content; hashed, because it holds a lease's token.
    return tags.etag(key.encode())
