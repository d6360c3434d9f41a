"""Build our images, on bases from a registry or on stand-ins for them."""

import dataclasses
import re
import secrets
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import yaml

from containers.engine import CHECKOUT, STANDINS, Engine

_STANDIN_BASE: Final = "smart-filter-standin:base"  # deploy/standins/make.sh
# Where a new migration marks a version from which operators upgrade.
_MIGRATIONS = "shared/smart_filter_shared/db/migrations/versions"
_FIRST_SCHEMA = [f"{_MIGRATIONS}/0001_first_schema.{kind}" for kind in ("py", "sql")]
# What an image has of the checkout, besides its dependencies.
_OUR_CODE = (
    *("Dockerfile.api", "Dockerfile.gpu-worker", "api", "client"),
    *("deploy/package.md", "deploy/smart_filter", "deploy/smart_filter_deploy", "hatch_build.py"),
    *("pyproject.toml", "shared", "workers"),
)
_NAMING_IMAGES: Final = (
    *("Dockerfile.api", "Dockerfile.gpu-worker", "docker-compose.yml"),
    *("deploy/compose.tls.yml", "deploy/compose.release.yml"),
)
_SERVERS = ("postgres", "valkey", "storage", "prometheus")
_DOCKERFILES: Final = {"api": "Dockerfile.api", "worker-cpu": "Dockerfile.gpu-worker"}


@dataclass(frozen=True, slots=True)
class OwnImages:
    """The names of our two images, of one version of the code.

    registry: the part of the names before the slash, of no server.
    """

    registry: str
    api: str
    worker: str


def list_bases() -> list[str]:
    """Return the images of others that the stack and our images need."""
    services = yaml.safe_load(read_unpinned(CHECKOUT / "docker-compose.yml"))["services"]
    bases = [services[name]["image"] for name in _SERVERS]
    for dockerfile in _DOCKERFILES.values():
        text = read_unpinned(CHECKOUT / dockerfile)
        bases += re.findall(r"^ARG (?:PYTHON|UBUNTU)=(\S+)$", text, re.MULTILINE)
    return sorted(set(bases))


def list_more_servers() -> list[str]:
    """Return the images of monitoring and of TLS, which only an operator's first hour needs."""
    files = ("docker-compose.yml", "deploy/compose.tls.yml")
    services = [
        service
        for file in files
        for service in yaml.safe_load(read_unpinned(CHECKOUT / file))["services"].values()
    ]
    others = {service["image"] for service in services if "image" in service}
    return sorted(name for name in others - set(list_bases()) if name.startswith("docker.io/"))


@contextmanager
def provide(engine: Engine, names: Sequence[str]) -> Iterator[list[str]]:
    """Pull images of others, or make stand-ins where no registry answers; yield those.

    Stand-ins are removed afterwards, so that no later build uses one in place of the real image.
    """
    missing: list[str] = []
    for name in names:
        if engine.run("docker", "image", "inspect", name, check=False).returncode == 0:
            continue
        if missing or engine.run("docker", "pull", "--quiet", name, check=False).returncode != 0:
            missing.append(name)
    try:
        if missing:
            engine.run(STANDINS / "make.sh", *missing)
        yield missing
    finally:
        if missing:
            _remove(engine, *missing, _STANDIN_BASE)


@contextmanager
def built(engine: Engine, *, previous: bool = False) -> Iterator[OwnImages]:
    """Build both images from a copy of the checkout, side by side; remove them afterwards.

    previous: with the code before the newest migration, or the test is skipped.
    """
    registry = f"smart-filter.test/{secrets.token_hex(4)}"
    version = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["version"]
    api = f"{registry}/smart-filter-api:{version}"
    worker = f"{registry}/smart-filter-gpu-worker:{version}-cpu"
    try:
        with (
            tempfile.TemporaryDirectory(prefix="smart-filter-build-") as folder,
            ThreadPoolExecutor() as pool,
        ):
            context = copy_checkout(Path(folder))
            if previous:
                # Dependencies stay, so that their layers are built once.
                restore_previous(context, *_OUR_CODE)
            builds = [pool.submit(_build, engine, context, kind, registry) for kind in _DOCKERFILES]
            for build in builds:
                build.result()
        yield OwnImages(registry, api, worker)
    finally:
        _remove(engine, api, worker)


