"""Measure eight clients, against the same stages called by threads of one process.

Rounds are paired and alternate in order, so other load of the machine affects both.
"""

import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from benchmarks import figures, photos, service
from benchmarks.figures import Figure
from benchmarks.stages import open_stages
from smart_filter_client import Client
from smart_filter_deploy.cli.commands.options import default_threads
from smart_filter_shared.recipe import Recipe
from smart_filter_workers import images

_CLIENTS = 8
_ROUNDS = 4
_PHOTOS = 32
_LEAST_PERCENT = 45.0


def measure() -> list[Figure]:
    """Run 1 MP selfies through the service and through its stages alone; return both rates."""
    selfies = photos.selfies(photos.SIDE_OF_1_MP)
    seeds = itertools.count()
    with service.folder() as data, service.up(data) as running:
        peer = open_stages(data / "weights")

        def through_service(photo: bytes, seed: int) -> None:
            _through(running.client, photo, seed)

        def through_peer(photo: bytes, seed: int) -> None:
            peer.run(images.decode(photo), Recipe(seed=seed))

        variants = {
            "service": (through_service, _CLIENTS),
            "peer": (through_peer, default_threads()),
        }
        rates: dict[str, list[float]] = {name: [] for name in variants}
        for process, threads in variants.values():
            _rate(process, threads, selfies, seeds, count=_CLIENTS)
        for number in range(_ROUNDS):
            first_seed = next(seeds)
            for name in sorted(variants, reverse=bool(number % 2)):
                process, threads = variants[name]
                # The same seeds for both, because backgrounds differ in their cost.
                rates[name].append(
                    _rate(process, threads, selfies, itertools.count(first_seed), count=_PHOTOS)
                )
    pairs = zip(rates["service"], rates["peer"], strict=True)
    return [
        Figure(name=f"{_CLIENTS} clients", unit="photos/s", samples=rates["service"]),
        Figure(name="the same in one process", unit="photos/s", samples=rates["peer"]),
        Figure(
            name="service of one process",
            unit="%",
            samples=[100 * service_rate / peer_rate for service_rate, peer_rate in pairs],
            goal=_LEAST_PERCENT,
            kind="at least",
        ),
    ]


def _rate(
    process: Callable[[bytes, int], None],
    threads: int,
    selfies: Iterator[bytes],
    seeds: Iterator[int],
    *,
    count: int,
) -> float:
    """Return the rate in photos a second."""
    work = [(next(selfies), next(seeds)) for _ in range(count)]
    started_at = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(process, photo, seed) for photo, seed in work]:
            done.result()
    return count / (time.perf_counter() - started_at)


def _through(client: Client, photo: bytes, seed: int) -> None:
    job = client.wait(client.submit(photo, {"seed": seed}).id, 120)
    if not job.succeeded:
        raise RuntimeError(f"job {job.id} {job.state}: {job.error}")
    client.output(job.id, "image")


if __name__ == "__main__":
    figures.print_figures(measure())
