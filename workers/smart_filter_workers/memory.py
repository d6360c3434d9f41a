"""How much memory the process takes, and how the C library keeps what was freed."""

import ctypes
import os
from dataclasses import dataclass
from pathlib import Path

# Of what there is; the rest is the system's, and for pictures that are larger than usual.
_SHARE = 0.8
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # Source: glibc's malloc.h
_PICTURE_BYTES = 4 * 1024 * 1024
_ARENAS = 2


def return_pictures() -> None:
    """Have the memory of pictures go back to the system as soon as they are freed.

    By default glibc learns from the first big block freed to keep blocks of up to 32 MB in
    its heaps, one for each thread; they stay as large as the worst moment made them. Ends of
    a run with 12 MP photos: 840 MB before, 700 MB after (docs/measurements.md). Must be
    called before threads start. Another C library is left alone.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _PICTURE_BYTES)
        mallopt(_M_ARENA_MAX, _ARENAS)


@dataclass(frozen=True, slots=True)
class Room:
    """How much memory this process may take, in bytes of resident pages."""

    limit_bytes: float

    def is_exceeded(self) -> bool:
        """Whether the process takes more than that."""
        return resident_bytes() > self.limit_bytes

    def give_back(self) -> None:
        """Have the C library return what was freed to the system."""
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def room(limit_mb: float | None) -> Room:
    """Return the room that is configured, else four fifths of the machine's or container's."""
    return Room(_SHARE * _available_bytes() if limit_mb is None else limit_mb * 1e6)


def resident_bytes() -> int:
    """Return how much memory the process takes now.  Source: proc_pid_statm(5)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _available_bytes() -> float:
    machine = float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    # The limit of the container, when there is one.  Source: Linux, cgroup-v2.rst, memory.max.
    limit = Path("/sys/fs/cgroup/memory.max")
    try:
        return min(machine, float(limit.read_text(encoding="ascii")))
    except (OSError, ValueError):  # no such file, or the word "max"
        return machine
