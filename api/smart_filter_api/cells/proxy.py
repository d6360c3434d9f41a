"""Proxy requests to one cell, streaming request and response bodies without storing them.

The cell itself limits the size of bodies; the proxy only cuts off clients that stop sending.
A health check marks a cell as away, so later requests fail at once instead of timing out.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

import anyio
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from smart_filter_api.auth.client_network import client_network
from smart_filter_api.cells.connection_pool import (
    MAX_CONNECTIONS,
    CellConnection,
    CellConnectionLost,
    CellUnavailable,
    CellUnreachable,
    ConnectionPool,
    Headers,
)
from smart_filter_api.cells.rendezvous import Cell
from smart_filter_api.intake.body import read_with_timeout
from smart_filter_shared.supervision import SupervisedLoop
from smart_filter_shared.telemetry import logs

# The same time as the API gives a client that sends a body.
_READ_TIMEOUT_SECONDS = 20.0
_HEALTH_CHECK_SECONDS = 1.0
_HEALTH_CHECK_TIMEOUT_SECONDS = 5.0
# Health checks that time out in a row before the cell counts as away; a busy cell may miss one.
_MAX_FAILED_CHECKS = 3
# Concurrent requests of one client network, so that no client can use up a cell's connections.
_MAX_REQUESTS_PER_CLIENT = MAX_CONNECTIONS // 4

# Headers that concern one connection only.  Source: RFC 9110, 7.6.1.
_HOP_BY_HOP_HEADERS: Final = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer"
    b" transfer-encoding upgrade".split()
)
_BODY_HEADERS: Final = frozenset({b"content-length", b"transfer-encoding"})
# Forwarded even if `Connection` names them.
_END_TO_END_HEADERS: Final = frozenset({b"host", b"content-length"})
# The cell trusts these headers, so only the router may set them.
_FORWARDED_HEADERS: Final = frozenset(b"forwarded x-real-ip".split())
# Our own server sets these.
_SERVER_HEADERS: Final = frozenset(b"date server".split())


class CellProxy:
    """A proxy to one cell, with a connection pool of its own.

    is_away: whether health checks or requests found that the cell does not answer.
    """

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.is_away = False
        self._lines = ConnectionPool(cell.url)
        self._silent_looks = 0
        self._under_way: Counter[str] = Counter()

    def close(self) -> None:
        """Close the idle connections."""
        self._lines.close()

    async def watch(self) -> None:
        """Check once a second whether the cell answers, until canceled.

        Raises the last error when too many unexpected ones follow each other.
        """
        looks = SupervisedLoop(f"cell {self.cell.name}", every_seconds=_HEALTH_CHECK_SECONDS)
        while True:
            with looks.step():
                await self.look()
                self._lines.tidy()
            await anyio.sleep(looks.pause_seconds)

    async def look(self, *, seconds: float = _HEALTH_CHECK_TIMEOUT_SECONDS) -> None:
        """Check once whether the cell answers, and update `is_away`.

        A refused connection marks the cell as away at once; time-outs do after three in a row.
        seconds: time-out of the check.
        """
        try:
            answered = await self._lines.look(seconds=seconds)
        except CellUnreachable:
            self._note(away=True)
            return
        # Responses to requests reset the count too (see `_carry`).
        self._silent_looks = 0 if answered else self._silent_looks + 1
        if answered or self._silent_looks >= _MAX_FAILED_CHECKS:
            self._note(away=not answered)

    async def carry(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a request to the cell and its response to the client; stop when the client leaves.

        scope: of a request whose target begins with a slash and whose body has one length.
        Raises CellUnavailable before a response started, CellConnectionLost when the cell
        disconnects during its response, ClientDisconnect, and MalformedRequest when the client
        stops sending its body.
        """
        if self.is_away:
            raise CellUnavailable("the last health checks of the cell failed")
        with self._counted(scope):
            await self._carry(scope, receive, send)

    async def _carry(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body_read = anyio.Event()

        async def leave_with_the_client() -> None:
            await body_read.wait()
            while (await receive())["type"] != "http.disconnect":
                pass
            tasks.cancel_scope.cancel()

        async def send_heard(message: Message) -> None:
            self._silent_looks = 0
            await send(message)

        failure: Exception | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(leave_with_the_client)
            try:
                async with self._lines.free() as line:
                    await _exchange(line, request, body_read, send_heard)
            except CellUnreachable as error:
                self._note(away=True)
                failure = error
            except Exception as error:  # noqa: BLE001 - raised below; a task group would wrap it
                failure = error
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure

    @contextmanager
    def _counted(self, scope: Scope) -> Iterator[None]:
        client = client_network(Request(scope).client)
        if self._under_way[client] >= _MAX_REQUESTS_PER_CLIENT:
            raise CellUnavailable(
                f"this client has {_MAX_REQUESTS_PER_CLIENT} requests under way, the maximum"
            )
        self._under_way[client] += 1
        try:
            yield
        finally:
            self._under_way[client] -= 1
            if not self._under_way[client]:
                del self._under_way[client]

    def _note(self, *, away: bool) -> None:
        if away != self.is_away:
            self.is_away = away
            logs.logger("router").warning("cell_away" if away else "cell_back", cell=self.cell.name)


async def _exchange(
    line: CellConnection, request: Request, body_read: anyio.Event, send: Send
) -> None:
    scope = request.scope
    headers = _end_to_end_headers(scope["headers"], but=_FORWARDED_HEADERS)
    if scope["client"] is not None:
        headers.append((b"x-forwarded-for", scope["client"][0].encode()))
    headers.append((b"x-forwarded-proto", scope["scheme"].encode()))
    names = {name for name, _ in scope["headers"]}
    if b"transfer-encoding" in names:
        headers.append((b"transfer-encoding", b"chunked"))
    body = _read_body(request, body_read) if names & _BODY_HEADERS else None
    if body is None:
        body_read.set()
    # Pass the raw target unchanged: a different encoding may mean a different resource.
    target = scope["raw_path"] + _query_suffix(scope["query_string"])
    try:
        await line.send(scope["method"], target, headers, body)
        head = await line.head()
    except CellConnectionLost as error:
        raise CellUnavailable(str(error)) from error
    answered = _end_to_end_headers(head.headers, but=_SERVER_HEADERS)
    if head.status_code == HTTPStatus.NO_CONTENT:
        # A 204 response must not have a Content-Length.  Source: RFC 9110, 8.6.
        answered = [one for one in answered if one[0] != b"content-length"]
    await send({"type": "http.response.start", "status": head.status_code, "headers": answered})
    async for piece in line.pieces():
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body"})


async def _read_body(request: Request, read: anyio.Event) -> AsyncGenerator[bytes, None]:
    async for piece in read_with_timeout(request.stream(), seconds=_READ_TIMEOUT_SECONDS):
        yield piece
    read.set()


def _query_suffix(query: bytes) -> bytes:
    return b"?" + query if query else b""


def _end_to_end_headers(
    headers: Iterable[tuple[bytes, bytes]], *, but: frozenset[bytes]
) -> Headers:
    """Return the end-to-end headers, without the hop-by-hop ones and those in `but`."""
    given = [(name.lower(), value) for name, value in headers]
    named = {
        word.strip().lower()
        for name, value in given
        if name == b"connection"
        for word in value.split(b",")
    } - _END_TO_END_HEADERS
    left_out = _HOP_BY_HOP_HEADERS | but | named
    return [
        (name, value)
        for name, value in given
        if name not in left_out and not name.startswith(b"x-forwarded-")
    ]
