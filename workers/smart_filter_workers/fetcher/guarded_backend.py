"""The only way out: connections to checked addresses, within one time limit.

It stands below HTTP, where httpcore requests a connection to a host by name. Writing the checked
address into the URL instead would mean to restore three things by hand: the `Host` header, the
name in the TLS handshake, and the name that the certificate must match. One forgotten name is a
certificate that is not checked. Here no code above can reach an unchecked address, neither by a
redirect nor by a later change.
"""

import ssl
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import httpcore

from smart_filter_shared.errors import PhotoUnreachable
from smart_filter_shared.security.outbound_rules import ALLOWED_PORTS, SETTING
from smart_filter_workers.fetcher.ssrf_guard import SsrfGuard

# Limit per address, so that an unresponsive one leaves time for the host's other addresses.
_CONNECT_SECONDS: Final = 3.0
_MAX_ADDRESSES: Final = 4

# Connects to an IP address and port within the given seconds; raises httpcore's errors.
Dial = Callable[[str, int, float], httpcore.NetworkStream]


class Deadline:
    """A time limit that starts when it is made; on the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """The seconds left, 0 if none."""
        return max(0.0, self._ends_at - time.monotonic())

    def within(self, seconds: float | None) -> float:
        """Return the given seconds or those left.  Raises httpcore.ReadTimeout when none are."""
        left = self.left
        if not left:
            raise httpcore.ReadTimeout
        return left if seconds is None else min(seconds, left)


class GuardedBackend(httpcore.NetworkBackend):
    """Connects only to hosts that the guard permits, and never to a Unix socket."""

    def __init__(self, guard: SsrfGuard, deadline: Deadline, dial: Dial) -> None:
        self._guard = guard
        self._deadline = deadline
        self._dial = dial

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,  # noqa: ARG002 - httpcore's own signature
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        """Connect to one of a host's addresses, and return the stream.

        Raises PhotoUnreachable when none may be reached, PictureTemporarilyUnreachable, and
        httpcore's errors.
        """
        addresses = self._guard.addresses(host, port, seconds=self._deadline.left)
        if not addresses:
            at_port = "" if port in ALLOWED_PORTS else f" at port {port}"
            raise PhotoUnreachable(
                f"its host is not found on the public internet{at_port}; the server's setting "
                f"{SETTING} can allow it"
            )
        failed: Exception | None = None
        for address in addresses[:_MAX_ADDRESSES]:
            seconds = min(_CONNECT_SECONDS, self._deadline.within(timeout))
            try:
                return _DeadlineStream(self._dial(str(address), port, seconds), self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise httpcore.ConnectError from failed


def dial(address: str, port: int, seconds: float) -> httpcore.NetworkStream:
    """Connect to an IP address.  Raises httpcore.ConnectError and ConnectTimeout."""
    return httpcore.SyncBackend().connect_tcp(address, port, timeout=seconds)


class _DeadlineStream(httpcore.NetworkStream):
    """A stream with a deadline: many short waits must not add up to a long one."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.within(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.within(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        seconds = self._deadline.within(timeout)
        return _DeadlineStream(
            self._stream.start_tls(ssl_context, server_hostname, seconds), self._deadline
        )

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - httpcore's own signature
        return self._stream.get_extra_info(info)
