"""A working folder full of files that a careless process would load, and who opens them.

The kernel reports each file that is opened, by inotify: no file has to be a working library.
"""

import contextlib
import ctypes
import errno
import os
import struct
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

# The values of the kernel's interface, by linux/inotify.h.
_OPENED, _OVERFLOW = 0x20, 0x4000
_EVENT = struct.Struct("=iIII")
_MAX_READ_BYTES = 1 << 20

_FOLDERS = ("", "artifacts", "glibc-hwcaps/x86-64-v3", "lib", "lib64", "libs", "tls")
_LIBRARIES = ("libz.so.1", "libffi.so.8", "libc2pa_c.so", "libssl.so.3", "libvalkey.so")
_MODULES = ("celeryconfig", "pip", "settings", "sitecustomize", "usercustomize")
_PROGRAMS = (
    *("cc", "gcc", "git", "initdb", "ldconfig", "node", "npm", "nvidia-smi", "pip", "postgres"),
    *("python", "python3", "redis-server", "sh", "smart-filter", "valkey-server"),
)
_CONFIGURATION = (
    *(".env", ".netrc", ".npmrc", ".pgpass", "alembic.ini", "logging.conf", "matplotlibrc"),
    *("openssl.cnf", "package.json", "pip.conf", "pip.ini", "postgresql.conf", "pyproject.toml"),
    *("pyvenv.cfg", "setup.cfg", "valkey.conf"),
)


def fill(folder: Path) -> None:
    """Create the files: every module and library of this environment, programs, configuration."""
    maps = Path("/proc/self/maps").read_text("utf-8").splitlines()
    loaded = {Path(line.split()[-1]).name for line in maps if ".so" in line}
    modules = {*sys.stdlib_module_names, *metadata.packages_distributions(), *_MODULES}
    for part in _FOLDERS:
        (folder / part).mkdir(parents=True, exist_ok=True)
        for library in loaded | set(_LIBRARIES):
            (folder / part / library).write_bytes(b"no library")
    for module in modules:
        if module.isidentifier():
            (folder / f"{module}.py").write_text("raise SystemExit('code of the working folder')\n")
    for name in _PROGRAMS:
        (folder / name).write_text("#!/bin/sh\nexit 99\n")
        (folder / name).chmod(0o755)
    for name in _CONFIGURATION:
        (folder / name).write_text("[broken\n")


class OpenedFiles:
    """The files of a folder that any process has opened so far."""

    def __init__(self, folder: Path) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._inotify = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self._inotify >= 0, errno.errorcode[ctypes.get_errno()]
        self._folders = {self._watch(part): part for part in (folder, *_list_folders(folder))}

    def read(self) -> set[str]:
        """Return what was opened since the last call: files, and folders that were listed."""
        opened = set()
        with contextlib.suppress(BlockingIOError):
            while events := os.read(self._inotify, _MAX_READ_BYTES):
                opened |= set(self._parse(events))
        return opened

    def close(self) -> None:
        os.close(self._inotify)

    def _watch(self, folder: Path) -> int:
        watch: int = self._libc.inotify_add_watch(self._inotify, os.fsencode(folder), _OPENED)
        assert watch >= 0, errno.errorcode[ctypes.get_errno()]
        return watch

    def _parse(self, events: bytes) -> Iterator[str]:
        while events:
            watch, kind, _, length = _EVENT.unpack_from(events)
            assert not kind & _OVERFLOW
            name = events[_EVENT.size : _EVENT.size + length].rstrip(b"\0")
            yield str(self._folders[watch] / os.fsdecode(name))
            events = events[_EVENT.size + length :]


def _list_folders(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_dir())
