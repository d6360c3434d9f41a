"""The way to one cell: a request there, its answer back, both as they come and neither kept.

Bodies are bounded by the cell, as for anybody; here only whoever has fallen silent is sent away.
A cell that cannot be reached is known for it: nobody waits to find that out again.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from typing import Final

import anyio
import httpx
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from smart_filter_api.cells.choosing import Cell
from smart_filter_api.intake import in_time
from smart_filter_shared.errors import TryAgain
from smart_filter_shared.telemetry import logs

Headers = list[tuple[bytes, bytes]]

_CONNECT_SECONDS = 2.0
# As the API gives whoever sends a body.
_SILENT_SECONDS = 20.0
# Longer than a cell keeps any client waiting: 300 s at most, those of remove.bg.
_ANSWER_SECONDS = 330.0
# Each of whoever follows a job is one, for as long as that takes.
_CONNECTIONS = 1000
_IDLE_CONNECTIONS = 50
# The API closes what was idle for 5 s; a request must not meet that.
_IDLE_SECONDS = 2.0

_LOOK_SECONDS = 1.0
# A cell that is busy says this in milliseconds; one that stands still, never.
_LOOK: Final = b"/livez"
_LOOK_ANSWER_SECONDS = 5.0

# Of one connection alone.  Source: RFC 9110, 7.6.1; `expect` is answered by our own server.
_OF_A_HOP: Final = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer"
    b" transfer-encoding upgrade expect".split()
)
# Though `Connection` should name them.
_NEVER_OF_A_HOP: Final = frozenset({b"host", b"content-length"})
# What the cell believes of its client, so that nobody else may say it.
_FORWARDED: Final = frozenset(b"forwarded x-real-ip".split())
# Our own server writes these.
_OF_THE_SERVER: Final = frozenset(b"date server".split())


class CellAway(TryAgain):
    """A cell could not be reached, fell silent before it answered, or has all that it can take."""

    code = "unavailable"


class Passage:
    """Connections to one cell, none of which another cell's requests can use up.

    is_away: whether it is known not to answer.
    """

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.is_away = False
        # A transport, not a client: no redirects, cookies, proxies or headers of its own.
        self._transport = httpx.AsyncHTTPTransport(
            limits=httpx.Limits(
                max_connections=_CONNECTIONS,
                max_keepalive_connections=_IDLE_CONNECTIONS,
                keepalive_expiry=_IDLE_SECONDS,
            )
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    async def watch(self) -> None:
        """Look once a second whether the cell answers, until canceled."""
        # A connection of its own each time: one more than all that the cell's requests may have.
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=0)
        async with httpx.AsyncHTTPTransport(limits=limits) as transport:
            while True:
                try:
                    self._note(away=not await self._is_answered(transport))
                except Exception:  # noqa: BLE001 - the top of a long-lived loop
                    logs.logger("router").exception("look_failed", cell=self.cell.name)
                await anyio.sleep(_LOOK_SECONDS)

    async def carry(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a request to the cell and its answer to the client; stop when the client leaves.

        scope: of a request whose target begins with a slash and whose body has one length.
        Raises CellAway while nothing was answered, ClientDisconnect, MalformedRequest when a body
        does not go on, and httpx.HTTPError when the cell goes away in the midst of its answer.
        """
        if self.is_away:
            raise CellAway("it is known not to answer")
        request = Request(scope, receive)
        body_read = anyio.Event()
        outgoing = self._outgoing(request, body_read)

        async def leave_with_the_client() -> None:
            await body_read.wait()
            while (await receive())["type"] != "http.disconnect":
                pass
            tasks.cancel_scope.cancel()

        failure: Exception | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(leave_with_the_client)
            try:
                await self._exchange(outgoing, send)
            except Exception as error:  # noqa: BLE001 - raised below; a task group would wrap it
                failure = error
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def _exchange(self, outgoing: httpx.Request, send: Send) -> None:
        try:
            answer = await self._transport.handle_async_request(outgoing)
        except httpx.TransportError as error:
            if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
                self._note(away=True)
            raise CellAway(type(error).__name__) from error
        try:
            headers = _passed_on(answer.headers.raw, but=_OF_THE_SERVER)
            await send(
                {"type": "http.response.start", "status": answer.status_code, "headers": headers}
            )
            async with aclosing(answer.aiter_raw()) as pieces:
                async for piece in pieces:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body"})
        finally:
            # Also when the client has left: a connection that is not given back is lost.
            with anyio.CancelScope(shield=True):
                await answer.aclose()

    def _outgoing(self, request: Request, body_read: anyio.Event) -> httpx.Request:
        scope = request.scope
        headers = _passed_on(scope["headers"], but=_FORWARDED)
        names = {name for name, _ in scope["headers"]}
        has_body = b"transfer-encoding" in names or b"content-length" in names
        if scope["client"] is not None:
            headers.append((b"x-forwarded-for", scope["client"][0].encode()))
        headers.append((b"x-forwarded-proto", scope["scheme"].encode()))
        if not has_body:
            body_read.set()
        return httpx.Request(
            scope["method"],
            self.cell.url,
            headers=headers,
            content=_body(request, body_read) if has_body else None,
            extensions={
                "timeout": _timeout(_ANSWER_SECONDS),
                # To the letter: what is written otherwise may mean otherwise.
                "target": scope["raw_path"] + _query(scope["query_string"]),
            },
        )

    async def _is_answered(self, transport: httpx.AsyncHTTPTransport) -> bool:
        asked = httpx.Request(
            "GET",
            self.cell.url,
            extensions={"timeout": _timeout(_LOOK_ANSWER_SECONDS), "target": _LOOK},
        )
        try:
            answer = await transport.handle_async_request(asked)
            await answer.aclose()
        except httpx.TransportError:
            return False
        # A balancer before the cell says so when nobody stands behind it.
        return answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR

    def _note(self, *, away: bool) -> None:
        if away != self.is_away:
            self.is_away = away
            logs.logger("router").warning("cell_away" if away else "cell_back", cell=self.cell.name)


async def _body(request: Request, read: anyio.Event) -> AsyncIterator[bytes]:
    async for piece in in_time(request.stream(), seconds=_SILENT_SECONDS):
        yield piece
    read.set()


def _timeout(answer_seconds: float) -> dict[str, float]:
    return {
        "connect": _CONNECT_SECONDS,
        "pool": _CONNECT_SECONDS,
        "write": _SILENT_SECONDS,
        "read": answer_seconds,
    }


def _query(query: bytes) -> bytes:
    return b"?" + query if query else b""


def _passed_on(headers: Iterable[tuple[bytes, bytes]], *, but: frozenset[bytes]) -> Headers:
    """Return the headers that concern both ends."""
    given = [(name.lower(), value) for name, value in headers]
    named = {
        word.strip().lower()
        for name, value in given
        if name == b"connection"
        for word in value.split(b",")
    } - _NEVER_OF_A_HOP
    left_out = _OF_A_HOP | but | named
    return [
        (name, value)
        for name, value in given
        if name not in left_out and not name.startswith(b"x-forwarded-")
    ]
