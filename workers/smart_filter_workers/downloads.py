"""Fetches one file from the address that a manifest names: over HTTPS, bounded, by digest."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx

from smart_filter_shared.errors import SetupFailed

# Release files of the usual hosts are one redirect away; their mirrors two.
MOST_REDIRECTS: Final = 5
TIMEOUT_SECONDS: Final = 30.0
_PIECE_BYTES: Final = 1 << 20

# Whether an address may be asked, the first one or one that another leads to.
Permits = Callable[[httpx.URL], bool]


def is_https(address: httpx.URL) -> bool:
    """Whether nobody on the way can read or change what comes from an address."""
    return address.scheme == "https" and bool(address.host)


def fetch(
    address: str,
    into: Path,
    *,
    most_bytes: int,
    permits: Permits = is_https,
    tell: Callable[[int], None] = lambda _: None,
) -> str:
    """Write what an address gives into a file; return its SHA-256 as lower-case hex.

    most_bytes: more is refused, whatever the server promised.
    permits: asked of the address and of every redirect.
    tell: called with the number of bytes that have come.
    Raises SetupFailed, in one line, when it cannot be had; then `into` holds nothing whole.
    """
    digest = hashlib.sha256()
    client = httpx.Client(
        timeout=TIMEOUT_SECONDS,
        follow_redirects=True,
        max_redirects=MOST_REDIRECTS,
        event_hooks={"request": [lambda request: _check(request.url, permits)]},
    )
    try:
        with client, client.stream("GET", address) as response, into.open("wb") as file:
            if not response.is_success:
                raise SetupFailed(f"{address} answers {response.status_code}")
            come = 0
            for piece in response.iter_bytes(_PIECE_BYTES):
                come += len(piece)
                if come > most_bytes:
                    raise SetupFailed(f"{address} gives more than {most_bytes} bytes")
                digest.update(piece)
                file.write(piece)
                tell(come)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        reason = str(error) or type(error).__name__
        raise SetupFailed(
            f"{address} cannot be fetched ({reason}): check the network, or fetch it elsewhere"
            " and let it in with `smart-filter models admit`"
        ) from error
    return digest.hexdigest()


def _check(address: httpx.URL, permits: Permits) -> None:
    if not permits(address):
        raise SetupFailed(f"{address} is not asked: only https:// is")
