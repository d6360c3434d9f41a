"""Objects of the store as answers: streamed, and sent again only to whom they are new."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

from fastapi import Response
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
    whole = pieces if sent is None else sent(pieces)
    return StreamingResponse(whole, media_type=file.media_type, headers=headers)


def _tag(key: str) -> str:
    # A key is written once, so it names its content; hashed, because it holds a lease's token.
    return tags.etag(key.encode())
