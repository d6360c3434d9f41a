"""Send to receivers through the fetcher's guard: only to public hosts, at checked addresses.

It uses httpcore for the same reasons as the fetcher: no proxy, no cookies, no redirects.
"""

import ssl
from collections.abc import AsyncIterable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

import anyio
import anyio.to_thread
import httpcore
import httpx

from smart_filter_shared.config.settings import OutboundSettings
from smart_filter_shared.errors import PictureTemporarilyUnreachable
from smart_filter_shared.security import outbound_rules, urls
from smart_filter_shared.security.urls import WebUrl
from smart_filter_workers.fetcher.ssrf_guard import Resolve, SsrfGuard, resolve_host

POST_TIMEOUT_SECONDS: Final = 15.0
MAX_ANSWER_BYTES: Final = 1024
# The body of an answer is only for the log and not worth a longer wait.
_ANSWER_SECONDS: Final = 2.0
_CONNECT_SECONDS: Final = 5.0
_MAX_ADDRESSES: Final = 4


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


class HttpClient:
    """Posts to addresses that tenants have named.

    outbound: the non-public hosts that may be reached.  at_once: how many names are looked up at
    a time.  seconds: the time limit of one post.  trusted: the trusted certificates.
    """

    def __init__(
        self,
        outbound: OutboundSettings,
        *,
        at_once: int,
        seconds: float = POST_TIMEOUT_SECONDS,
        resolve: Resolve = resolve_host,
        trusted: ssl.SSLContext | None = None,
    ) -> None:
        self._guard = SsrfGuard(outbound, resolve)
        self._looking_up = anyio.CapacityLimiter(at_once)
        self._seconds = seconds
        self._trusted = trusted or httpx.create_ssl_context()

    async def post(
        self, url: str, *, headers: Mapping[str, str], body: bytes
    ) -> EndpointAnswer | NoAnswer:
        """Send a body to an address and return the outcome; no redirect is followed."""
        try:
            address = urls.parse(url)
        except ValueError as error:
            return NoAnswer(f"the address {error}")
        backend = _GuardedBackend(self._guard, self._looking_up)
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

    def __init__(self, guard: SsrfGuard, looking_up: anyio.CapacityLimiter) -> None:
        self._guard = guard
        self._looking_up = looking_up
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
        # The guard blocks a thread; an abandoned one ends by itself.
        addresses = await anyio.to_thread.run_sync(
            partial(self._guard.addresses, host, port, seconds=_CONNECT_SECONDS),
            limiter=self._looking_up,
            abandon_on_cancel=True,
        )
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
    if _is_certificate_error(error):
        return "its certificate is not valid for it"
    if isinstance(error, httpcore.ProtocolError):
        return "it does not speak HTTP"
    return "the connection failed or was closed"


def _is_certificate_error(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None
