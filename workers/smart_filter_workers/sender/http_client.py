"""Send to receivers through the fetcher's guard, and decide the next step of each delivery.

Requests go only to public hosts, at checked addresses. httpcore is used for the same reasons as in
the fetcher: no proxy, no cookies, no redirects.
Source: Standard Webhooks 1.0.0, "Deliverability and reliability": its example of a schedule,
each time counted from the attempt before; success is 2xx, redirects are failures, 410 disables
the webhook, `Retry-After` is honored.
"""

import datetime as dt
import email.utils
import socket
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import aiodns
import aiodns.error
import anyio
import httpcore
import httpx

from smart_filter_shared.config.settings import OutboundSettings
from smart_filter_shared.errors import PictureTemporarilyUnreachable
from smart_filter_shared.security import outbound_rules, urls
from smart_filter_shared.security.outbound_rules import OutboundRules, parse_address
from smart_filter_shared.security.urls import WebUrl
from smart_filter_shared.webhooks.outbox import TEST_EVENT, DeliveryState
from smart_filter_workers.fetcher import ssrf_guard
from smart_filter_workers.fetcher.fetch import is_certificate_error

POST_TIMEOUT_SECONDS: Final = 15.0
MAX_ANSWER_BYTES: Final = 1024
# The body of an answer is only for the log and not worth a longer wait.
_ANSWER_SECONDS: Final = 2.0
_CONNECT_SECONDS: Final = 5.0
_MAX_ADDRESSES: Final = 4
# A name server is asked twice within _CONNECT_SECONDS.
_ASK_SECONDS: Final = 2.0
_ASKS: Final = 2
_NO_SUCH_NAME: Final = frozenset(
    {
        *(aiodns.error.ARES_ENOTFOUND, aiodns.error.ARES_ENODATA, aiodns.error.ARES_EBADNAME),
        *(aiodns.error.ARES_EBADQUERY, aiodns.error.ARES_ENONAME),
    }
)

# Returns the IP addresses of a host's name; none when there is no such name. Raises OSError when no
# name server answers.
ResolveAsync = Callable[[str], Awaitable[Sequence[str]]]

_MINUTE: Final = 60.0
_HOUR: Final = 3600.0
# The wait after each failed attempt; the first attempt is immediate. Three days in all.
WAITS_SECONDS: Final = (
    *(5.0, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR),
    *(5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR),
)
# Relative spread of the waits, so that deliveries that failed together do not repeat together.
_JITTER: Final = 0.2
_MAX_RETRY_AFTER_SECONDS: Final = 24 * _HOUR
_HTTP_GONE: Final = 410
# A receiver that takes longer counts as troubled, whatever it answers.
SLOW_SECONDS: Final = 5.0
_MAX_LANES: Final = 10_000


@dataclass(frozen=True, slots=True)
class EndpointAnswer:
    """The answer of a receiver.

    content: its first kilobyte.  retry_after: the unparsed header, or None.
    """

    status: int
    content: bytes
    retry_after: str | None = None


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """A receiver that gave no answer.

    why: a reason for the webhook's owner; it reveals nothing of our internal network.
    """

    why: str


class WebhookTransport(Protocol):
    """Sends to addresses that tenants have named."""

    async def post(
        self, url: str, *, headers: Mapping[str, str], body: bytes
    ) -> EndpointAnswer | NoAnswer:
        """Send a body and return the outcome, within the transport's own time limit."""
        ...


class NameResolver:
    """Looks up names with the hosts file and name servers; made in an event loop.

    servers: `address:port` of each name server; None: this machine's.
    It takes no threads: getaddrinfo would hold one for as long as a name server is silent, and a
    tenant could name as many such hosts as the process may have threads.
    """

    def __init__(self, servers: Sequence[str] | None = None) -> None:
        self._channel = aiodns.DNSResolver(servers, timeout=_ASK_SECONDS, tries=_ASKS)

    async def resolve(self, host: str) -> Sequence[str]:
        """Return the IP addresses of a name, none if there are none.

        Raises OSError when no name server answers.
        """
        try:
            answer = await self._channel.getaddrinfo(host, type=socket.SOCK_STREAM)
        except aiodns.error.DNSError as error:
            if error.args[0] in _NO_SUCH_NAME:
                return []
            raise OSError(f"no name server answers: {error}") from error
        return list(dict.fromkeys(node.addr[0].decode() for node in answer.nodes))

    async def close(self) -> None:
        """End its look-ups."""
        await self._channel.close()


