"""Download one file from a manifest's address: over HTTPS, with a size limit, with its digest."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx

from smart_filter_shared.errors import SetupFailed

# Release files of the usual hosts need one redirect; those of mirrors two.
MAX_REDIRECTS: Final = 5
TIMEOUT_SECONDS: Final = 30.0
_CHUNK_BYTES: Final = 1 << 20

# Decides whether an address may be requested; called for the first address and each redirect.
AddressCheck = Callable[[httpx.URL], bool]


def is_https(address: httpx.URL) -> bool:
    """Return whether an address uses HTTPS, so that its content cannot be read or changed."""
    return address.scheme == "https" and bool(address.host)


def download_file(
    address: str,
    into: Path,
    *,
    most_bytes: int,
    permits: AddressCheck = is_https,
    tell: Callable[[int], None] = lambda _: None,
) -> str:
    """Download an address into a file; return its SHA-256 as lower-case hex.

    most_bytes: the size limit, whatever the server has announced.
    permits: called for the address and for every redirect.
    tell: called with the number of bytes received.
    Raises SetupFailed, in one line, when the download fails; then `into` is not complete.
    """
    digest = hashlib.sha256()
    client = httpx.Client(
        timeout=TIMEOUT_SECONDS,
        follow_redirects=True,
        max_redirects=MAX_REDIRECTS,
        event_hooks={"request": [lambda request: _check(request.url, permits)]},
    )
    try:
        with client, client.stream("GET", address) as response, into.open("wb") as file:
            if not response.is_success:
                raise SetupFailed(f"{address} answers {response.status_code}")
            come = 0
            for piece in response.iter_bytes(_CHUNK_BYTES):
                come += len(piece)
                if come > most_bytes:
                    raise SetupFailed(f"{address} sends more than {most_bytes} bytes")
                digest.update(piece)
                file.write(piece)
                tell(come)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        reason = str(error) or type(error).__name__
        raise SetupFailed(
            f"{address} cannot be fetched ({reason}): check the network, or fetch it elsewhere"
            " and admit it with `smart-filter models admit`"
        ) from error
    return digest.hexdigest()


def _check(address: httpx.URL, permits: AddressCheck) -> None:
    if not permits(address):
        raise SetupFailed(f"{address} is refused: only https:// is allowed")
