"""Send to receivers through the fetcher's guard: only to public hosts, at checked addresses.

It uses httpcore for the same reasons as the fetcher: no proxy, no cookies, no redirects.
"""

import socket
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
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
