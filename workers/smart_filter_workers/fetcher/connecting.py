"""The only way out: connections to checked addresses, within one limit of time.

It stands below HTTP, where httpcore asks for a connection to a host by name. The address is
not written into the URL instead: the `Host` header, the name that TLS announces and the name
that a certificate must bear would all have to be put back by hand, and what is forgotten once
is a certificate that nobody checks. Here no code above can reach what was not checked, be it
by a redirect or by a change of ours.
"""

import ssl
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import httpcore

from smart_filter_shared.errors import PhotoUnreachable
from smart_filter_workers.fetcher.guard import PORTS, Guard

# One address that swallows what it is sent must not use up the time of its neighbours.
_CONNECT_SECONDS: Final = 3.0
_MOST_ADDRESSES: Final = 4

# Connects to an IP address and port within so many seconds; raises httpcore's errors.
Dial = Callable[[str, int, float], httpcore.NetworkStream]


class Deadline:
    """When something is to have ended, from now on; by the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Return how many seconds are left, 0 when none are."""
        return max(0.0, self._ends_at - time.monotonic())

    def within(self, seconds: float | None) -> float:
        """Return so many seconds, or what is left.  Raises httpcore.ReadTimeout when none is."""
        left = self.left
        if not left:
            raise httpcore.ReadTimeout
        return left if seconds is None else min(seconds, left)


class GuardedBackend(httpcore.NetworkBackend):
    """Connects to hosts as the guard says, and never to a Unix socket."""

    def __init__(self, guard: Guard, deadline: Deadline, dial: Dial) -> None:
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
        """Connect to one of a host's addresses.

        Raises PhotoUnreachable when none may be reached, PictureLate, and httpcore's errors.
        """
        addresses = self._guard.addresses(host, port, seconds=self._deadline.left)
        if not addresses:
            at_port = "" if port in PORTS else f" at port {port}"
            raise PhotoUnreachable(f"its host is not found on the public internet{at_port}")
        failed: Exception | None = None
        for address in addresses[:_MOST_ADDRESSES]:
            seconds = min(_CONNECT_SECONDS, self._deadline.within(timeout))
            try:
                return _Bounded(self._dial(str(address), port, seconds), self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise httpcore.ConnectError from failed


def dial(address: str, port: int, seconds: float) -> httpcore.NetworkStream:
    """Connect to an IP address.  Raises httpcore.ConnectError and ConnectTimeout."""
    return httpcore.SyncBackend().connect_tcp(address, port, timeout=seconds)


class _Bounded(httpcore.NetworkStream):
    """A stream that ends with its deadline: many short waits are not to be a long one."""

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
        return _Bounded(
            self._stream.start_tls(ssl_context, server_hostname, seconds), self._deadline
        )

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - httpcore's own signature
        return self._stream.get_extra_info(info)
