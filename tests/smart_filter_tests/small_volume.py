"""A volume of its own for a folder of the service, which takes nothing more for a while."""

import contextlib
import errno
import itertools
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_PIECE = b"\0" * 65536


@contextmanager
def small_volume(path: Path, megabytes: int, *, mode: int, files: int = 0) -> Iterator[Path]:
    """Mount a volume at a new folder while the block lasts; skip the test where that is forbidden.

    mode: permissions of the folder.  files: its most files and folders; 0: as its size allows.
    """
    mount = shutil.which("mount")
    if mount is None:
        pytest.skip("no `mount`: install util-linux")
    path.mkdir(mode=mode)
    options = f"size={megabytes}m,mode={mode:o},nr_inodes={files}"
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


@contextmanager
def without_inodes(volume: Path) -> Iterator[None]:
    """Let a volume take no new file while the block lasts."""
    ballast = volume / "ballast"
    ballast.mkdir()
    with contextlib.suppress(OSError):
        for number in itertools.count():
            (ballast / str(number)).touch()
    try:
        yield
    finally:
        shutil.rmtree(ballast)


@contextmanager
def read_only(volume: Path) -> Iterator[None]:
    """Mount a volume, in which no file is open, read-only while the block lasts."""
    _remount(volume, "ro")
    try:
        yield
    finally:
        _remount(volume, "rw")


def _remount(volume: Path, access: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{access}", str(volume)], check=True)
