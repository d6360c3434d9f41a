"""Measure the memory of all processes while eight clients send 12 MP selfies."""

from concurrent.futures import ThreadPoolExecutor

from benchmarks import figures, photos, service
from benchmarks.figures import Figure
from smart_filter_client import Client

_CLIENTS = 8
_PHOTOS = 32
_MOST_MB = {"api": 150.0, "worker": 900.0, "up": None}


def measure() -> list[Figure]:
    """Load the service; return each process's resident memory, its peak and the end."""
    selfies = photos.selfies(photos.SIDE_OF_12_MP)
    with service.folder() as data, service.up(data) as running:
        client = running.client
        _through(client, next(selfies))
        with ThreadPoolExecutor(_CLIENTS) as pool:
            sent = [pool.submit(_through, client, next(selfies)) for _ in range(_PHOTOS)]
            for done in sent:
                done.result()
        return [
            Figure(
                name=f"{kind}, resident {when}",
                unit="MB",
                samples=[running.memory_mb(kind, field)],
                goal=goal,
            )
            for kind, limit in _MOST_MB.items()
            for field, when, goal in (("VmHWM", "at its height", limit), ("VmRSS", "after", None))
        ]


def _through(client: Client, photo: bytes) -> None:
    if not client.wait(client.submit(photo).id, 300).succeeded:
        raise RuntimeError("a job did not succeed")


if __name__ == "__main__":
    figures.print_figures(measure())
