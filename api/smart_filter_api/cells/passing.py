"""The way to one cell: a request there, its answer back, both as they come and neither kept.

Bodies are bounded by the cell, as for anybody; here only whoever has fallen silent is sent away.
A cell that cannot be reached is known for it: nobody waits to find that out again.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

import anyio
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from smart_filter_api.cells.choosing import Cell
from smart_filter_api.cells.lines import (
    CONNECTIONS,
    CellAway,
    CellLeft,
    CellUnreachable,
    Headers,
    Line,
    Lines,
)
from smart_filter_api.intake import in_time
from smart_filter_api.networks import network_of
from smart_filter_shared.supervision import SupervisedLoop
from smart_filter_shared.telemetry import logs

# As the API gives whoever sends a body.
_SILENT_SECONDS = 20.0
_LOOK_SECONDS = 1.0
_LOOK_ANSWER_SECONDS = 5.0
# A cell that is busy is late once in a while; one that stands still answers nothing at all.
_SILENT_LOOKS = 3
# Of the requests that a cell may have, so that no client, known or not, has them all.
_REQUESTS_OF_ONE_CLIENT = CONNECTIONS // 4

# Of one connection alone.  Source: RFC 9110, 7.6.1.
_OF_A_HOP: Final = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer"
    b" transfer-encoding upgrade".split()
)
_OF_A_BODY: Final = frozenset({b"content-length", b"transfer-encoding"})
# Though `Connection` should name them.
_NEVER_OF_A_HOP: Final = frozenset({b"host", b"content-length"})
# What the cell believes of its client, so that nobody else may say it.
_FORWARDED: Final = frozenset(b"forwarded x-real-ip".split())
# Our own server writes these.
_OF_THE_SERVER: Final = frozenset(b"date server".split())


class Passage:
    """Connections to one cell, none of which another cell's requests can use up.

    is_away: whether it is known not to answer.
    """

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.is_away = False
        self._lines = Lines(cell.url)
        self._silent_looks = 0
        self._under_way: Counter[str] = Counter()

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._lines.close()

    async def watch(self) -> None:
        """Look once a second whether the cell answers, until canceled.

        Raises the last of too many defects in a row.
        """
        looks = SupervisedLoop(f"cell {self.cell.name}", every_seconds=_LOOK_SECONDS)
        while True:
            with looks.step():
                await self.look()
                self._lines.tidy()
            await anyio.sleep(looks.pause_seconds)

    async def look(self, *, seconds: float = _LOOK_ANSWER_SECONDS) -> None:
        """Look once; of a cell that is there and silent, a few looks in a row say that it is away.

        seconds: that an answer may take.
        """
        try:
            answered = await self._lines.look(seconds=seconds)
        except CellUnreachable:
            self._note(away=True)
            return
        # Whoever gets answers to requests meanwhile counts from the beginning.
        self._silent_looks = 0 if answered else self._silent_looks + 1
        if answered or self._silent_looks >= _SILENT_LOOKS:
            self._note(away=not answered)

    async def carry(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a request to the cell and its answer to the client; stop when the client leaves.

        scope: of a request whose target begins with a slash and whose body has one length.
        Raises CellAway while nothing was answered, ClientDisconnect, MalformedRequest when a body
        does not go on, and CellLeft when the cell goes away in the midst of its answer.
        """
        if self.is_away:
            raise CellAway("it is known not to answer")
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
        client = network_of(Request(scope).client)
        if self._under_way[client] >= _REQUESTS_OF_ONE_CLIENT:
            raise CellAway(f"{_REQUESTS_OF_ONE_CLIENT} requests of this client are under way")
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


async def _exchange(line: Line, request: Request, body_read: anyio.Event, send: Send) -> None:
    scope = request.scope
    headers = _passed_on(scope["headers"], but=_FORWARDED)
    if scope["client"] is not None:
        headers.append((b"x-forwarded-for", scope["client"][0].encode()))
    headers.append((b"x-forwarded-proto", scope["scheme"].encode()))
    names = {name for name, _ in scope["headers"]}
    if b"transfer-encoding" in names:
        headers.append((b"transfer-encoding", b"chunked"))
    body = _body(request, body_read) if names & _OF_A_BODY else None
    if body is None:
        body_read.set()
    # To the letter: what is written otherwise may mean otherwise.
    target = scope["raw_path"] + _query(scope["query_string"])
    try:
        await line.send(scope["method"], target, headers, body)
        head = await line.head()
    except CellLeft as error:
        raise CellAway(str(error)) from error
    answered = _passed_on(head.headers, but=_OF_THE_SERVER)
    if head.status_code == HTTPStatus.NO_CONTENT:
        # Of what has no content, none has a length.  Source: RFC 9110, 8.6.
        answered = [one for one in answered if one[0] != b"content-length"]
    await send({"type": "http.response.start", "status": head.status_code, "headers": answered})
    async for piece in line.pieces():
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body"})


async def _body(request: Request, read: anyio.Event) -> AsyncGenerator[bytes, None]:
    async for piece in in_time(request.stream(), seconds=_SILENT_SECONDS):
        yield piece
    read.set()


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
