"""Fetches one file from an address that somebody sent, bounded in every direction.

httpcore, and not httpx above it: a proxy from the environment, cookies, passwords from a
netrc, redirects and unpacking of compressed answers are what this must not have.
"""

import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import httpcore
import httpx

from smart_filter_shared import web_address
from smart_filter_shared.errors import ImageTooLarge, PhotoUnreachable, PictureLate
from smart_filter_shared.settings import OutboundSettings
from smart_filter_shared.web_address import WebAddress
from smart_filter_workers.fetcher.connecting import Deadline, Dial, GuardedBackend, dial
from smart_filter_workers.fetcher.guard import Guard, Resolve, look_up

_OK: Final = 200
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
# Request timeout, too early, too many requests; and from 500 on, the server's own trouble.
_MAY_PASS: Final = frozenset({408, 425, 429})
_SERVERS_FAULT: Final = 500


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one fetch may cost, redirects and looking up names included.

    silence_seconds: how long nothing may come at all.
    """

    most_bytes: int = 40_000_000
    seconds: float = 10.0
    silence_seconds: float = 5.0
    redirects: int = 5


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came from an address.

    media_type: as its server declares it, in lower case, "" when it does not; nothing to rely
        on: what the content is, the content says.
    """

    content: bytes
    media_type: str


class Fetcher:
    """Fetches files that others name by their address; safe for threads.

    outbound: what may be reached though it is not public.  resolve, dial: how names are looked
    up and connections made.  trusted: whose certificates count; by default those that browsers
    trust, or what SSL_CERT_FILE names.
    """

    def __init__(
        self,
        outbound: OutboundSettings,
        *,
        limits: Limits | None = None,
        resolve: Resolve = look_up,
        dial: Dial = dial,
        trusted: ssl.SSLContext | None = None,
    ) -> None:
        self._guard = Guard(outbound, resolve)
        self._limits = limits or Limits()
        self._dial = dial
        self._trusted = trusted or httpx.create_ssl_context()

    def fetch(self, url: str) -> Fetched:
        """Return what an address gives.

        Raises PhotoUnreachable when it gives nothing, or must not be asked; PictureLate when it
        may give something later; ImageTooLarge when it gives too much. Their messages are for
        whoever named the address: they tell nothing of a network of ours.
        """
        deadline = Deadline(self._limits.seconds)
        address = _read(url)
        for hop in range(self._limits.redirects + 1):
            try:
                answer = self._ask(address, deadline)
                if isinstance(answer, Fetched):
                    return answer
                address = _onward(address, answer)
            except (PhotoUnreachable, PictureLate) as error:
                if not hop:
                    raise
                raise type(error)(f"{error} (on redirect {hop})") from error
        raise PhotoUnreachable(f"it leads on more than {self._limits.redirects} times")

    def _ask(self, address: WebAddress, deadline: Deadline) -> Fetched | str:
        """Return what an address gives, or where it leads."""
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
            raise PictureLate(f"its server {what} {seconds:g} s") from error
        except httpcore.ConnectError as error:
            if _is_of_certificate(error):
                raise PhotoUnreachable("its server's certificate is not valid for it") from error
            raise PictureLate("its server cannot be connected to") from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise PictureLate("its server broke off, or does not speak HTTP") from error

    def _answer(self, response: httpcore.Response) -> Fetched | str:
        headers = _said(response.headers)
        if response.status in _REDIRECTS:
            return headers.get("location", "")
        if response.status in _MAY_PASS or response.status >= _SERVERS_FAULT:
            raise PictureLate(f"its server answers {response.status}")
        if response.status != _OK:
            raise PhotoUnreachable(f"its server answers {response.status}")
        if headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
            raise PhotoUnreachable("its server packs what was asked for unpacked")
        length = headers.get("content-length", "")
        if length.isascii() and length.isdigit() and int(length) > self._limits.most_bytes:
            raise self._too_large()
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        # pool.stream has made the stream a synchronous one.
        assert isinstance(response.stream, Iterable)
        return Fetched(self._content(response.stream), media_type)

    def _content(self, pieces: Iterable[bytes]) -> bytes:
        content = bytearray()
        for piece in pieces:
            content += piece
            if len(content) > self._limits.most_bytes:
                raise self._too_large()
        return bytes(content)

    def _too_large(self) -> ImageTooLarge:
        return ImageTooLarge(f"its server gives more than {self._limits.most_bytes} bytes")

    def _timeouts(self) -> dict[str, float]:
        return dict.fromkeys(("connect", "read", "write", "pool"), self._limits.silence_seconds)


def _read(url: str) -> WebAddress:
    try:
        return web_address.read(url)
    except ValueError as error:
        raise PhotoUnreachable(f"it {error}") from error


def _onward(address: WebAddress, location: str) -> WebAddress:
    if not location:
        raise PhotoUnreachable("its server leads on and does not say where")
    try:
        return web_address.followed(address, location)
    except ValueError as error:
        raise PhotoUnreachable(f"it leads on to an address that {error}") from error


def _headers(address: WebAddress) -> list[tuple[str, str]]:
    """Return all that is said of us: nothing that a redirect could carry elsewhere."""
    return [
        ("Host", address.place),
        ("User-Agent", "smart-filter"),
        ("Accept", "image/jpeg, image/png, image/webp, image/avif;q=0.9, */*;q=0.1"),
        ("Accept-Encoding", "identity"),
        ("Connection", "close"),
    ]


def _said(headers: Iterable[tuple[bytes, bytes]]) -> Mapping[str, str]:
    """Return headers by their name in lower case; of one that is repeated the first."""
    said: dict[str, str] = {}
    for name, value in headers:
        # Not to be read is not to be followed: what is no UTF-8 becomes what no address holds.
        said.setdefault(name.decode("ascii", "replace").lower(), value.decode("utf-8", "replace"))
    return said


def _is_of_certificate(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None
