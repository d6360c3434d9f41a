"""Programs of Debian's packages, unpacked and not installed."""

import subprocess
from pathlib import Path
from typing import Final

import pytest

_SCRIPT: Final = Path(__file__).parents[2] / "deploy" / "standins" / "unpack.sh"


def own_release() -> str:
    """Return the code name of this machine's release of Debian, or ""."""
    lines = Path("/etc/os-release").read_text().splitlines()
    names = (line.partition("=")[2] for line in lines if line.startswith("VERSION_CODENAME="))
    return next(names, "")


def unpack(folder: Path, release: str, *packages: str, instead: str) -> None:
    """Unpack packages of a release; skip the test if they cannot be downloaded.

    instead: what to do then, for people.
    """
    ended = subprocess.run(
        [_SCRIPT, folder, release, *packages], capture_output=True, text=True, check=False
    )
    if ended.returncode != 0:
        reason = ended.stderr.strip()[-500:]
        pytest.skip(f"Debian's packages cannot be downloaded; {instead}: {reason}")