class HttpClient:
    """Posts to addresses that tenants have named.

    outbound: the non-public hosts that may be reached.  resolve: looks up names.
    seconds: the time limit of one post.
    """

    def __init__(
        self,
        outbound: OutboundSettings,
        *,
        resolve: ResolveAsync,
        seconds: float = POST_TIMEOUT_SECONDS,
    ) -> None:
        self._rules = OutboundRules(outbound.allow)
        self._resolve = resolve
        self._seconds = seconds
        self._trusted = httpx.create_ssl_context()

    async def post(
        self, url: str, *, headers: Mapping[str, str], body: bytes
    ) -> EndpointAnswer | NoAnswer:
        """Send a body to an address and return the outcome; no redirect is followed."""
        try:
            address = urls.parse(url)
        except ValueError as error:
            return NoAnswer(f"the address {error}")
        backend = _GuardedBackend(self._rules, self._resolve)
        try:
            with anyio.fail_after(self._seconds):
                return await self._post(backend, address, headers, body)
        except TimeoutError:
            return NoAnswer(f"no answer within {self._seconds:g} s")
        except PictureTemporarilyUnreachable:
            return NoAnswer("the name of its host cannot be looked up now")
        except (
            httpcore.NetworkError,
            httpcore.TimeoutException,
            httpcore.ProtocolError,
        ) as error:
            return NoAnswer(_describe_error(error))
        finally:
            # httpcore leaves a connection open that is canceled during its TLS handshake.
            with anyio.CancelScope(shield=True):
                await backend.close()

    async def _post(
        self,
        backend: "_GuardedBackend",
        address: WebUrl,
        headers: Mapping[str, str],
        body: bytes,
    ) -> EndpointAnswer:
        async with (
            httpcore.AsyncConnectionPool(
                ssl_context=self._trusted, max_connections=1, network_backend=backend
            ) as pool,
            pool.stream(
                "POST",
                httpcore.URL(
                    scheme=address.scheme,
                    host=address.host,
                    port=address.port,
                    target=address.target,
                ),
                headers=[
                    ("Host", address.place),
                    ("User-Agent", "smart-filter"),
                    ("Content-Type", "application/json"),
                    ("Content-Length", str(len(body))),
                    ("Connection", "close"),
                    *headers.items(),
                ],
                content=body,
            ) as response,
        ):
            # pool.stream has made the stream an asynchronous one.
            assert isinstance(response.stream, AsyncIterable)
            content = await _read_beginning(response.stream)
            return EndpointAnswer(response.status, content, _retry_after(response.headers))


class _HostRefused(httpcore.ConnectError):
    """The guard permits no connection to this host."""


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects only to hosts that the guard permits, and never to a Unix socket."""

    def __init__(self, rules: OutboundRules, resolve: ResolveAsync) -> None:
        self._rules = rules
        self._resolve = resolve
        self._network = httpcore.AnyIOBackend()
        self._opened: list[httpcore.AsyncNetworkStream] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to one of a host's addresses, and return the stream.

        Raises PictureTemporarilyUnreachable and httpcore's errors.
        """
        del timeout, local_address, socket_options
        addresses = ssrf_guard.permit(self._rules, host, port, await self._look_up(host))
        failed: Exception = _HostRefused()
        for address in addresses[:_MAX_ADDRESSES]:
            try:
                stream = await self._network.connect_tcp(str(address), port, _CONNECT_SECONDS)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
            else:
                self._opened.append(stream)
                return stream
        raise failed

    async def _look_up(self, host: str) -> Sequence[str]:
        if parse_address(host) is not None:
            return [host]
        try:
            with anyio.fail_after(_CONNECT_SECONDS):
                return await self._resolve(host)
        except OSError as error:  # also the TimeoutError
            raise PictureTemporarilyUnreachable(f"{host} is not looked up") from error

    async def close(self) -> None:
        """Close every stream that is still open."""
        for stream in self._opened:
            await stream.aclose()


