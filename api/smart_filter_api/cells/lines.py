"""Connections to one cell: a request out, its answer in, and the same again for the next.

By h11, as our server: what one of them takes for the end of a request, the other does too. A
general client (httpx) took as much of a core as all the rest of a router together.
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

import anyio
import h11

from smart_filter_shared.errors import TryAgain

Headers = list[tuple[bytes, bytes]]

# Each of whoever follows a job is one, for as long as that takes.
CONNECTIONS: Final = 1000
_CONNECT_SECONDS = 2.0
# As the API gives whoever sends a body.
_SILENT_SECONDS = 20.0
# Longer than a cell keeps any client waiting: 300 s at most, those of remove.bg.
_ANSWER_SECONDS = 330.0
_IDLE_CONNECTIONS = 50
# The API closes what was idle for 5 s; a request must not meet that.
_IDLE_SECONDS = 2.0
# A cell without such manners, or a balancer before it, gets the body unasked.
# Source: RFC 9110, 10.1.1: nobody need wait for that endlessly.
_WANTED_SECONDS = 1.0
# Source: RFC 9110, 15: others are invalid; our own server sends none of them.
_LAST_STATUS = 599
_PIECE_BYTES = 64 * 1024
_PORTS: Final = {"http": 80, "https": 443}


class CellAway(TryAgain):
    """A cell fell silent or left before it answered, or has all the requests that it may have."""

    code = "unavailable"


class CellUnreachable(CellAway):
    """Nobody is where the cell should be: connections are refused, or broken off."""


class CellLeft(TryAgain):
    """The connection to a cell broke, or nothing came by it."""


class Lines:
    """Connections to one cell, so many at most; for one event loop.

    url: `http(s)://host[:port]`.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._place = (parts.hostname, parts.port or _PORTS[parts.scheme])
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._room = anyio.Semaphore(CONNECTIONS, fast_acquire=True)
        # The one that was used last is the last.
        self._idle: list[Line] = []

    @asynccontextmanager
    async def free(self) -> AsyncIterator["Line"]:
        """Give a connection that nobody else has.  Raises CellAway, CellUnreachable."""
        try:
            with anyio.fail_after(_CONNECT_SECONDS):
                await self._room.acquire()
        except TimeoutError as error:
            raise CellAway(f"{CONNECTIONS} requests to it are under way") from error
        try:
            line = self._rested() or await self._opened()
            try:
                yield line
            finally:
                if line.ends_well():
                    self._idle.append(line)
                else:
                    line.close()
        finally:
            self._room.release()

    async def look(self, *, seconds: float) -> bool:
        """Return whether the cell answers in time, by one connection more than requests have.

        Raises CellUnreachable when nobody is there, which silence does not say.
        """
        try:
            line = await self._opened()
        except CellUnreachable:
            raise
        except CellAway:
            return False
        with anyio.move_on_after(seconds):
            try:
                # Whatever the host: a balancer before several APIs may have none of its own.
                await line.send("GET", b"/livez", [(b"host", str(self._place[0]).encode())], None)
                status = (await line.head()).status_code
            except CellLeft as error:
                raise CellUnreachable(str(error)) from error
            finally:
                line.close()
            if status >= 500:  # noqa: PLR2004
                raise CellUnreachable(f"a balancer answers {status}: nobody stands behind it")
            return True
        return False

    def tidy(self) -> None:
        """Close what is not to be used again, and what is too much."""
        kept = [line for line in self._idle if line.is_fresh()][-_IDLE_CONNECTIONS:]
        for line in self._idle:
            if line not in kept:
                line.close()
        self._idle = kept

    def close(self) -> None:
        """Close all that is idle."""
        while self._idle:
            self._idle.pop().close()

    def _rested(self) -> "Line | None":
        while self._idle:
            line = self._idle.pop()
            if line.is_fresh():
                return line
            line.close()
        return None

    async def _opened(self) -> "Line":
        host, port = self._place
        try:
            with anyio.fail_after(_CONNECT_SECONDS):
                reader, writer = await asyncio.open_connection(host, port, ssl=self._tls)
        except TimeoutError as error:
            # Busy, as far as anybody can tell.
            raise CellAway(f"it took no connection for {_CONNECT_SECONDS:g} s") from error
        except OSError as error:
            raise CellUnreachable(type(error).__name__) from error
        return Line(reader, writer)


