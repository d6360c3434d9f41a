"""Fetch one file from an address named by a client, with limits on everything.

It uses httpcore and not httpx above it, to exclude proxies from the environment, cookies,
passwords from a netrc, automatic redirects and decompression of answers.
"""

import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import httpcore
import httpx

from smart_filter_shared.config.settings import OutboundSettings
from smart_filter_shared.errors import (
    ImageTooLarge,
    PhotoUnreachable,
    PictureTemporarilyUnreachable,
)
from smart_filter_shared.security import urls
from smart_filter_shared.security.photo_header import MAX_PHOTO_BYTES
from smart_filter_shared.security.urls import WebUrl
from smart_filter_workers.fetcher.ssrf_guard import (
    Deadline,
    Dial,
    GuardedBackend,
    Resolve,
    SsrfGuard,
    dial,
    resolve_host,
)

_OK: Final = 200
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
# Request timeout, too early, too many requests. Statuses from 500 on are the server's own errors.
_TEMPORARY_STATUSES: Final = frozenset({408, 425, 429})
_FIRST_SERVER_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """Limits of one fetch, redirects and name lookups included.

    silence_seconds: the longest time without any data.
    """

    most_bytes: int = MAX_PHOTO_BYTES
    seconds: float = 10.0
    silence_seconds: float = 5.0
    redirects: int = 5


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A downloaded file.

    media_type: as its server declares it, in lower case, "" if it does not. It is not reliable:
        only the content shows what it is.
    """

    content: bytes
    media_type: str


class Fetcher:
    """Fetches files from addresses named by clients; safe for threads.

    outbound: the non-public hosts that may be reached.  resolve, dial: look up names and open
    connections.  trusted: the trusted certificates; by default the browsers', or
    those in SSL_CERT_FILE.
    """

    def __init__(
        self,
        outbound: OutboundSettings,
        *,
        limits: FetchLimits | None = None,
        resolve: Resolve = resolve_host,
        dial: Dial = dial,
        trusted: ssl.SSLContext | None = None,
    ) -> None:
        self._guard = SsrfGuard(outbound, resolve)
        self._limits = limits or FetchLimits()
        self._dial = dial
        self._trusted = trusted or httpx.create_ssl_context()

    def fetch(self, url: str) -> FetchedFile:
        """Download a URL and return the file.

        Raises PhotoUnreachable when the URL has no file or may not be fetched,
        PictureTemporarilyUnreachable when a later request may succeed, ImageTooLarge when the file
        is too large. The messages go to the client that gave the URL: they say nothing about this
        installation's network.
        """
        deadline = Deadline(self._limits.seconds)
        address = _parse_url(url)
        for hop in range(self._limits.redirects + 1):
            try:
                answer = self._ask(address, deadline)
                if isinstance(answer, FetchedFile):
                    return answer
                address = _resolve_redirect(address, answer)
            except (PhotoUnreachable, PictureTemporarilyUnreachable) as error:
                if not hop:
                    raise
                raise type(error)(f"{error} (on redirect {hop})") from error
        raise PhotoUnreachable(f"it redirects more than {self._limits.redirects} times")

    def _ask(self, address: WebUrl, deadline: Deadline) -> FetchedFile | str:
        """Request an address; return the file, or the location of a redirect."""
        backend = GuardedBackend(self._guard, deadline, self._dial)
        try:
            with (
                httpcore.ConnectionPool(
                    ssl_context=self._trusted, max_connections=1, network_backend=backend
                ) as pool,
                pool.stream(
                    "GET",
                    httpcore.URL(
                        scheme=address.scheme,
                        host=address.host,
                        port=address.port,
                        target=address.target,
                    ),
                    headers=_headers(address),
                    extensions={"timeout": self._timeouts()},
                ) as response,
            ):
                return self._answer(response)
        except httpcore.TimeoutException as error:
            silent = deadline.left > 0
            seconds = self._limits.silence_seconds if silent else self._limits.seconds
            what = "was silent for" if silent else "took longer than"
            raise PictureTemporarilyUnreachable(f"its server {what} {seconds:g} s") from error
        except httpcore.ConnectError as error:
            if is_certificate_error(error):
                raise PhotoUnreachable("its server's certificate is not valid for it") from error
            raise PictureTemporarilyUnreachable("its server cannot be connected to") from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise PictureTemporarilyUnreachable(
                "its server closed the connection, or does not speak HTTP"
            ) from error

    def _answer(self, response: httpcore.Response) -> FetchedFile | str:
        headers = _parse_headers(response.headers)
        if response.status in _REDIRECTS:
            return headers.get("location", "")
        if response.status in _TEMPORARY_STATUSES or response.status >= _FIRST_SERVER_ERROR:
            raise PictureTemporarilyUnreachable(f"its server answers {response.status}")
        if response.status != _OK:
            raise PhotoUnreachable(f"its server answers {response.status}")
        if headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
            raise PhotoUnreachable("its server compresses the answer although that was declined")
        length = headers.get("content-length", "")
        if length.isascii() and length.isdigit() and int(length) > self._limits.most_bytes:
            raise self._too_large()
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        # pool.stream has made the stream a synchronous one.
        assert isinstance(response.stream, Iterable)
        return FetchedFile(self._content(response.stream), media_type)

    def _content(self, pieces: Iterable[bytes]) -> bytes:
        content = bytearray()
        for piece in pieces:
            content += piece
            if len(content) > self._limits.most_bytes:
                raise self._too_large()
        return bytes(content)

    def _too_large(self) -> ImageTooLarge:
        return ImageTooLarge(f"its server sends more than {self._limits.most_bytes} bytes")

    def _timeouts(self) -> dict[str, float]:
        return dict.fromkeys(("connect", "read", "write", "pool"), self._limits.silence_seconds)


def _parse_url(url: str) -> WebUrl:
    try:
        return urls.parse(url)
    except ValueError as error:
        raise PhotoUnreachable(f"it {error}") from error


def _resolve_redirect(address: WebUrl, location: str) -> WebUrl:
    if not location:
        raise PhotoUnreachable("its server redirects without a location")
    try:
        return urls.follow_redirect(address, location)
    except ValueError as error:
        raise PhotoUnreachable(f"it redirects to an address that {error}") from error


def _headers(address: WebUrl) -> list[tuple[str, str]]:
    """Return the request headers; they hold nothing that a redirect must not carry elsewhere."""
    return [
        ("Host", address.place),
        ("User-Agent", "smart-filter"),
        ("Accept", "image/jpeg, image/png, image/webp, image/avif;q=0.9, */*;q=0.1"),
        ("Accept-Encoding", "identity"),
        ("Connection", "close"),
    ]


def _parse_headers(headers: Iterable[tuple[bytes, bytes]]) -> Mapping[str, str]:
    """Return headers by lower-case name; for a repeated header, the first value."""
    parsed: dict[str, str] = {}
    for name, value in headers:
        # Bytes that are not UTF-8 become a character that no address may hold, and are refused.
        parsed.setdefault(name.decode("ascii", "replace").lower(), value.decode("utf-8", "replace"))
    return parsed


def is_certificate_error(error: BaseException | None) -> bool:
    """Return whether an error of a connection is one of the other side's certificate."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None
