"""Send requests of remove.bg's interface v1.0 to servers that implement it."""

import json
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from smart_filter_deploy.cli.terminal.exit_codes import CommandError

REMOVE_PATH: Final = "/v1.0/removebg"
ACCOUNT_PATH: Final = "/v1.0/account"
# Largest accepted answer: a PNG of 50 megapixels with noise has about as much.
MAX_ANSWER_BYTES: Final = 150_000_000
# Longest wait for the next byte; servers answer within 20 s.
_SILENT_SECONDS: Final = 60.0
# Longest time for one answer, so that a server that sends a byte now and then does not hold us.
_MAX_SECONDS: Final = 300.0
_CONNECT_SECONDS: Final = 10.0


class RequestFailed(Exception):
    """A request had no complete answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the interface.

    seconds: from sending the request to the last byte of the answer.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)
    seconds: float

    def errors(self) -> list[tuple[str, str]]:
        """Return the code and the text of each error; a text without a code for other bodies."""
        document = self.document()
        listed = document.get("errors") if isinstance(document, dict) else None
        entries = (
            [entry for entry in listed if isinstance(entry, dict)]
            if isinstance(listed, list)
            else []
        )
        return [
            (
                str(entry.get("code") or ""),
                ": ".join(str(entry[name]) for name in ("title", "detail") if entry.get(name)),
            )
            for entry in entries
        ] or [("", f"HTTP {self.status}")]

    def document(self) -> object:
        """Return the JSON document of the answer; None if it is not one."""
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            return None


class Interface:
    """The interface v1.0 at one base URL, with one key."""

    def __init__(self, http: httpx.Client, key: str) -> None:
        self._http = http
        self._key = {"X-Api-Key": key} if key else {}

    def get(self, path: str, *, bearer: str = "") -> Answer:
        """Send a GET request.

        bearer: a key to send as our own endpoints expect it, instead of the interface's key; a
        request with two keys is refused.
        Raises RequestFailed.
        """
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else self._key
        return self._send(self._http.build_request("GET", path, headers=headers))

    def cut_out(self, photo: bytes, name: str, **fields: str) -> Answer:
        """Send a photo to be cut out.  Raises RequestFailed."""
        request = self._http.build_request(
            "POST",
            REMOVE_PATH,
            headers=self._key,
            files={"image_file": (name, photo)},
            data=fields,
        )
        return self._send(request)

    def _send(self, request: httpx.Request) -> Answer:
        began = time.monotonic()
        content = bytearray()
        try:
            response = self._http.send(request, stream=True)
            try:
                for piece in response.iter_bytes():
                    content += piece
                    if len(content) > MAX_ANSWER_BYTES or time.monotonic() - began > _MAX_SECONDS:
                        raise RequestFailed("the answer is too long or too slow")
            finally:
                response.close()
        except httpx.HTTPError as error:
            raise RequestFailed(str(error) or type(error).__name__) from error
        seconds = time.monotonic() - began
        return Answer(response.status_code, response.headers, bytes(content), seconds)


@contextmanager
def open_interface(url: str, key: str, *, ca: Path | None = None) -> Iterator[Interface]:
    """Give the interface at a base URL.

    ca: file with a certificate authority to trust, besides the system's authorities.
    Raises CommandError when URL, key or file cannot be used.
    """
    if not key.isascii() or not key.isprintable() or " " in key:
        raise CommandError("the key has characters that no key has")
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise CommandError(f"{url[:200]!r} is not a URL: {error}") from error
    if parsed.scheme not in {"http", "https"} or not parsed.host or parsed.userinfo:
        raise CommandError(f"{parsed!r}: expected a base URL such as https://cutout.example.com")
    with httpx.Client(
        base_url=parsed,
        timeout=httpx.Timeout(_SILENT_SECONDS, connect=_CONNECT_SECONDS),
        verify=_trust(ca),
        # A key is for one server only.
        follow_redirects=False,
    ) as http:
        yield Interface(http, key)


def _trust(ca: Path | None) -> ssl.SSLContext:
    """Return a context that trusts the public authorities, the system's, and the one in a file."""
    context = httpx.create_ssl_context()
    context.load_default_certs()
    if ca is not None:
        try:
            context.load_verify_locations(cafile=ca)
        except (OSError, ssl.SSLError) as error:
            raise CommandError(f"--ca: {ca} is not a certificate in PEM form ({error})") from error
    return context