class Line:
    """One connection, with one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._talk = h11.Connection(h11.CLIENT)
        self._rested_at = 0.0
        self._answer: h11.Response | None = None
        # Set when the cell has asked for the body, of a client who waits for that.
        self._wanted = asyncio.Event()
        # Always under way: so an answer that comes before the request has ended is not lost, and
        # whatever comes while nothing was asked is nobody's answer.
        self._reading = asyncio.ensure_future(reader.read(_PIECE_BYTES))

    async def send(
        self, method: str, target: bytes, headers: Headers, body: AsyncGenerator[bytes, None] | None
    ) -> None:
        """Send a request, until the cell answers: what is wrong with a body is told before its end.

        headers: with what ends the body, if there is one.  Raises what the body raises, CellLeft.
        """
        self._answer = None
        self._wanted.clear()
        head = self._talk.send(h11.Request(method=method, target=target, headers=headers))
        if body is None:
            await self._write(head + self._talk.send(h11.EndOfMessage()))
            return
        await self._write(head)

        async def stop_when_answered() -> None:
            with contextlib.suppress(CellLeft):  # `head` tells it again
                await self.head(seconds=None)
            tasks.cancel_scope.cancel()

        failure: Exception | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stop_when_answered)
            try:
                await self._send_body(body)
            except Exception as error:  # noqa: BLE001 - raised below; a task group would wrap it
                failure = error
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def head(self, *, seconds: float | None = _ANSWER_SECONDS) -> h11.Response:
        """Return the status and headers of the answer; may be asked again.

        seconds: of silence until the cell is given up.  Raises CellLeft.
        """
        while self._answer is None:
            event = await self._next(seconds)
            if isinstance(event, h11.InformationalResponse):
                self._wanted.set()
            elif isinstance(event, h11.Response) and event.status_code <= _LAST_STATUS:
                self._answer = event
            else:
                raise CellLeft(f"no answer of HTTP: {type(event).__name__}")
        return self._answer

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the answer's content as it comes.  Raises CellLeft when it breaks off."""
        while isinstance(event := await self._next(), h11.Data):
            yield bytes(event.data)

    def ends_well(self) -> bool:
        """Whether all was sent and all has come, so that another request may follow."""
        is_over = self._talk.our_state is self._talk.their_state is h11.DONE
        if not is_over or self._talk.trailing_data[0] or self._reading.done():
            return False
        self._talk.start_next_cycle()
        self._rested_at = time.monotonic()
        return True

    def is_fresh(self) -> bool:
        """Whether another request may follow still."""
        return not self._reading.done() and time.monotonic() < self._rested_at + _IDLE_SECONDS

    def close(self) -> None:
        """Close it, whatever is under way."""
        if not self._reading.cancel() and not self._reading.cancelled():
            self._reading.exception()  # else it is said that nobody has looked at it
        self._writer.transport.abort()

    async def _send_body(self, body: AsyncGenerator[bytes, None]) -> None:
        async with aclosing(body):
            if self._talk.client_is_waiting_for_100_continue:
                with anyio.move_on_after(_WANTED_SECONDS):
                    await self._wanted.wait()
            async for piece in body:
                await self._write(self._talk.send(h11.Data(data=piece)))
        await self._write(self._talk.send(h11.EndOfMessage()))

    async def _write(self, piece: bytes) -> None:
        self._writer.write(piece)
        try:
            with anyio.fail_after(_SILENT_SECONDS):
                await self._writer.drain()
        except TimeoutError as error:
            raise CellLeft("it takes nothing") from error
        except OSError:
            # It may have answered before it left.
            await asyncio.wait([self._reading])

    async def _next(self, seconds: float | None = _ANSWER_SECONDS) -> object:
        try:
            while (event := self._talk.next_event()) is h11.NEED_DATA:
                # Whoever no longer waits must not cancel it: `wait` does not.
                await asyncio.wait([self._reading], timeout=seconds)
                if not self._reading.done():
                    raise CellLeft(f"nothing came for {_ANSWER_SECONDS:g} s")
                piece = self._reading.result()
                if piece:
                    self._reading = asyncio.ensure_future(self._reader.read(_PIECE_BYTES))
                self._talk.receive_data(piece)
        except (OSError, h11.ProtocolError) as error:
            raise CellLeft(type(error).__name__) from error
        return event
