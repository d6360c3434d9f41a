"""Install the packages of Node.js and Python projects once, and run programs of them."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

import pytest

_CHECKOUT: Final = Path(__file__).parents[2]
_INSTALLED: Final = _CHECKOUT / "build" / "clients"
# `npm ci` of the n8n node took 90 s where other suites used the same two cores.
_PATIENCE_SECONDS: Final = 480
_NO_REGISTRY: Final = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT", "ECONNRESET")
_CLIENT: Final = _CHECKOUT / "client" / "typescript"
# Of a checkout where the client was built by hand.
_BUILT: Final = shutil.ignore_patterns("node_modules", "dist", "compiled", "schema.ts")


def run_to_end(
    arguments: Sequence[str | Path], here: Path, environment: Mapping[str, str] | None = None
) -> str:
    """Run a program to its end; return all of its output."""
    ended = subprocess.run(
        arguments,
        cwd=here,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=_PATIENCE_SECONDS,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


def install_packages(project: Path) -> Path:
    """Return a folder with the packages that a project's lock names; skip without Node.js."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no Node.js: install it (Debian: sudo apt install nodejs npm)")
    return _install_once(project, project / "package-lock.json", _install)


def install_python_packages(project: Path) -> Path:
    """Return a folder with the packages of requirements.txt, for PYTHONPATH."""
    return _install_once(project, project / "requirements.txt", _install_for_python)


def _install_once(project: Path, lock: Path, install: Callable[[Path, Path], None]) -> Path:
    kind = f"{project.name}-{lock.stem}"
    installed = _INSTALLED / kind / hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    _INSTALLED.mkdir(parents=True, exist_ok=True)
    # Suites that run side by side install once.
    with (_INSTALLED / f"{kind}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not installed.exists():
            shutil.rmtree(installed.parent, ignore_errors=True)
            installed.parent.mkdir()
            with tempfile.TemporaryDirectory(dir=installed.parent) as made:
                install(project, Path(made))
                shutil.copytree(made, installed, symlinks=True)
    return installed


def _install(project: Path, made: Path) -> None:
    """Install what the lock of a project names; skip when npm reaches no registry."""
    for name in ("package-lock.json", "package.json"):
        shutil.copy(project / name, made)
    try:
        run_to_end(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], made)
    except AssertionError as failed:
        if any(word in str(failed) for word in _NO_REGISTRY):
            pytest.skip("npm reaches no registry: set one (npm config set registry URL)")
        raise


def _install_for_python(project: Path, made: Path) -> None:
    """Install requirements.txt; skip when pip reaches no registry."""
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    listed = ("--require-hashes", "--requirement", project / "requirements.txt")
    try:
        run_to_end([*pip, "--target", made, *listed], made)
    except AssertionError as failed:
        if "NewConnectionError" in str(failed) or "No matching distribution" in str(failed):
            pytest.skip("pip reaches no registry: set one (pip config set global.index-url URL)")
        raise


def compile_client(folder: Path, program: Literal["tests", "example"]) -> Path:
    """Compile the TypeScript client, and a program that uses it, in a new folder; return it.

    The folder lies next to docs/openapi.json, as in the checkout.
    """
    packages = install_packages(_CLIENT)
    copy = folder / "client" / "typescript"
    shutil.copytree(_CLIENT, copy, ignore=_BUILT)
    (copy / "node_modules").symlink_to(packages / "node_modules")
    (folder / "docs").mkdir()
    shutil.copy(_CHECKOUT / "docs" / "openapi.json", folder / "docs")
    run_to_end(["npm", "run", "build"], copy)
    run_to_end([copy / "node_modules" / ".bin" / "tsc", "--project", program], copy)
    return copy
