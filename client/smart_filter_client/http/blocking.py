"""Requests, pauses and files that block, and the calls of operations that never suspend.

Nothing here gives up control, so an operation runs to its end in one step, without an event loop:
its errors and Ctrl-C arrive where they belong.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import httpx

from smart_filter_client.http import http_requests
from smart_filter_client.requests import Request

T = TypeVar("T")


def run_operation(operation: Coroutine[Any, Any, T]) -> T:  # Any: nothing is sent or yielded
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
        body = http_requests.body_arguments(request)
        if request.file is not None:
            body = {"content": http_requests.read_pieces(request.file)}
        return http_requests.build_request(self.http, request, self.api_key, self.seconds, body)


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
