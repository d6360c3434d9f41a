"""The manifest of weights that are in no package; their files are downloaded and admitted."""

import hashlib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, Final

import httpx

from smart_filter_shared.catalog.model_card import WeightsFile
from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.models import admission
from smart_filter_workers.networks import handling
from smart_filter_workers.networks.detectron2 import predictor_cache, zoo
from smart_filter_workers.networks.handling import Handling
from smart_filter_workers.weights import allowlist, files
from smart_filter_workers.weights.allowlist import AdmittedFile

# Source: detectron2's catalog of checkpoints, model_zoo/model_zoo.py.
ZOO_ADDRESS: Final = "https://dl.fbaipublicfiles.com/detectron2"
ZOO_LICENSE: Final = "CC-BY-SA-3.0"
# The zoo's largest file is 1.1 GB.
ZOO_MAX_BYTES: Final = 1_500_000_000

# Release files of the usual hosts need one redirect; those of mirrors two.
MAX_REDIRECTS: Final = 5
TIMEOUT_SECONDS: Final = 30.0
_CHUNK_BYTES: Final = 1 << 20

# Decides whether an address may be requested; called for the first address and each redirect.
AddressCheck = Callable[[httpx.URL], bool]


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of an entry.

    sha256: its digest, "" if unknown; most_bytes: its size, or an upper limit.
    place: its path below the weights folder; "" for a path that is made from the digest.
    """

    address: str
    sha256: str
    most_bytes: int
    place: str = ""


@dataclass(frozen=True, slots=True)
class UpstreamWeights:
    """Weights of one model.

    model: the model that reads them; name: the entry by which a recipe chooses them, "" if
        there is no choice.
    licence: an SPDX expression; data_terms: the terms of the training data.
    note: how to get the weights when they have no address.
    """

    model: str
    name: str
    title: str
    source: str
    licence: str
    data_terms: str
    files: tuple[RemoteFile, ...]
    handling: Handling | None = None
    note: str = ""

    @property
    def full_name(self) -> str:
        """The name of the entry for `models pull`."""
        return f"{self.model}/{self.name}" if self.name else self.model

    @property
    def is_pinned(self) -> bool:
        """Whether the digest of every file is known."""
        return all(file.sha256 for file in self.files)


def read_manifest() -> dict[str, UpstreamWeights]:
    """Return every entry by its full name: those of `upstream.toml`, then detectron2's zoo."""
    manifest = resources.files("smart_filter_workers.models").joinpath("upstream.toml")
    tables = tomllib.loads(manifest.read_text(encoding="utf-8"))["entry"]
    listed = [_entry(table) for table in tables]
    of_zoo = [_of_zoo(config) for config in zoo.list_configs().values() if config.checkpoint]
    return {entry.full_name: entry for entry in [*listed, *of_zoo]}


def find(name: str) -> UpstreamWeights:
    """Return an entry by its full name.  Raises SetupFailed when there is none."""
    entries = read_manifest()
    if name not in entries:
        listed = ", ".join(one for one in entries if not one.startswith("detectron2/"))
        raise SetupFailed(
            f"{name!r} is not in the manifest; it has {listed},"
            " and detectron2/CONFIGURATION of its zoo"
        )
    return entries[name]


def pull(
    folder: Path,
    entry: UpstreamWeights,
    *,
    sha256: str = "",
    admit: bool = False,
    mirror: str = "",
    permits: AddressCheck | None = None,
) -> list[WeightsFile]:
    """Fetch an entry's files into the weights folder; return those that were fetched.

    sha256: the digest that the file must have if the manifest has none.
    admit: whether to accept a file of unknown digest as it comes, and pin its digest.
    mirror: the URL of a mirror, such as `https://mirror.example/weights`: the host and path of an
        address are requested below it; "" for none.
    permits: called for the address and for every redirect; None: only HTTPS is permitted.
    Raises SetupFailed when a file cannot be fetched, has another digest, or does not run.
    """
    if not all(file.address for file in entry.files):
        raise SetupFailed(f"{entry.full_name} has no address to fetch from: {entry.note}")
    if not (entry.is_pinned or sha256 or admit):
        raise SetupFailed(
            f"the manifest has no SHA-256 for {entry.full_name}: give it with --sha256,"
            f" or accept {entry.files[0].address} as it comes with --admit"
        )
    admission.ensure_runs_here(entry.model)  # before a gigabyte is fetched
    fetched = []
    for file in entry.files:
        wanted = file.sha256 or sha256.lower()
        if _is_there(folder, entry, file, wanted):
            continue
        with files.scratch_folder(folder) as scratch:
            partial, address = scratch / "partial", file.address
            if mirror:
                address = f"{mirror.rstrip('/')}/{address.partition('://')[2]}"
            digest = _download(address, partial, file.most_bytes, permits or is_https)
            if wanted and digest != wanted:
                raise SetupFailed(
                    f"{address} has the SHA-256 {digest}, expected {wanted}: do not use it"
                )
            known = replace(file, address=address, sha256=digest)
            fetched.append(_install(folder, partial, entry, known))
    return fetched