@dataclass(frozen=True, slots=True)
class ImageSizes:
    """The bytes of our images, and those that they add to their bases."""

    api: int
    api_added: int
    worker: int
    worker_added: int


def measure_sizes(engine: Engine, images: OwnImages) -> ImageSizes:
    """Return the sizes as the engine reports them: unpacked."""
    python, ubuntu = (
        next(name for name in list_bases() if f"/{kind}:" in name) for kind in ("python", "ubuntu")
    )
    form = "--format={{.Size}}"
    api, worker, api_base, worker_base = (
        int(engine.docker("image", "inspect", form, name))
        for name in (images.api, images.worker, python, ubuntu)
    )
    return ImageSizes(api, api - api_base, worker, worker - worker_base)


def describe_sizes(sizes: ImageSizes) -> str:
    """Return a sentence with the sizes in MB."""
    api, api_added, worker, worker_added = (
        size // 1_000_000 for size in (sizes.api, sizes.api_added, sizes.worker, sizes.worker_added)
    )
    return (
        f"Image of the API: {api} MB, {api_added} more than its base;"
        f" of workers: {worker} MB, {worker_added} more."
    )


def copy_checkout(folder: Path) -> Path:
    """Copy the files that git knows or would take, without the secrets of this machine.

    Images of others are without digests, which no stand-in has.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (CHECKOUT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, folder / name)
    _unpin_images(folder)
    return folder


def restore_previous(folder: Path, *names: str) -> None:
    """Replace files and folders in a copy of the checkout by those before the newest migration.

    Skips the test in a clone that does not have them.
    """
    newest = _git("log", "--max-count=1", "--diff-filter=A", "--format=%H", "--", _MIGRATIONS)
    if not newest or not (previous := _git("rev-parse", "--verify", "--quiet", f"{newest}^")):
        pytest.skip("this clone has no history of migrations")
    # Until a version is published, the first schema changes in place.
    if _git("diff", "--name-only", previous, "HEAD", "--", *_FIRST_SCHEMA):
        pytest.skip("nothing is published: the first schema was rewritten after that version")
    for name in names:
        place = folder / name
        shutil.rmtree(place) if place.is_dir() else place.unlink()
    archive = subprocess.run(
        ["git", "archive", previous, *names], cwd=CHECKOUT, check=True, stdout=subprocess.PIPE
    )
    # Python extracts archives safely from 3.11.4 on; Debian 12 has 3.11.2.
    subprocess.run(["tar", "--extract"], cwd=folder, input=archive.stdout, check=True)
    _unpin_images(folder)


def read_unpinned(file: Path) -> str:
    """Return a file's text without the digests of deploy/pin_images.sh, for stand-ins."""
    return re.sub(r"@sha256:[0-9a-f]{64}", "", file.read_text())


def _unpin_images(folder: Path) -> None:
    for name in _NAMING_IMAGES:
        (folder / name).write_text(read_unpinned(folder / name))


def _build(engine: Engine, context: Path, kind: str, registry: str) -> None:
    here = dataclasses.replace(engine, environment={**engine.environment, "IMAGES": registry})
    here.run("deploy/release.sh", "build", kind, folder=context)


def _remove(engine: Engine, *names: str) -> None:
    if engine.is_private:
        return  # they end with its folder, which takes less time
    engine.run("docker", "image", "rm", "--force", *names, check=False)


def _git(*arguments: str) -> str:
    ended = subprocess.run(
        ["git", *arguments], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    return ended.stdout.strip() if ended.returncode == 0 else ""
