"""How both clients reach a server: addresses, headers, times, and requests in httpx's words."""

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import httpx

from smart_filter_client.errors import InvalidAddress
from smart_filter_client.requests import Request

CONNECT_SECONDS = 5.0
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_OCTETS = "application/octet-stream"
_PIECE_BYTES = 256 * 1024


def checked(url: str, api_key: str) -> httpx.URL:
    """Return a server's address.  Raises InvalidAddress when it or the key cannot be one."""
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise InvalidAddress(f"{url!r} is not a URL ({error})") from error
    if address.scheme not in {"http", "https"} or not address.host:
        raise InvalidAddress(f"{url!r} is not a server's URL; write http://HOST:PORT")
    if not (api_key.isascii() and api_key.isprintable()):
        raise InvalidAddress("the API key holds characters that no key has")
    return address


def uses_proxies(address: httpx.URL) -> bool:
    """Whether the environment's proxies may be used: none of them reaches this machine."""
    return address.host not in _LOOPBACK


def built(
    http: httpx.Client | httpx.AsyncClient,
    request: Request,
    api_key: str,
    seconds: float,
    body: Mapping[str, Any],
) -> httpx.Request:
    """Return a request in httpx's words.

    api_key: sent to the server alone.  seconds: how long one step may take.
    Raises OSError when the length of a file cannot be told.
    """
    headers = httpx.Headers(request.headers)  # which the server may have named in any case
    if api_key and request.is_for_server:
        headers["Authorization"] = f"Bearer {api_key}"
    if request.file is not None:
        headers["Content-Length"] = str(request.file.stat().st_size)
    return http.build_request(
        request.method,
        request.path,
        params=dict(request.params) or None,
        headers=headers,
        timeout=httpx.Timeout(
            seconds, connect=min(seconds, CONNECT_SECONDS), read=seconds + request.patience
        ),
        **body,
    )


def body_of(request: Request) -> Mapping[str, Any]:  # httpx's own keyword arguments
    """Return a request's body, but for a file's."""
    if request.json is not None:
        return {"json": request.json}
    if request.content is not None:
        return {"content": request.content}
    # Names of files stay with their owner; only the bytes are sent.
    files = {name: (name, part, _OCTETS) for name, part in request.parts.items()}
    return {"data": dict(request.fields), "files": files} if files else {}


def pieces(file: Path) -> Iterator[bytes]:
    """Yield a file."""
    with file.open("rb") as source:
        while piece := source.read(_PIECE_BYTES):
            yield piece


async def pieces_awaited(file: Path) -> AsyncIterator[bytes]:
    """Yield a file; disks do not hold up the loop."""
    async with await anyio.open_file(file, "rb") as source:
        while piece := await source.read(_PIECE_BYTES):
            yield piece
