"""Make a peer's environment from its pinned requirements."""

import hashlib
import subprocess
import sys
from pathlib import Path

from benchmarks.paired import NoFigures

_ROOT = Path(__file__).parents[2]
_REQUIREMENTS = Path(__file__).parent / "requirements"
_ENVIRONMENTS = _ROOT / "build" / "peers"
# Folders with the modules that `benchmarks.bare_cut_out` imports.
MODULE_PATHS = (_ROOT, _ROOT / "client", _ROOT / "shared", _ROOT / "workers")


def install(name: str) -> Path:
    """Return the folder of a peer's environment; make it when it is missing or out of date.

    Raises NoFigures when its packages cannot be installed.
    """
    requirements = _REQUIREMENTS / f"{name}.txt"
    folder = _ENVIRONMENTS / name
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    installed = folder / "installed.sha256"
    if installed.exists() and installed.read_text() == digest:
        return folder
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    pip = subprocess.run(
        [folder / "bin" / "python", "-m", "pip", "install", "-q", "-r", requirements],
        capture_output=True,
        text=True,
        check=False,
    )
    if pip.returncode:
        raise NoFigures(f"not installed: {last_line(pip.stderr)}")
    installed.write_text(digest)
    return folder


def last_line(output: str) -> str:
    """Return the last line of a program's output that is not empty."""
    return next((line for line in reversed(output.splitlines()) if line.strip()), "no output")
