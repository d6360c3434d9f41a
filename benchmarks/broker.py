"""Measure submissions while the broker works, and while it accepts bytes and never answers.

No worker runs, so only the submission is timed.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from benchmarks import figures, photos, service
from benchmarks.figures import Figure, percentile
from smart_filter_client import Client
from smart_filter_deploy.cli.server import program
from smart_filter_deploy.embedded.addresses import LOOPBACK, free_port
from smart_filter_deploy.embedded.child_processes import Command
from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_deploy.embedded.stack import Stack
from smart_filter_tests.proxy import Mode, Proxy

_KEY = "sf_local_bench"
_WARM_UP = 10
_ROUNDS = 5
_PHOTOS = 80
_SETTLE_SECONDS = 1.2  # after a failed ring the API sends none for one second
_MOST_LATER_MS = 50.0


def measure() -> list[Figure]:
    """Submit in rounds with an answering and a silent broker in turn; return the times."""
    selfies = photos.selfies(photos.SIDE_OF_1_MP)
    took: dict[Mode, list[list[float]]] = {Mode.PASS: [], Mode.SWALLOW: []}
    with _api_behind_proxy() as (client, proxy):
        for number in range(_ROUNDS):
            modes = sorted(took, reverse=bool(number % 2))
            for mode in modes:
                proxy.mode = mode
                proxy.cut()
                time.sleep(_SETTLE_SECONDS)
                for _ in range(_WARM_UP):
                    client.submit(next(selfies))
                round_ms = [_ms(lambda: client.submit(next(selfies))) for _ in range(_PHOTOS)]
                took[mode].append(round_ms)
    well, swallowed = ([ms for times in took[mode] for ms in times] for mode in took)
    later = [
        percentile(bad, 99) - percentile(good, 99)
        for good, bad in zip(took[Mode.PASS], took[Mode.SWALLOW], strict=True)
    ]
    return [
        Figure(name="submit, broker well", unit="ms", samples=well),
        Figure(name="submit, broker black-holed", unit="ms", samples=swallowed),
        *(
            Figure(name=f"p99 of all, broker {name}", unit="ms", samples=[percentile(samples, 99)])
            for name, samples in (("well", well), ("black-holed", swallowed))
        ),
        Figure(name="p99 later, black-holed", unit="ms", samples=later, goal=_MOST_LATER_MS),
    ]


@contextmanager
def _api_behind_proxy() -> Iterator[tuple[Client, Proxy]]:
    port = free_port()
    with service.folder() as data, Stack(DataFolder.at(data)) as stack:
        broker = urlsplit(stack.addresses.broker_url)
        assert broker.port is not None
        with Proxy(LOOPBACK, broker.port) as proxy:
            url = stack.addresses.broker_url.replace(f":{broker.port}/", f":{proxy.port}/")
            api = Command(
                name="api",
                argv=program.command("api", "--port", str(port)),
                env={"SMART_FILTER_BROKER_URL": url},
                ready=lambda: service.answers(f"http://{LOOPBACK}:{port}/livez"),
            )
            stack.start(service.prepare(_KEY), api)
            with Client(f"http://{LOOPBACK}:{port}", _KEY) as client:
                yield client, proxy


def _ms(call: Callable[[], object]) -> float:
    started_at = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - started_at)


if __name__ == "__main__":
    figures.print_figures(measure())
