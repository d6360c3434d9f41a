"""A request to a server, the connection that an operation uses, and the backend that it awaits.

An operation is an `async` function. Everything that takes time is a method of the backend, which
awaits it, or blocks and never suspends (backends.py). So requests, retries, parsing and errors are
written once.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import quote

import httpx

T = TypeVar("T")

JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; retries send it unchanged, so that it is executed once.

    path: below the server's URL, or a complete URL of another server, which does not get the key.
    json: a body in JSON.  fields, parts: a form, with files by name.  file: a body.
    patience: additional seconds for the response, because the server waits.
    max_seconds: limit of the whole response, because the caller has no more time.
    """

    method: str
    path: str
    params: Mapping[str, str | int] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: object | None = None
    fields: Mapping[str, Sequence[str]] = field(default_factory=dict)
    parts: Mapping[str, bytes] = field(default_factory=dict)
    content: bytes | None = None
    file: Path | None = None
    patience: float = 0.0
    max_seconds: float = float("inf")

    @property
    def is_for_server(self) -> bool:
        """Whether the request goes to the server itself, not to a presigned address."""
        return "://" not in self.path


def path(*parts: str) -> str:
    """Return a path of API v1; each part is quoted, so it stays one path segment."""
    return "/".join(["v1", *(quote(part, safe="") for part in parts)])


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
