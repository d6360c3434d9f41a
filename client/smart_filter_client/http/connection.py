"""The connection that an operation uses, and the backend that it awaits.

An operation is an `async` function. Everything that takes time is a method of the backend, which
awaits it, or blocks and never suspends (backends.py). So requests, retries, parsing and errors are
written once.
"""

from collections.abc import AsyncIterator, Callable
from typing import Protocol, TypeVar

import httpx

from smart_filter_client.requests import Request

T = TypeVar("T")


class Backend(Protocol):
    """Sends requests, reads responses, sleeps, and calls functions that block on a disk."""

    async def open(self, request: Request) -> httpx.Response:
        """Return the response before its body is read.  Raises httpx.HTTPError."""

    def pieces(self, response: httpx.Response) -> AsyncIterator[bytes]:
        """Yield the body of an opened response.  Raises httpx.HTTPError."""

    async def close(self, response: httpx.Response) -> None:
        """Close an opened response."""

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""

    async def call(self, work: Callable[[], T]) -> T:
        """Call a function that blocks on a disk; return its result."""


class Connection(Protocol):
    """The server of the operations, and the retry limits; each client is one."""

    @property
    def url(self) -> str:
        """The address of the server."""

    @property
    def attempts(self) -> int:
        """Maximum attempts of a request."""

    @property
    def clock(self) -> Callable[[], float]:
        """Return seconds, for timeouts."""

    @property
    def backend(self) -> Backend:
        """Send requests, read responses, wait."""
