"""Configure and run the HTTP server, with its limits for unauthenticated clients.

Requests that are not valid HTTP are answered with a problem document, like every other error.
"""

import asyncio
import socket
import sys
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.lifespan.on import LifespanOn
from uvicorn.protocols.http.h11_impl import H11Protocol

from smart_filter_api.http.documents import encode
from smart_filter_api.problems import problem as problems_problem
from smart_filter_shared.errors import FieldError
from smart_filter_shared.http_servers import SAFE_HEADERS, start_listening
from smart_filter_shared.security.strict_heads import RequestFault, StrictConnection
from smart_filter_shared.supervision import Watchdog
from smart_filter_shared.telemetry import logs

# Time for open requests at shutdown.
_SHUTDOWN_SECONDS = 5

_CODE: Final = "malformed_request"
# Size limit of a request's line and headers that are not complete; what one read completes passes.
_MAX_HEAD_BYTES: Final = 64 * 1024
# The same time-out as for a body; a request line and headers arrive in one or two packets.
_HEAD_TIMEOUT_SECONDS: Final = 20.0
# Connections of a process whose head is not complete, at most. With 64 KiB each they take 32 MiB.
# A client that sends its head in a packet or two is not among the oldest.
_UNFINISHED_HEADS: Final = 512
_DETAIL: Final = "not a valid HTTP/1.1 request: its first line, headers or length are malformed"
# A proxy that reads the other length would take the rest of the body for the next request.
# Source: RFC 9112, section 6.1.
_LENGTHS: Final = frozenset({b"content-length", b"transfer-encoding"})
_LENGTHS_DETAIL: Final = "a request has Content-Length or Transfer-Encoding, not both"
# Chunks of a body that may be smaller than the least size, in a row or with larger ones between
# them. Uvicorn handles each chunk by itself, all that were received at a time before anything else.
_SMALL_CHUNKS: Final = 1000
_CHUNK_BYTES: Final = 64
_CHUNK_DETAIL: Final = (
    f"the chunks of the body are too small: send {_CHUNK_BYTES} bytes or more in each, or a"
    " Content-Length"
)
# The least that a client takes of its answer in these seconds. A slow client can seem to take
# nothing for some seconds: the kernel accepts more bytes when a third of its buffer is free.
_READ_SECONDS: Final = 60.0
_READ_BYTES: Final = 60_000
# Bytes read of a body after its answer, and for how long: a client that still writes would lose
# the answer when the connection ends. Enough for five pictures of the largest size.
_REST_SECONDS: Final = 30.0
_REST_BYTES: Final = 200_000_000


def build_config(
    app: ASGIApp,
    *,
    port: int = 0,
    trusted_proxies: Sequence[str] = (),
    tls_certificate: Path | None = None,
    tls_key: Path | None = None,
) -> uvicorn.Config:
    """Return the uvicorn configuration for the application.

    trusted_proxies: addresses and networks whose X-Forwarded-For and X-Forwarded-Proto count;
        empty: uvicorn's default, FORWARDED_ALLOW_IPS or 127.0.0.1.
    tls_certificate, tls_key: PEM files, for https instead of http.
    """
    return uvicorn.Config(
        app,
        port=port,
        ssl_certfile=tls_certificate,
        ssl_keyfile=tls_key,
        # httptools, uvicorn's faster parser, takes 60 µs less for a request, but takes heads of any
        # size and with two hosts, and drops the body of a request that offers an upgrade, as those
        # of Java's HttpClient do.
        http=StrictH11Protocol,
        # Live workers speak WebSocket; here an upgrade is a request like any other.
        ws="none",
        forwarded_allow_ips=list(trusted_proxies) or None,
        access_log=False,
        log_config=None,  # keep the logging set up by the process
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )


