"""Sends to receivers through the guard of the fetcher: public hosts alone, by checked addresses.

httpcore, for the reasons that the fetcher has: no proxy, no cookies, no redirects.
"""

import ssl
from collections.abc import AsyncIterable, Iterable, Mapping
from functools import partial
from typing import Final

import anyio
import anyio.to_thread
import httpcore
import httpx

from smart_filter_shared import web_address
from smart_filter_shared.errors import PictureLate
from smart_filter_shared.settings import OutboundSettings
from smart_filter_shared.web_address import WebAddress
from smart_filter_workers.fetcher.guard import Guard, Resolve, look_up
from smart_filter_workers.sender.outbound import Answer, Silence

SECONDS: Final = 15.0
ANSWER_BYTES: Final = 1024
# What a receiver says beyond its status is for the log, and not worth waiting for.
_ANSWER_SECONDS: Final = 2.0
_CONNECT_SECONDS: Final = 5.0
_MOST_ADDRESSES: Final = 4


class Posting:
    """Posts to addresses that others name.

    outbound: what may be reached though it is not public.  at_once: how many names are looked
    up at a time.  seconds: how long one post may take.  trusted: whose certificates count.
    """

    def __init__(
        self,
        outbound: OutboundSettings,
        *,
        at_once: int,
        seconds: float = SECONDS,
        resolve: Resolve = look_up,
        trusted: ssl.SSLContext | None = None,
    ) -> None:
        self._guard = Guard(outbound, resolve)
        self._looking_up = anyio.CapacityLimiter(at_once)
        self._seconds = seconds
        self._trusted = trusted or httpx.create_ssl_context()

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes) -> Answer | Silence:
        """Send a body to an address; no redirect is followed."""
        try:
            address = web_address.read(url)
        except ValueError as error:
            return Silence(f"the address {error}")
        backend = _GuardedBackend(self._guard, self._looking_up)
        try:
            with anyio.fail_after(self._seconds):
                return await self._post(backend, address, headers, body)
        except TimeoutError:
            return Silence(f"no answer within {self._seconds:g} s")
        except PictureLate:
            return Silence("the name of its host cannot be looked up now")
        except (
            httpcore.NetworkError,
            httpcore.TimeoutException,
            httpcore.ProtocolError,
        ) as error:
            return Silence(_why(error))
        finally:
            # httpcore leaves a connection open when it is cut short on its way to TLS.
            with anyio.CancelScope(shield=True):
                await backend.close()

    async def _post(
        self,
        backend: "_GuardedBackend",
        address: WebAddress,
        headers: Mapping[str, str],
        body: bytes,
    ) -> Answer:
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
            content = await _beginning(response.stream)
            return Answer(response.status, content, _retry_after(response.headers))


class _Refused(httpcore.ConnectError):
    """The guard lets nobody connect there."""


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects to hosts as the guard says, and never to a Unix socket."""

    def __init__(self, guard: Guard, looking_up: anyio.CapacityLimiter) -> None:
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
        """Connect to one of a host's addresses.  Raises PictureLate and httpcore's errors."""
        del timeout, local_address, socket_options
        # The guard waits in a thread; one that is left behind ends by itself.
        addresses = await anyio.to_thread.run_sync(
            partial(self._guard.addresses, host, port, seconds=_CONNECT_SECONDS),
            limiter=self._looking_up,
            abandon_on_cancel=True,
        )
        failed: Exception = _Refused()
        for address in addresses[:_MOST_ADDRESSES]:
            try:
                stream = await self._network.connect_tcp(str(address), port, _CONNECT_SECONDS)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
            else:
                self._opened.append(stream)
                return stream
        raise failed

    async def close(self) -> None:
        """Close whatever is still open."""
        for stream in self._opened:
            await stream.aclose()


async def _beginning(pieces: AsyncIterable[bytes]) -> bytes:
    content = bytearray()
    with anyio.move_on_after(_ANSWER_SECONDS):
        try:
            async for piece in pieces:
                content += piece
                if len(content) >= ANSWER_BYTES:
                    break
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError):
            # Its status was there, and that is what counts.
            pass
    return bytes(content[:ANSWER_BYTES])


def _retry_after(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    return next(
        (value.decode("latin-1") for name, value in headers if name.lower() == b"retry-after"),
        None,
    )


def _why(error: Exception) -> str:
    if isinstance(error, _Refused):
        return "its host is not found on the public internet at this port"
    if _is_of_certificate(error):
        return "its certificate is not valid for it"
    if isinstance(error, httpcore.ProtocolError):
        return "it does not speak HTTP"
    return "it cannot be connected to, or broke off"


def _is_of_certificate(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None
