"""Read the memory limit of the container, and limit what the C library keeps of freed memory."""

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from smart_filter_shared.errors import SetupFailed

_CGROUPS: Final = Path("/sys/fs/cgroup")
_OWN_GROUPS: Final = Path("/proc/self/cgroup")
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # Source: glibc's malloc.h
# Above ordinary requests and answers, below photos.
_BODY_BYTES: Final = 1024 * 1024
# Files that Docker and Podman create in a container.
_CONTAINER_MARKS: Final = (Path("/.dockerenv"), Path("/run/.containerenv"))


def configure_malloc(*, mapped_bytes: int = _BODY_BYTES, kept_bytes: int = _BODY_BYTES) -> None:
    """Limit the freed memory that the C library keeps; call it before threads start.

    After the first big block is freed, glibc by default keeps blocks of up to 32 MB in its
    heaps, one heap per thread; these stay at their largest size. After 64 photos of 6 MB the API
    held 141 MB, and 134 MB with these limits. It does nothing with another C library.

    mapped_bytes: of a block that returns to the system as soon as it is freed.  kept_bytes: free
    bytes that each arena keeps.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_M_MMAP_THRESHOLD, mapped_bytes)
        library.mallopt(_M_TRIM_THRESHOLD, kept_bytes)
        library.mallopt(_M_ARENA_MAX, 2)
        library.malloc_trim(0)  # the API's imports leave 7 MB


def read_limit(places: Sequence[Path] | None = None) -> int | None:
    """Return the limit in bytes; None without one.

    places: files that may hold it, by default from `list_places`; the first that exists counts.
    cgroup v1 states no limit as a number above the memory of any machine.
    """
    for place in list_places() if places is None else places:
        try:
            limit = place.read_text(encoding="ascii").strip()
        except OSError:
            continue
        return int(limit) if limit.isdigit() else None
    return None


def read_available() -> float:
    """Return the bytes that the container, or else the machine, has in all."""
    machine = float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    limit = read_limit()
    return machine if limit is None else min(machine, float(limit))


def ensure_enough(process: str, *, needed: float, available: float | None = None) -> None:
    """Raise SetupFailed when the kernel would kill a process while it does its work.

    process: its name for the operator, such as "the API".  needed, available: bytes; None for what
    the container has.
    """
    limit = read_available() if available is None else available
    if limit < needed:
        raise SetupFailed(
            f"the memory limit of {limit / 1e6:.0f} MB is too small for {process}, which needs at"
            f" least {needed / 1e6:.0f} MB: raise the limit of the container"
        )


def is_hidden(
    places: Sequence[Path] | None = None, marks: Sequence[Path] = _CONTAINER_MARKS
) -> bool:
    """Return whether this is a container whose limit cannot be read.

    A machine needs no such file: with cgroup v2 it has none.
    """
    files = list_places() if places is None else places
    return any(mark.exists() for mark in marks) and not any(file.exists() for file in files)


def list_places(root: Path = _CGROUPS, own_groups: Path = _OWN_GROUPS) -> list[Path]:
    """Return the files that may hold the limit.

    root: where the kernel's cgroups are mounted.  own_groups: this process's, as the kernel lists
    them: a container in the machine's cgroup namespace has its files below the root.
    Source: Linux, Documentation/admin-guide, cgroup-v2.rst and cgroup-v1/memory.rst.
    """
    try:
        lines = own_groups.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    groups = [line.removeprefix("0::/") for line in lines if line.startswith("0::/")]
    second_version = [root / group / "memory.max" for group in (*groups, "")]
    return [*second_version, root / "memory" / "memory.limit_in_bytes"]