def is_https(address: httpx.URL) -> bool:
    """Return whether an address uses HTTPS, so that its content cannot be read or changed."""
    return address.scheme == "https" and bool(address.host)


def _is_there(folder: Path, entry: UpstreamWeights, file: RemoteFile, digest: str) -> bool:
    if not entry.name:
        return files.find_fault(folder, WeightsFile(file.place, digest)) is None
    # A file of unknown digest keeps the digest with which it was first admitted.
    return any(
        one.sha256 == (digest or one.sha256) and files.find_fault(folder, one.file) is None
        for one in allowlist.read(folder)
        if one.kind == entry.model and entry.name in {one.entry, one.config}
    )


def _download(address: str, into: Path, most_bytes: int, permits: AddressCheck) -> str:
    """Download an address into a file; return its SHA-256 as lower-case hex.

    most_bytes: the size limit, whatever the server has announced.
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
            for piece in response.iter_bytes(_CHUNK_BYTES):
                if file.tell() + len(piece) > most_bytes:
                    raise SetupFailed(f"{address} sends more than {most_bytes} bytes")
                digest.update(piece)
                file.write(piece)
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


def _install(folder: Path, source: Path, entry: UpstreamWeights, file: RemoteFile) -> WeightsFile:
    """Move a downloaded file into place: one that recipes name is admitted, any other is pinned."""
    if not entry.name:
        files.move_into_place(source, folder / file.place)
        return WeightsFile(file.place, file.sha256)
    is_of_zoo = entry.model == predictor_cache.WEIGHTS_KIND
    return admission.admit_file(
        folder,
        source,
        AdmittedFile(
            name="",
            sha256=file.sha256,
            kind=entry.model,
            config=entry.name if is_of_zoo else "",
            entry="" if is_of_zoo else entry.name,
            handling={} if entry.handling is None else entry.handling.non_defaults,
            source=file.address,
            licence=entry.licence,
            data_terms=entry.data_terms,
        ),
    ).file


# Any: TOML holds any type; RemoteFile and UpstreamWeights are the parsed values.
def _entry(table: Mapping[str, Any]) -> UpstreamWeights:
    habits = table.get("handling")
    return UpstreamWeights(
        model=table["model"],
        name=table["name"],
        title=table["title"],
        source=table["source"],
        licence=table["licence"],
        data_terms=table["data_terms"],
        files=tuple(
            RemoteFile(file["address"], file["sha256"], file["bytes"], file.get("place", ""))
            for file in table["file"]
        ),
        handling=None if habits is None else handling.parse(habits),
        note=table.get("note", ""),
    )


def _of_zoo(config: zoo.ZooConfig) -> UpstreamWeights:
    return UpstreamWeights(
        model=predictor_cache.WEIGHTS_KIND,
        name=config.name,
        title=f"detectron2's {config.name.rpartition('/')[2]}: {config.makes}",
        source="github.com/facebookresearch/detectron2, MODEL_ZOO.md",
        licence=ZOO_LICENSE,
        data_terms="the data set's own, as its name says",
        files=(
            RemoteFile(
                f"{ZOO_ADDRESS}/{config.name}/{config.checkpoint}",
                sha256="",
                most_bytes=ZOO_MAX_BYTES,
            ),
        ),
    )
