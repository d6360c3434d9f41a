"""Read the manifest of weights that are not in a package, and fetch their files."""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files as resources
from pathlib import Path
from typing import Any, Final

from smart_filter_shared.catalog.model_card import WeightsFile
from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.models import admission
from smart_filter_workers.networks import handling
from smart_filter_workers.networks.detectron2 import admission as zoo_admission
from smart_filter_workers.networks.detectron2 import zoo
from smart_filter_workers.networks.handling import Handling
from smart_filter_workers.weights import allowlist, download, packaged
from smart_filter_workers.weights.allowlist import AdmittedFile

# Source: detectron2's catalog of checkpoints, model_zoo/model_zoo.py.
ZOO_ADDRESS: Final = "https://dl.fbaipublicfiles.com/detectron2"
ZOO_LICENSE: Final = "CC-BY-SA-3.0"
ZOO_MODEL: Final = "detectron2"
# The zoo's largest file is 1.1 GB.
ZOO_MAX_BYTES: Final = 1_500_000_000

# Arguments: the name of the entry, the bytes received so far, and their upper limit.
ProgressCallback = Callable[[str, int, int], None]


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
    text = (
        resources("smart_filter_workers.models")
        .joinpath("upstream.toml")
        .read_text(encoding="utf-8")
    )
    listed = [_entry(table) for table in tomllib.loads(text)["entry"]]
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
    permits: download.AddressCheck = download.is_https,
    tell: ProgressCallback = lambda *_: None,
) -> list[WeightsFile]:
    """Fetch an entry's files into the weights folder; return those that were fetched.

    sha256: the digest that the file must have if the manifest has none.
    admit: whether to accept a file of unknown digest as it comes, and pin its digest.
    mirror: the URL of a mirror, see `mirror_address`.
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
    folder.mkdir(parents=True, exist_ok=True)
    files = [replace(file, address=mirror_address(file.address, mirror)) for file in entry.files]
    fetched = (
        _fetch_file(folder, entry, file, sha256=sha256, permits=permits, tell=tell)
        for file in files
    )
    return [file for file in fetched if file is not None]


def mirror_address(address: str, mirror: str) -> str:
    """Return the address of a file on a mirror: the mirror's URL plus the file's host and path.

    mirror: a URL such as `https://mirror.example/weights`; "" for none.
    """
    return f"{mirror.rstrip('/')}/{address.partition('://')[2]}" if mirror else address


def _fetch_file(
    folder: Path,
    entry: UpstreamWeights,
    file: RemoteFile,
    *,
    sha256: str,
    permits: download.AddressCheck,
    tell: ProgressCallback,
) -> WeightsFile | None:
    """Fetch one file, check it and install it; return None if it was there already."""
    wanted = file.sha256 or sha256.lower()
    if _is_there(folder, entry, file, wanted):
        return None
    with packaged.scratch_folder(folder, "pull") as scratch:
        partial_file = scratch / "partial"
        digest = download.download_file(
            file.address,
            partial_file,
            most_bytes=file.most_bytes,
            permits=permits,
            tell=lambda come: tell(entry.full_name, come, file.most_bytes),
        )
        if wanted and digest != wanted:
            raise SetupFailed(
                f"{file.address} has the SHA-256 {digest}, expected {wanted}: do not use it"
            )
        if not entry.name:
            packaged.move_into_place(partial_file, folder / file.place)
            return WeightsFile(file.place, digest)
        listed = _admit_file(entry, file, digest)
        if entry.model != ZOO_MODEL:
            return admission.admit_file(folder, partial_file, listed).file
        admitted = zoo_admission.admit_weights(partial_file, folder, config=entry.name)
        described = replace(
            admitted,
            source=listed.source,
            licence=listed.licence,
            data_terms=listed.data_terms,
        )
        allowlist.add(folder, described)
        return admitted.file


def _is_there(folder: Path, entry: UpstreamWeights, file: RemoteFile, digest: str) -> bool:
    if not entry.name:
        return packaged.find_fault(folder, WeightsFile(file.place, digest)) is None
    listed = [one for one in allowlist.read(folder) if one.kind == entry.model]
    named = [one for one in listed if entry.name in {one.entry, one.config}]
    # A file of unknown digest keeps the digest with which it was first admitted.
    return any(
        one.sha256 == (digest or one.sha256) and packaged.find_fault(folder, one.file) is None
        for one in named
    )


def _admit_file(entry: UpstreamWeights, file: RemoteFile, digest: str) -> AdmittedFile:
    return AdmittedFile(
        name=file.place,
        sha256=digest,
        kind=entry.model,
        entry=entry.name,
        handling={} if entry.handling is None else entry.handling.non_defaults,
        source=file.address,
        licence=entry.licence,
        data_terms=entry.data_terms,
    )


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
        model=ZOO_MODEL,
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
