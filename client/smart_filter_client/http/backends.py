"""The backends of both clients: httpx requests, answers and files, with `await` or blocking.

The one with `await` runs under asyncio and trio, like httpx. The blocking one gives up no control,
so an operation runs to its end in one step, without an event loop: its errors and Ctrl-C arrive
where they belong.
"""

from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterator,
    Mapping,
)
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import anyio
import anyio.to_thread
import httpx

from smart_filter_client.errors import InvalidAddress
from smart_filter_client.http.connection import Request

CONNECT_TIMEOUT_SECONDS = 5.0
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_BINARY_TYPE = "application/octet-stream"
_PIECE_BYTES = 256 * 1024


def parse_address(url: str, api_key: str) -> httpx.URL:
    """Return a server's address.  Raises InvalidAddress when it or the key is malformed."""
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise InvalidAddress(f"{url!r} is not a URL ({error})") from error
    if address.scheme not in {"http", "https"} or not address.host:
        raise InvalidAddress(f"{url!r} is not a server's URL; write http://HOST:PORT")
    if not (api_key.isascii() and api_key.isprintable()):
        raise InvalidAddress("the API key holds characters that are not allowed in a key")
    return address


def uses_proxies(address: httpx.URL) -> bool:
    """Whether to use the environment's proxies: they cannot reach loopback addresses."""
    return address.host not in _LOOPBACK


def build_request(
    http: httpx.Client | httpx.AsyncClient,
    request: Request,
    api_key: str,
    seconds: float,
    body: Mapping[str, Any],
) -> httpx.Request:
    """Convert a request to httpx.

    api_key: sent only to the server itself.  seconds: timeout of one step.
    Raises OSError when the length of a file cannot be read.
    """
    headers = httpx.Headers(request.headers)  # the server may have named them in any case
    if api_key and request.is_for_server:
        headers["Authorization"] = f"Bearer {api_key}"
    if request.file is not None:
        headers["Content-Length"] = str(request.file.stat().st_size)
    return http.build_request(
        request.method,
        request.path,
        params=dict(request.params) or None,
        headers=headers,
        timeout=httpx.Timeout(
            min(seconds, request.max_seconds),
            connect=min(seconds, request.max_seconds, CONNECT_TIMEOUT_SECONDS),
            read=min(seconds + request.patience, request.max_seconds),
        ),
        **body,
    )


def body_arguments(request: Request) -> Mapping[str, Any]:  # httpx's own keyword arguments
    """Return a request's body, unless it is a file, as keyword arguments of httpx."""
    if request.json is not None:
        return {"json": request.json}
    if request.content is not None:
        return {"content": request.content}
    # The photo's name is a field, because an upload has no part.
    files = {name: (name, part, _BINARY_TYPE) for name, part in request.parts.items()}
    return {"data": dict(request.fields), "files": files} if files else {}


def read_pieces(file: Path) -> Iterator[bytes]:
    """Yield the content of a file in pieces."""
    with file.open("rb") as source:
        while piece := source.read(_PIECE_BYTES):
            yield piece


async def read_pieces_async(file: Path) -> AsyncIterator[bytes]:
    """Yield the content of a file in pieces, without blocking the event loop."""
    async with await anyio.open_file(file, "rb") as source:
        while piece := await source.read(_PIECE_BYTES):
            yield piece


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AsyncBackend:
    """The backend of AsyncClient; seconds: timeout of one step of a request."""

    http: httpx.AsyncClient
    api_key: str
    seconds: float
    pause: Callable[[float], Awaitable[None]]

    async def open(self, request: Request) -> httpx.Response:
        """Return the response before its body is read."""
        return await self.http.send(self._built(request), stream=True)

    def pieces(self, response: httpx.Response) -> AsyncIterator[bytes]:
        """Yield the body of an opened response."""
        return response.aiter_bytes()

    async def close(self, response: httpx.Response) -> None:
        """Close an opened response."""
        # A canceled task must return its connection too.
        with anyio.CancelScope(shield=True):
            await response.aclose()

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        await self.pause(seconds)

    async def call(self, work: Callable[[], T]) -> T:
        """Call a function in a thread; return its result."""
        return await anyio.to_thread.run_sync(work)

    def _built(self, request: Request) -> httpx.Request:
        body = body_arguments(request)
        if request.file is not None:
            body = {"content": read_pieces_async(request.file)}
        return build_request(self.http, request, self.api_key, self.seconds, body)


def run_operation(
    operation: Coroutine[Any, Any, T],
) -> T:  # Any: nothing is sent or yielded
    """Run an operation of a blocking client; return its result, raise its error."""
    try:
        operation.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    operation.close()
    raise AssertionError("an operation of the blocking client suspended")


def iterate_operation(items: AsyncGenerator[T]) -> Iterator[T]:
    """Yield the results of an operation of a blocking client; raise its error."""
    try:
        while True:
            try:
                item = run_operation(anext(items))
            except StopAsyncIteration:
                return
            yield item
    finally:
        run_operation(items.aclose())


@dataclass(frozen=True, slots=True)
class BlockingBackend:
    """The backend of Client; seconds: timeout of one step of a request."""

    http: httpx.Client
    api_key: str
    seconds: float
    pause: Callable[[float], None]

    async def open(self, request: Request) -> httpx.Response:
        """Return the response before its body is read."""
        return self.http.send(self._built(request), stream=True)

    def pieces(self, response: httpx.Response) -> AsyncIterator[bytes]:
        """Yield the body of an opened response."""
        return _Pieces(response.iter_bytes())

    async def close(self, response: httpx.Response) -> None:
        """Close an opened response."""
        response.close()

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        self.pause(seconds)

    async def call(self, work: Callable[[], T]) -> T:
        """Call a function; return its result."""
        return work()

    def _built(self, request: Request) -> httpx.Request:
        body = body_arguments(request)
        if request.file is not None:
            body = {"content": read_pieces(request.file)}
        return build_request(self.http, request, self.api_key, self.seconds, body)


@dataclass(frozen=True, slots=True)
class _Pieces:
    """A body for `async for`."""

    pieces: Iterator[bytes]

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        for piece in self.pieces:
            return piece
        raise StopAsyncIteration
