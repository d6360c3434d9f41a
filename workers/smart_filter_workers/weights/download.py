"""Download one file of weights, and resume where an interrupted download ended."""

import fcntl
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO, Final

import certifi
import httpx

from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.weights import files

# Release files need one redirect from the usual hosts, two from mirrors.
MAX_REDIRECTS: Final = 5
TIMEOUT_SECONDS: Final = 30.0

# Decides whether an address may be requested; called for the first address and each redirect.
AddressCheck = Callable[[httpx.URL], bool]
# Told the bytes that are there, and the file's size or limit, at the start and after each piece.
Progress = Callable[[int, int], None]


def is_https(address: httpx.URL) -> bool:
    """Return whether an address uses HTTPS, so that its content cannot be read or changed."""
    return address.scheme == "https" and bool(address.host)


@dataclass(frozen=True, slots=True)
class Route:
    """How addresses are requested.

    mirror: the URL of a mirror, such as `https://mirror.example/weights`: the host and path of an
        address are requested below it; "" for none.
    permits: called for the address and for every redirect.
    progress: called while a file is fetched.
    """

    mirror: str = ""
    permits: AddressCheck = is_https
    progress: Progress = lambda _there, _of: None

    def to(self, address: str) -> str:
        """Return the address that is requested in place of another."""
        if not self.mirror:
            return address
        return f"{self.mirror.rstrip('/')}/{address.partition('://')[2]}"


DIRECT: Final = Route()


@dataclass(frozen=True, slots=True)
class Source:
    """A file to download.

    sha256: its digest, lower-case hex, "" if unknown; most_bytes: its size, or an upper limit.
    remedy: another way to get the file, for the message of a failed download.
    """

    address: str
    sha256: str
    most_bytes: int
    remedy: str


@contextmanager
def fetch(source: Source, folder: Path, route: Route) -> Iterator[tuple[Path, str]]:
    """Yield the downloaded file and its SHA-256; the file is removed afterwards unless moved.

    folder: the weights folder.  An incomplete file of known digest stays there, for a day, and the
    next call requests only the rest of it; when the whole then has another digest, all of it.
    Raises SetupFailed, in one line, when the download fails, when another process downloads the
    same file, or when the file has another digest.
    """
    address = route.to(source.address)
    with files.scratch_folder(folder) as scratch:
        # A file of unknown digest cannot be resumed: its address may hold another one by now.
        path = folder / f".pull-{source.sha256}.part" if source.sha256 else scratch / "partial"
        with path.open("ab") as file:
            _lock(file, address)
            is_resumed = file.tell() > 0
            try:
                _download(source, file, route)
                file.flush()
                if is_resumed and files.sha256_of(path) != source.sha256:
                    # The earlier part is damaged, or the end of another file follows it.
                    _empty(file)
                    _download(source, file, route)
            finally:
                if not file.tell():
                    path.unlink()
        digest = files.sha256_of(path)
        try:
            if source.sha256 and digest != source.sha256:
                raise SetupFailed(
                    f"{address} has the SHA-256 {digest}, expected {source.sha256}: do not use it"
                )
            yield path, digest
        finally:
            path.unlink(missing_ok=True)


def read_address(address: str, route: Route, *, accept: str, most_bytes: int) -> bytes:
    """Return what an address answers.  Raises SetupFailed, in one line.

    accept: the media type to ask for.
    """
    content = bytearray()
    requested = route.to(address)
    with _errors(requested, "ask its operator"), _client(route) as client:
        headers = {"Accept": accept}
        with client.stream("GET", requested, headers=headers) as response:
            if not response.is_success:
                raise SetupFailed(f"{requested} answers {response.status_code}: ask its operator")
            for piece in response.iter_bytes():
                content += piece
                if len(content) > most_bytes:
                    raise SetupFailed(f"{requested} sends more than {most_bytes} bytes")
    return bytes(content)


def _lock(file: BinaryIO, address: str) -> None:
    """Keep other processes from the file until it is closed.  Raises SetupFailed."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise SetupFailed(f"another process downloads {address}: wait until it ends") from error


def _download(source: Source, file: BinaryIO, route: Route) -> None:
    """Append to a file what it lacks.

    Raises SetupFailed, in one line, when the download fails; the next one continues it.
    """
    address, there = route.to(source.address), file.tell()
    # Without `identity` a server may compress, and a range would be one of compressed bytes.
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={there}-"} if there else {})}
    with (
        _errors(address, source.remedy),
        _client(route) as client,
        client.stream("GET", address, headers=headers) as response,
    ):
        if there and response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # nothing is missing; the digest tells whether it is the right file
        if not response.is_success:
            raise SetupFailed(f"{address} answers {response.status_code}: {source.remedy}")
        if not response.headers.get("Content-Range", "").startswith(f"bytes {there}-"):
            _empty(file)
        route.progress(file.tell(), source.most_bytes)
        for piece in response.iter_bytes():
            if file.tell() + len(piece) > source.most_bytes:
                _empty(file)
                raise SetupFailed(f"{address} sends more than {source.most_bytes} bytes")
            file.write(piece)
            route.progress(file.tell(), source.most_bytes)


@contextmanager
def _errors(address: str, remedy: str) -> Iterator[None]:
    """Raise SetupFailed in place of an error of the network or the disk."""
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        reason = str(error) or type(error).__name__
        raise SetupFailed(
            f"{address} cannot be fetched ({reason}): check the network and run the command again,"
            f" or {remedy}"
        ) from error


def _client(route: Route) -> httpx.Client:
    # The machine's certificates, which a proxy of its network may need, and those of certifi,
    # where the machine has none.
    trusted = ssl.create_default_context()
    trusted.load_verify_locations(certifi.where())
    return httpx.Client(
        verify=trusted,
        timeout=TIMEOUT_SECONDS,
        follow_redirects=True,
        max_redirects=MAX_REDIRECTS,
        event_hooks={"request": [lambda request: _check(request.url, route.permits)]},
    )


def _empty(file: BinaryIO) -> None:
    file.seek(0)
    file.truncate()


def _check(address: httpx.URL, permits: AddressCheck) -> None:
    if not permits(address):
        raise SetupFailed(f"{address} is refused: only https:// is allowed")
