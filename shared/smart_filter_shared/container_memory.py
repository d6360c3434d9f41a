"""Read the memory limit of the container, with cgroup v2 or v1."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

# Source: Linux, Documentation/admin-guide, cgroup-v2.rst and cgroup-v1/memory.rst.
_PLACES: Final = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def read_limit(places: Sequence[Path] = _PLACES) -> int | None:
    """Return the limit in bytes; None without one.

    places: files that may hold it; the first that exists counts. cgroup v1 states no limit as a
    number above the memory of any machine.
    """
    for place in places:
        try:
            limit = place.read_text(encoding="ascii").strip()
        except OSError:
            continue
        return int(limit) if limit.isdigit() else None
    return None
