"""A pool of HTTP/1.1 connections to one cell, each for one request at a time.

It parses with h11, as our server does, so both agree on where a request ends. A general client
(httpx) used as much CPU as all the rest of a router together.
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

# Connections to one cell. A client that follows a job holds one until the job ends.
MAX_CONNECTIONS: Final = 1000
_CONNECT_TIMEOUT_SECONDS = 2.0
# The same time as the API gives a client that sends a body.
_WRITE_TIMEOUT_SECONDS = 20.0
# Longer than a cell keeps any client waiting: at most 300 s, for remove.bg clients.
_RESPONSE_TIMEOUT_SECONDS = 330.0
_MAX_IDLE_CONNECTIONS = 50
# The API closes connections that were idle for 5 s; a new request must not race with that.
_MAX_IDLE_SECONDS = 2.0
# Wait for `100 Continue`; after that the body is sent anyway, for cells or balancers that never
# send it.  Source: RFC 9110, 10.1.1: a client should not wait indefinitely.
_EXPECT_CONTINUE_SECONDS = 1.0
# Source: RFC 9110, 15: higher status codes are invalid; our own server sends none.
_MAX_STATUS = 599
_CHUNK_BYTES = 64 * 1024
_PORTS: Final = {"http": 80, "https": 443}


class CellUnavailable(TryAgain):
    """A cell did not answer, closed the connection first, or has its maximum of requests."""

    code = "unavailable"


class CellUnreachable(CellUnavailable):
    """No cell answers at the address: connections are refused or broken off."""


class CellConnectionLost(TryAgain):
    """The connection to a cell broke, or timed out."""


class ConnectionPool:
    """At most MAX_CONNECTIONS connections to one cell; for one event loop.

    url: `http(s)://host[:port]`.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._place = (parts.hostname, parts.port or _PORTS[parts.scheme])
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._room = anyio.Semaphore(MAX_CONNECTIONS, fast_acquire=True)
        # In order of last use; the most recent is the last.
        self._idle: list[CellConnection] = []

    @asynccontextmanager
    async def free(self) -> AsyncIterator["CellConnection"]:
        """Yield a free connection for exclusive use.  Raises CellUnavailable, CellUnreachable."""
        try:
            with anyio.fail_after(_CONNECT_TIMEOUT_SECONDS):
                await self._room.acquire()
        except TimeoutError as error:
            raise CellUnavailable(
                f"the cell has {MAX_CONNECTIONS} requests, the maximum"
            ) from error
        try:
            line = self._pop_idle() or await self._opened()
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
        """Return whether the cell answers in time, on a connection outside the pool's limit.

        Raises CellUnreachable when no server is there; a time-out alone does not prove that.
        """
        try:
            line = await self._opened()
        except CellUnreachable:
            raise
        except CellUnavailable:
            return False
        with anyio.move_on_after(seconds):
            try:
                # The host does not matter: a balancer before several APIs may not have one.
                await line.send("GET", b"/livez", [(b"host", str(self._place[0]).encode())], None)
                status = (await line.head()).status_code
            except CellConnectionLost as error:
                raise CellUnreachable(str(error)) from error
            finally:
                line.close()
            if status >= 500:  # noqa: PLR2004
                raise CellUnreachable(f"a balancer answers {status}: no API server is behind it")
            return True
        return False

    def tidy(self) -> None:
        """Close idle connections that are too old, or more than the pool keeps."""
        kept = [line for line in self._idle if line.is_fresh()][-_MAX_IDLE_CONNECTIONS:]
        for line in self._idle:
            if line not in kept:
                line.close()
        self._idle = kept

    def close(self) -> None:
        """Close all idle connections."""
        while self._idle:
            self._idle.pop().close()

    def _pop_idle(self) -> "CellConnection | None":
        while self._idle:
            line = self._idle.pop()
            if line.is_fresh():
                return line
            line.close()
        return None

    async def _opened(self) -> "CellConnection":
        host, port = self._place
        try:
            with anyio.fail_after(_CONNECT_TIMEOUT_SECONDS):
                reader, writer = await asyncio.open_connection(host, port, ssl=self._tls)
        except TimeoutError as error:
            # A time-out may only mean that the cell is busy.
            raise CellUnavailable(
                f"the cell accepted no connection for {_CONNECT_TIMEOUT_SECONDS:g} s"
            ) from error
        except OSError as error:
            raise CellUnreachable(type(error).__name__) from error
        return CellConnection(reader, writer)


