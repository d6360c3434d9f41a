"""Measure the memory of all processes while eight clients send selfies of 12 MP.

    python -m benchmarks.memory [SIDE PHOTOS MEMORY_MB]

SIDE: of square photos, in pixels; 7000 for the largest.  MEMORY_MB: the worker's memory limit.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

from benchmarks import figures, photos, service
from benchmarks.figures import Figure
from smart_filter_client import Client

_CLIENTS = 8
_PHOTOS = 32
_MOST_MB = {"api": 150.0, "worker": 900.0, "up": None}
# Goals for what is left _IDLE_SECONDS after the last photo.
_MOST_IDLE_MB = {"all": 1000.0, "worker": 350.0, "api": 120.0}
_IDLE_SECONDS = 20


def measure(
    side: int = photos.SIDE_OF_12_MP, count: int = _PHOTOS, memory_mb: int | None = None
) -> list[Figure]:
    """Load the service; return each process's resident memory: before, its peak and the end."""
    selfies = photos.selfies(side)
    settings = {} if memory_mb is None else {"SMART_FILTER_MEMORY_MB": str(memory_mb)}
    with service.folder() as data, service.up(data, settings=settings) as running:
        client = running.client
        before = {kind: running.memory_mb(kind, "VmRSS") for kind in _MOST_MB}
        _through(client, next(selfies))
        with ThreadPoolExecutor(_CLIENTS) as pool:
            sent = [pool.submit(_through, client, next(selfies)) for _ in range(count)]
            for done in sent:
                done.result()
        lines = [
            Figure(
                name=f"{kind}, resident {when}",
                unit="MB",
                samples=[megabytes],
                goal=goal if side == photos.SIDE_OF_12_MP else None,
            )
            for kind, limit in _MOST_MB.items()
            for when, megabytes, goal in (
                ("before", before[kind], None),
                ("at its height", running.memory_mb(kind, "VmHWM"), limit),
                ("after", running.memory_mb(kind, "VmRSS"), None),
            )
        ]
        time.sleep(_IDLE_SECONDS)
        return lines + [
            Figure(
                name=f"{kind}, its share of memory when idle",
                unit="MB",
                samples=[running.memory_mb(kind, "Pss")],
                goal=limit,
            )
            for kind, limit in _MOST_IDLE_MB.items()
        ]


def _through(client: Client, photo: bytes) -> None:
    if not client.wait(client.submit(photo).id, 300).succeeded:
        raise RuntimeError("a job did not succeed")


if __name__ == "__main__":
    figures.print_figures(measure(*map(int, sys.argv[1:])))