class Server(uvicorn.Server):
    """A server that stops when a long-lived task of its application has failed.

    uvicorn itself would continue to accept requests that can no longer be answered.
    end_waits: called before open requests must end, to answer those that wait.
    watchdog: ends the process when the event loop is stuck; None: nothing does.
    has_failed: whether the application's lifespan ended while requests were served.
    """

    has_failed = False

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        end_waits: Callable[[], None],
        watchdog: Watchdog | None = None,
    ) -> None:
        super().__init__(config)
        self._end_waits = end_waits
        self._watchdog = watchdog

    async def on_tick(self, counter: int) -> bool:
        """Return whether to stop; uvicorn calls this ten times a second."""
        if self._watchdog is not None:
            self._watchdog.feed()
        lifespan = self.lifespan
        self.has_failed = isinstance(lifespan, LifespanOn) and lifespan.shutdown_event.is_set()
        return self.has_failed or await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the listening sockets, answer open requests, and end the application."""
        if self._watchdog is not None:
            self._watchdog.allow()
        self._end_waits()
        await super().shutdown(sockets)


def serve(
    config: uvicorn.Config,
    listening: Sequence[socket.socket],
    *,
    end_waits: Callable[[], None],
) -> None:
    """Serve on bound sockets until a signal stops the server.

    end_waits: as for `Server`.  Exits with status 1 when the application fails.
    Raises SetupFailed when another process listens there.
    """
    for listener in listening:
        start_listening(listener, config.backlog)
    watchdog = Watchdog()
    server = Server(config, end_waits=end_waits, watchdog=watchdog)
    watchdog.allow()
    server.run(sockets=list(listening))
    watchdog.stop()
    if server.has_failed:
        sys.exit(1)


class _Connection(StrictConnection):
    """The state of a connection, which takes no bodies of two lengths or of many tiny chunks.

    fault: why the next event was refused, for the client.
    """

    fault = _DETAIL
    _small_chunks_left = 0.0

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """Return the next event.  Raises h11.RemoteProtocolError."""
        try:
            event = super().next_event()
        except RequestFault as fault:
            self.fault = str(fault)
            raise
        if isinstance(event, h11.Request):
            self._small_chunks_left = _SMALL_CHUNKS
            if {name for name, _ in event.headers} >= _LENGTHS:
                self.fault = _LENGTHS_DETAIL
                raise h11.RemoteProtocolError(self.fault)
        elif isinstance(event, h11.Data):
            left = self._small_chunks_left - event.chunk_start + len(event.data) / _CHUNK_BYTES
            # Large chunks earn no more small ones than any body has.
            self._small_chunks_left = min(left, _SMALL_CHUNKS)
            if left < 0:
                self.fault = _CHUNK_DETAIL
                raise h11.RemoteProtocolError(self.fault)
        return event


class StrictH11Protocol(H11Protocol):
    """Uvicorn's h11 protocol, with a problem document for requests that h11 rejects.

    It also sets a deadline for heads, since an incomplete one would hold its connection forever,
    bounds their number, ends connections whose clients do not read, and reads the rest of bodies
    that were answered early.
    """

    # Connections of this process that wait for a head, oldest first.
    _awaiting_heads: ClassVar[dict["StrictH11Protocol", None]] = {}

    conn: _Connection
    _head_due: asyncio.TimerHandle | None = None
    _read_due: asyncio.TimerHandle | None = None
    _rest_due: asyncio.TimerHandle | None = None
    _rest_bytes_left = 0
    _transport: asyncio.Transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        """Start the deadline of the first head."""
        self._transport = transport
        staged = _StagedTransport(transport, self._close_in_stages)
        super().connection_made(staged)  # type: ignore[arg-type] # it has all methods of one
        self.conn = _Connection(_MAX_HEAD_BYTES)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Parse received bytes and update the deadlines."""
        if self._rest_due is not None:
            self._rest_bytes_left -= len(data)
            if self._rest_bytes_left < 0:
                self._stop_reading()
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._has_request_behind() and len(self.conn.trailing_data[0]) <= _MAX_HEAD_BYTES:
            # Uvicorn stops reading until the answer, and would not notice that the client leaves.
            self.flow.resume_reading()
        self._await_head()
        if not (self.transport.is_closing() or self._is_answered_early()):
            self._stop_expecting_rest()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the deadlines."""
        self.stop_awaiting_head()
        self._stop_expecting_reads()
        super().connection_lost(exc)
        self._stop_expecting_rest()

    def pause_writing(self) -> None:
        """Stop the application, whose client is behind, and expect the client to read."""
        super().pause_writing()
        self._expect_read()

    def resume_writing(self) -> None:
        """Let the application go on."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._stop_expecting_reads()

    def on_response_complete(self) -> None:
        """End the request; a connection that closes waits for its client to read the rest."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._expect_read()
        elif self._is_answered_early():
            self._expect_rest()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, as above."""
        super().timeout_keep_alive_handler()
        self._expect_read()

    def _unsupported_upgrade_warning(self) -> None:
        """Log nothing, where uvicorn advises operators to install a WebSocket library."""

    def _close_in_stages(self) -> None:
        """Close the connection, or only its sending side while the client may still write.

        To close it with unread bytes would reset it, and the client would lose the answer.
        Source: RFC 9112, 9.6.
        """
        if self.conn.their_state not in {h11.SEND_BODY, h11.ERROR}:
            self._transport.close()
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self.flow.resume_reading()
        self._expect_rest()

    def _has_request_behind(self) -> bool:
        """Whether bytes of another request follow a complete one that is not answered yet."""
        return self.conn.their_state is h11.DONE and self.conn.our_state is not h11.DONE

    def _is_answered_early(self) -> bool:
        return self.conn.our_state is h11.DONE and self.conn.their_state is h11.SEND_BODY

    def _expect_rest(self) -> None:
        if self._rest_due is None:
            self._rest_bytes_left = _REST_BYTES
            self._rest_due = self.loop.call_later(_REST_SECONDS, self._stop_reading)

    def _stop_expecting_rest(self) -> None:
        if self._rest_due is not None:
            self._rest_due.cancel()
            self._rest_due = None

    def _stop_reading(self) -> None:
        self._stop_expecting_rest()
        self._transport.close()

    def _expect_read(self) -> None:
        self._stop_expecting_reads()
        left = self.transport.get_write_buffer_size()
        self._read_due = self.loop.call_later(_READ_SECONDS, self._check_read, left)

    def _check_read(self, before: int) -> None:
        """Cut a connection that waits for more bytes than its client read; before: in bytes.

        Nothing is written meanwhile: the application waits, or the connection is closing.
        """
        left = self.transport.get_write_buffer_size()
        if left and before - left < _READ_BYTES:
            self.transport.abort()
        else:
            self._expect_read()

    def _stop_expecting_reads(self) -> None:
        if self._read_due is not None:
            self._read_due.cancel()
            self._read_due = None

    def _await_head(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self.stop_awaiting_head()
        elif self._head_due is None:
            self._head_due = self.loop.call_later(
                _HEAD_TIMEOUT_SECONDS, self.timeout_keep_alive_handler
            )
            self._awaiting_heads[self] = None
            if len(self._awaiting_heads) > _UNFINISHED_HEADS:
                oldest = next(iter(self._awaiting_heads))
                oldest.stop_awaiting_head()
                oldest.transport.abort()

    def stop_awaiting_head(self) -> None:
        """Cancel the deadline of the head, which is complete or no longer expected."""
        self._awaiting_heads.pop(self, None)
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - h11's message does not help clients
        """Answer and close the connection, since the start of the next request is unknown."""
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.close()  # an answer is on its way already
            self._expect_read()
            return
        request_id = str(uuid.uuid4())
        logs.logger("api").info("no_http", request_id=request_id)
        detail = self.conn.fault
        problem = problems_problem.build_problem(
            _CODE, detail, request_id, [FieldError("", detail)]
        )
        body = encode(problem, exclude_none=True)
        headers = {
            "Content-Type": problems_problem.MEDIA_TYPE,
            "Content-Length": str(len(body)),
            "Link": problems_problem.help_link(_CODE),
            "X-Request-Id": request_id,
            "Connection": "close",
            **dict(SAFE_HEADERS),
        }
        answer = h11.Response(status_code=400, headers=list(headers.items()), reason=b"Bad Request")
        for event in (answer, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event))
        self.transport.close()
        if self.cycle is not None:
            self.cycle.disconnected = True  # its application has no more to receive or to send
            self.cycle.message_event.set()


class _StagedTransport:
    """A transport whose `close` ends the connection in stages, and that then writes nothing."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self._transport = transport
        self._close = close
        self._is_closing = False

    def close(self) -> None:
        if not self.is_closing():
            self._is_closing = True
            self._close()

    def is_closing(self) -> bool:
        return self._is_closing or self._transport.is_closing()

    def write(self, data: bytes) -> None:
        if not self._is_closing:
            self._transport.write(data)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any attribute of a transport
        return getattr(self._transport, name)
