"""Requests, pauses and files with await; runs under asyncio and trio, like httpx."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import anyio
import anyio.to_thread
import httpx

from smart_filter_client.http import http_requests
from smart_filter_client.requests import Request

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
        body = http_requests.body_arguments(request)
        if request.file is not None:
            body = {"content": http_requests.read_pieces_async(request.file)}
        return http_requests.build_request(self.http, request, self.api_key, self.seconds, body)
