"""Compare a server with the bare function in paired rounds of the same photos.

The bare function runs in threads of this process. The server gets its photos from eight clients,
whose processor time is not counted. What all its processes use at rest, the median of the pauses
before the rounds, is subtracted. Rounds alternate in order, so other load of the machine affects
both.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from benchmarks import service
from benchmarks.bare_cut_out import BareCutOut
from benchmarks.figures import Figure

_CLIENTS = 8
_ROUNDS = 5
_PHOTOS = 24
_REST_SECONDS = 5.0
_MAX_SPREAD = 0.25


class NoFigures(RuntimeError):
    """A server cannot be measured, or its figures cannot be trusted; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server and a call that sends it one photo.

    pid: the ancestor of all its processes.
    cut_out: returns the picture for a photo, or raises NoFigures; any thread may call it.
    """

    pid: int
    cut_out: Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Round:
    """Processor milliseconds for a photo, and photos a second."""

    cost_ms: float
    rate: float


def measure_pairs(
    bare: BareCutOut, server: Server, selfies: Iterator[bytes]
) -> list[tuple[Round, Round]]:
    """Return the rounds of the bare function, each with the server's round next to it."""
    _measure_bare(bare, selfies)  # loads models and fills caches
    _measure_server(server, selfies)
    of_bare, of_server = [], []
    for number in range(_ROUNDS):
        if number % 2:
            of_server.append(_measure_server(server, selfies))
        of_bare.append(_measure_bare(bare, selfies))
        if not number % 2:
            of_server.append(_measure_server(server, selfies))
    # Servers rest in bursts, so one round's rest is not the rest during its photos.
    rest = statistics.median(one.rest for one in of_server)
    return [(one, other.less(rest)) for one, other in zip(of_bare, of_server, strict=True)]


def compare(
    name: str,
    pairs: list[tuple[Round, Round]],
    *,
    max_cost: float | None = None,
    min_rate: float | None = None,
) -> list[Figure]:
    """Return cost and rate of the server, with their ratios to the bare function.

    max_cost, min_rate: goals of the ratios.
    Raises NoFigures when the ratios of cost differ by more than 25 % from their median.
    """
    costs = [server.cost_ms / bare.cost_ms for bare, server in pairs]
    middle = statistics.median(costs)
    if max(abs(cost - middle) for cost in costs) > _MAX_SPREAD * middle:
        listed = ", ".join(f"{cost:.2f}" for cost in costs)
        raise NoFigures(f"not reported: ratios of {listed} differ by more than {_MAX_SPREAD:.0%}")
    return [
        Figure(name=f"{name}: bare", unit="ms", samples=[bare.cost_ms for bare, _ in pairs]),
        Figure(name=f"{name}: server", unit="ms", samples=[one.cost_ms for _, one in pairs]),
        Figure(name=f"{name}: processor time", unit="× bare", samples=costs, goal=max_cost),
        Figure(
            name=f"{name}: photos a second",
            unit="of bare",
            samples=[one.rate / bare.rate for bare, one in pairs],
            goal=min_rate,
            kind="at least",
        ),
    ]


def _measure_bare(bare: BareCutOut, selfies: Iterator[bytes]) -> Round:
    work = list(islice(selfies, _PHOTOS))
    started_at, used = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(bare, work))
    return Round(
        1000 * (time.process_time() - used) / _PHOTOS,
        _PHOTOS / (time.perf_counter() - started_at),
    )


@dataclass(frozen=True, slots=True)
class _Usage:
    """Processor seconds of a round, its seconds, and processor seconds a second before it."""

    used: float
    seconds: float
    rest: float

    def less(self, rest: float) -> Round:
        """Return the round without what the server uses at rest."""
        return Round(1000 * (self.used - rest * self.seconds) / _PHOTOS, _PHOTOS / self.seconds)


def _measure_server(server: Server, selfies: Iterator[bytes]) -> _Usage:
    at_rest = service.processor_seconds(server.pid)
    time.sleep(_REST_SECONDS)
    before = service.processor_seconds(server.pid)
    work = list(islice(selfies, _PHOTOS))
    started_at = time.perf_counter()
    with ThreadPoolExecutor(_CLIENTS) as pool:
        for _ in pool.map(server.cut_out, work):
            pass
    seconds = time.perf_counter() - started_at
    used = service.processor_seconds(server.pid) - before
    return _Usage(used, seconds, (before - at_rest) / _REST_SECONDS)