class CellConnection:
    """One connection to a cell, for one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._talk = h11.Connection(h11.CLIENT)
        self._rested_at = 0.0
        self._answer: h11.Response | None = None
        # Set when the cell sent `100 Continue`, for clients that wait for it.
        self._wanted = asyncio.Event()
        # Always keep a read pending: early responses are not lost, and unsolicited bytes are
        # detected.
        self._reading = asyncio.ensure_future(reader.read(_CHUNK_BYTES))

    async def send(
        self, method: str, target: bytes, headers: Headers, body: AsyncGenerator[bytes, None] | None
    ) -> None:
        """Send a request; stop when the cell answers, since it may reject a body before its end.

        headers: include Content-Length or Transfer-Encoding if there is a body.
        Raises CellConnectionLost, and the errors of the body's iterator.
        """
        self._answer = None
        self._wanted.clear()
        head = self._talk.send(h11.Request(method=method, target=target, headers=headers))
        if body is None:
            await self._write(head + self._talk.send(h11.EndOfMessage()))
            return
        await self._write(head)

        async def stop_when_answered() -> None:
            with contextlib.suppress(CellConnectionLost):  # `head` raises it again
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

    async def head(self, *, seconds: float | None = _RESPONSE_TIMEOUT_SECONDS) -> h11.Response:
        """Return the status and headers of the answer; later calls return the same.

        seconds: time-out for each read.  Raises CellConnectionLost.
        """
        while self._answer is None:
            event = await self._next(seconds)
            if isinstance(event, h11.InformationalResponse):
                self._wanted.set()
            elif isinstance(event, h11.Response) and event.status_code <= _MAX_STATUS:
                self._answer = event
            else:
                raise CellConnectionLost(f"not an HTTP response: {type(event).__name__}")
        return self._answer

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the answer's content as it arrives.  Raises CellConnectionLost."""
        while isinstance(event := await self._next(), h11.Data):
            yield bytes(event.data)

    def ends_well(self) -> bool:
        """Whether request and response are complete, so that another request may follow."""
        is_over = self._talk.our_state is self._talk.their_state is h11.DONE
        if not is_over or self._talk.trailing_data[0] or self._reading.done():
            return False
        self._talk.start_next_cycle()
        self._rested_at = time.monotonic()
        return True

    def is_fresh(self) -> bool:
        """Whether the connection is still open and has not been idle for too long."""
        return not self._reading.done() and time.monotonic() < self._rested_at + _MAX_IDLE_SECONDS

    def close(self) -> None:
        """Close the connection at once, even during a request."""
        if not self._reading.cancel() and not self._reading.cancelled():
            self._reading.exception()  # else asyncio logs an exception that was never retrieved
        self._writer.transport.abort()

    async def _send_body(self, body: AsyncGenerator[bytes, None]) -> None:
        async with aclosing(body):
            if self._talk.client_is_waiting_for_100_continue:
                with anyio.move_on_after(_EXPECT_CONTINUE_SECONDS):
                    await self._wanted.wait()
            async for piece in body:
                await self._write(self._talk.send(h11.Data(data=piece)))
        await self._write(self._talk.send(h11.EndOfMessage()))

    async def _write(self, piece: bytes) -> None:
        self._writer.write(piece)
        try:
            with anyio.fail_after(_WRITE_TIMEOUT_SECONDS):
                await self._writer.drain()
        except TimeoutError as error:
            raise CellConnectionLost(
                f"the cell read nothing for {_WRITE_TIMEOUT_SECONDS:g} s"
            ) from error
        except OSError:
            # The cell may have answered before it closed the connection.
            await asyncio.wait([self._reading])

    async def _next(self, seconds: float | None = _RESPONSE_TIMEOUT_SECONDS) -> object:
        try:
            while (event := self._talk.next_event()) is h11.NEED_DATA:
                # `wait` does not cancel the read when this task is canceled or times out.
                await asyncio.wait([self._reading], timeout=seconds)
                if not self._reading.done():
                    raise CellConnectionLost(
                        f"the cell sent nothing for {_RESPONSE_TIMEOUT_SECONDS:g} s"
                    )
                piece = self._reading.result()
                if piece:
                    self._reading = asyncio.ensure_future(self._reader.read(_CHUNK_BYTES))
                self._talk.receive_data(piece)
        except (OSError, h11.ProtocolError) as error:
            raise CellConnectionLost(type(error).__name__) from error
        return event
