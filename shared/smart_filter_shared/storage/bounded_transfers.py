"""An HTTP connection pool whose transfers have a time limit that grows with what they move.

urllib3 limits each wait for the next bytes. A server that sends a byte now and then passes that
limit for ever, in headers as in bodies. Here the waits of one request count together. Pauses of
the reader, such as a slow client of the API, do not count.
"""

import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

# Bytes that are sent at once; the limit is checked after each piece.
_PIECE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class TransferLimits:
    """Limits of one request.

    connect_seconds: for the connection.  silence_seconds: for one wait.
    seconds: for all waits together; what is moved adds its time at `slowest_bytes` per second,
        which is below the speed of any network that serves photos.
    idle_seconds: a connection that has moved nothing for longer is not used again. It may be frozen
        since then, and the frozen connections of several processes would delay a job one by one.
    """

    connect_seconds: float = 2.0
    silence_seconds: float = 10.0
    seconds: float = 20.0
    slowest_bytes: float = 64 * 1024.0
    idle_seconds: float = 5.0


class BoundedPool(urllib3.PoolManager):
    """A pool manager without retries whose requests have limits."""

    def __init__(self, *, connections: int, limits: TransferLimits) -> None:
        context = ssl.create_default_context()
        context.sslsocket_class = _TlsSocket
        super().__init__(
            maxsize=connections,
            timeout=urllib3.Timeout(connect=limits.connect_seconds, read=limits.silence_seconds),
            retries=urllib3.Retry(0, redirect=0),
            ssl_context=context,
        )
        self.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
        self._limits = limits

    def _new_pool(
        self,
        scheme: str,
        host: str,
        port: int,
        request_context: dict[str, Any] | None = None,  # as in urllib3
    ) -> HTTPConnectionPool:
        pool = super()._new_pool(scheme, host, port, request_context)
        pool.conn_kw["limits"] = self._limits
        return pool


class _Socket(socket.socket):
    """A socket whose waits for its peer count together from `begin`."""

    _limits: TransferLimits | None = None  # none during a TLS handshake, which is connecting
    _left_seconds = 0.0
    moved_at = 0.0  # on the monotonic clock

    def begin(self, limits: TransferLimits) -> None:
        """Begin a request."""
        self._limits = limits
        self._left_seconds = limits.seconds
        self.moved_at = time.monotonic()

    def recv_into(self, *what: Any) -> int:  # noqa: ANN401 - as the socket's
        """Receive bytes; `http.client` reads through this.  Raises TimeoutError."""
        return self._wait(super().recv_into, *what)

    def sendall(self, data: Any, flags: int = 0) -> None:  # noqa: ANN401 - as the socket's
        """Send bytes.  Raises TimeoutError."""
        left = memoryview(data).cast("B")
        while left:
            left = left[self._wait(super().send, left[:_PIECE_BYTES], flags) :]

    def _wait(self, move: Callable[..., int], *what: object) -> int:
        limits = self._limits
        if limits is None:
            return move(*what)
        if self._left_seconds <= 0:
            raise TimeoutError("the transfer takes too long")
        self.settimeout(min(limits.silence_seconds, self._left_seconds))
        began = time.monotonic()
        moved = move(*what)
        self.moved_at = time.monotonic()
        self._left_seconds += moved / limits.slowest_bytes - (self.moved_at - began)
        return moved


class _TlsSocket(_Socket, ssl.SSLSocket):
    """The same for https."""


class _Connection(HTTPConnection):
    """A connection each of whose requests has limits."""

    def __init__(
        self,
        *arguments: Any,  # noqa: ANN401 - as in urllib3
        limits: TransferLimits,
        **options: Any,  # noqa: ANN401 - as in urllib3
    ) -> None:
        super().__init__(*arguments, **options)
        self._limits = limits

    def _new_conn(self) -> socket.socket:
        connected = super()._new_conn()
        timeout = connected.gettimeout()
        bounded = _Socket(fileno=connected.detach())
        bounded.settimeout(timeout)
        return bounded

    @property
    def is_connected(self) -> bool:
        """Whether the pool may use this connection again."""
        if not isinstance(self.sock, _Socket):
            return super().is_connected
        idle_seconds = time.monotonic() - self.sock.moved_at
        return idle_seconds <= self._limits.idle_seconds and super().is_connected

    def connect(self) -> None:
        """Connect, and begin the request that needs the connection."""
        super().connect()
        self._begin()

    def request(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - as in urllib3
        """Begin a request on an open connection, or on one that this opens."""
        self._begin()
        super().request(*arguments, **options)

    def _begin(self) -> None:
        if isinstance(self.sock, _Socket):  # it may not be open yet
            self.sock.begin(self._limits)


class _TlsConnection(_Connection, HTTPSConnection):
    """The same for https."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection
