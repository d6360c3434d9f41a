"""The SSRF guard: looks up host names and checks where this machine may connect for clients.

A name is looked up once per connection, and the connection goes to an address of that very
answer. If one component checked the name and another connected to it, the name would be looked up
twice, and its DNS server could answer `8.8.8.8` first and `127.0.0.1` next ("DNS rebinding").

The only way out: connections to checked addresses, within one time limit.

It stands below HTTP, where httpcore requests a connection to a host by name. Writing the checked
address into the URL instead would mean to restore three things by hand: the `Host` header, the
name in the TLS handshake, and the name that the certificate must match. One forgotten name is a
certificate that is not checked. Here no code above can reach an unchecked address, neither by a
redirect nor by a later change.
"""

import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import httpcore

from smart_filter_shared.config.settings import OutboundSettings
from smart_filter_shared.errors import PhotoUnreachable, PictureTemporarilyUnreachable
from smart_filter_shared.security.outbound_rules import (
    ALLOWED_PORTS,
    SETTING,
    IpAddress,
    OutboundRules,
    parse_address,
)

# Returns the IP addresses of a host's name; none when there is no such name. Raises OSError.
Resolve = Callable[[str], Sequence[str]]

# Limit per address, so that an unresponsive one leaves time for the host's other addresses.
_CONNECT_SECONDS: Final = 3.0
_MAX_ADDRESSES: Final = 4

# Connects to an IP address and port within the given seconds; raises httpcore's errors.
Dial = Callable[[str, int, float], httpcore.NetworkStream]


def permit(rules: OutboundRules, host: str, port: int, answers: Sequence[str]) -> list[IpAddress]:
    """Return the addresses to which a connection to a host may go; none if it is not public.

    answers: the IP addresses of its name.  The result does not reveal whether a name exists that is
    not public.
    """
    return rules.permit(host, port, _parse_addresses(answers))


class SsrfGuard:
    """Decides which IP addresses of a host may be connected to; safe for threads.

    outbound: the non-public hosts that the operator allows.
    """

    def __init__(self, outbound: OutboundSettings, resolve: Resolve) -> None:
        self._rules = OutboundRules(outbound.allow)
        self._resolve = resolve

    def addresses(self, host: str, port: int, *, seconds: float) -> list[IpAddress]:
        """Look up a host, and return the addresses that `permit` permits.

        seconds: the time limit of the lookup.
        Raises PictureTemporarilyUnreachable when it takes longer, or no name server answers.
        """
        return permit(self._rules, host, port, self._answers(host, seconds))

    def _answers(self, host: str, seconds: float) -> Sequence[str]:
        if parse_address(host) is not None:
            return [host]
        # getaddrinfo has no time limit: a thread waits for it, and is abandoned when it is late.
        answers: queue.SimpleQueue[Sequence[str] | OSError] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answers.put(self._resolve(host))
            except OSError as error:
                answers.put(error)

        threading.Thread(target=ask, name="look-up", daemon=True).start()
        try:
            answer = answers.get(timeout=max(0.0, seconds))
        except queue.Empty:
            raise PictureTemporarilyUnreachable(
                "the name of its host was not looked up in time"
            ) from None
        if isinstance(answer, OSError):
            raise PictureTemporarilyUnreachable(
                "the name of its host cannot be looked up now"
            ) from answer
        return answer


def resolve_host(host: str) -> Sequence[str]:
    """Return the IP addresses of a name, by this machine's resolver; none if there are none.

    Raises OSError when no name server answers now.
    """
    try:
        places = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise
        return []
    except UnicodeError:  # a label that is too long for the codec
        return []
    return list(dict.fromkeys(str(place[0]) for *_, place in places))


def _parse_addresses(answers: Sequence[str]) -> list[IpAddress]:
    """Return the parsed addresses; if one is invalid, return none."""
    addresses = [parse_address(answer) for answer in answers]
    return [] if None in addresses else [address for address in addresses if address is not None]


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
