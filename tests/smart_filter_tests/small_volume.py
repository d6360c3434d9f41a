"""A volume of its own for a server's data, which a test can fill."""

import contextlib
import errno
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_PIECE = b"\0" * 65536


@contextmanager
def small_volume(path: Path, megabytes: int, *, mode: int) -> Iterator[Path]:
    """Mount a volume at a new folder while the block lasts; skip the test where that is forbidden.

    mode: permissions of the folder.
    """
    mount = shutil.which("mount")
    if mount is None:
        pytest.skip("no `mount`: install util-linux")
    path.mkdir(mode=mode)
    options = f"size={megabytes}m,mode={mode:o}"
    mounted = subprocess.run(
        [mount, "-t", "tmpfs", "-o", options, "tmpfs", str(path)],
        check=False,
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"a small volume needs root with CAP_SYS_ADMIN: {mounted.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


@contextmanager
def filled(volume: Path) -> Iterator[None]:
    """Leave no byte free on a volume while the block lasts."""
    ballast = volume / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(_PIECE)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            ballast.unlink()