async def _read_beginning(pieces: AsyncIterable[bytes]) -> bytes:
    content = bytearray()
    with anyio.move_on_after(_ANSWER_SECONDS):
        try:
            async for piece in pieces:
                content += piece
                if len(content) >= MAX_ANSWER_BYTES:
                    break
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError):
            # The status has been received, and only the status matters.
            pass
    return bytes(content[:MAX_ANSWER_BYTES])


def _retry_after(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    return next(
        (value.decode("latin-1") for name, value in headers if name.lower() == b"retry-after"),
        None,
    )


def _describe_error(error: Exception) -> str:
    if isinstance(error, _HostRefused):
        return (
            "its host is not found on the public internet at this port; the server's setting "
            f"{outbound_rules.SETTING} can allow it"
        )
    if is_certificate_error(error):
        return "its certificate is not valid for it"
    if isinstance(error, httpcore.ProtocolError):
        return "it does not speak HTTP"
    return "the connection failed or was closed"


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """The next step of a delivery.

    wait_seconds: until the next attempt, if it waits.
    hold_seconds: for how long its receiver wants no other delivery either.
    disables: whether the receiver wants no deliveries any more.
    """

    state: DeliveryState
    wait_seconds: float = 0.0
    hold_seconds: float = 0.0
    disables: bool = False


def decide_retry(
    outcome: EndpointAnswer | NoAnswer, *, type_: str, attempt: int, chance: float, now: dt.datetime
) -> RetryDecision:
    """Return the next step of a delivery after an attempt, numbered from 1.

    chance: a random number, 0 to 1.  A test is sent once.
    """
    held = 0.0
    if isinstance(outcome, EndpointAnswer):
        if is_success(outcome):
            return RetryDecision(DeliveryState.SUCCEEDED)
        if outcome.status == _HTTP_GONE:
            return RetryDecision(DeliveryState.FAILED, disables=True)
        held = retry_after_seconds(outcome.retry_after, now)
    if type_ == TEST_EVENT or attempt > len(WAITS_SECONDS):
        return RetryDecision(DeliveryState.FAILED, hold_seconds=held)
    spread = 1 + _JITTER * (2 * chance - 1)
    wait = max(WAITS_SECONDS[attempt - 1] * spread, held)
    return RetryDecision(DeliveryState.WAITING, wait_seconds=wait, hold_seconds=held)


def is_success(outcome: EndpointAnswer | NoAnswer) -> bool:
    """Return whether a receiver has accepted a delivery."""
    return isinstance(outcome, EndpointAnswer) and outcome.status // 100 == 2  # noqa: PLR2004 - 2xx


def retry_after_seconds(header: str | None, now: dt.datetime) -> float:
    """Return how long a receiver asks to wait, a day at most; 0 without the header.

    Source: RFC 9110, 10.2.3: seconds, or a date.
    """
    if header is None:
        return 0.0
    value = header.strip()
    if value.isascii() and value.isdigit():
        seconds = float(value[:9])
    else:
        try:
            date = email.utils.parsedate_to_datetime(value)
        except ValueError:
            return 0.0
        aware = date if date.tzinfo is not None else date.replace(tzinfo=dt.UTC)
        seconds = (aware - now).total_seconds()
    return min(max(0.0, seconds), _MAX_RETRY_AFTER_SECONDS)


@dataclass(slots=True)
class EndpointLanes:
    """Which receivers are slow or failing, so that they take no room from the others.

    Each process learns this for itself and forgets it when it ends. Times are on a monotonic clock.
    """

    _held_until: dict[str, float] = field(default_factory=dict)

    def record(
        self, lane: str, *, well: bool, seconds: float, now: float, hold_seconds: float = 0.0
    ) -> None:
        """Note how a delivery went, and for how long its receiver wants no other delivery."""
        if well and seconds < SLOW_SECONDS:
            self._held_until.pop(lane, None)
            return
        self._held_until[lane] = max(now + hold_seconds, self._held_until.pop(lane, now))
        if len(self._held_until) > _MAX_LANES:
            del self._held_until[next(iter(self._held_until))]

    @property
    def failing(self) -> frozenset[str]:
        """The lanes whose last delivery did not go well."""
        return frozenset(self._held_until)

    def due_for_retry(self, now: float) -> frozenset[str]:
        """Return the troubled lanes whose hold has ended."""
        return frozenset(lane for lane, until in self._held_until.items() if until <= now)
