"""Compare two ways to process photos in paired rounds.

A bare function runs in threads of this process. A server gets its photos from eight clients, whose
processor time is not counted. What all its processes use at rest, the median of the pauses before
the rounds, is subtracted. Rounds alternate in order, so other load of the machine affects both.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from benchmarks import service
from benchmarks.figures import Figure

_CLIENTS = 8
_ROUNDS = 5
_PHOTOS = 24
_REST_SECONDS = 5.0
_MAX_SPREAD = 0.25


class NoFigures(RuntimeError):
    """A server cannot be measured, or its figures cannot be trusted; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a round has used.

    used: processor seconds.  rest: processor seconds a second before the round.
    """

    photos: int
    used: float
    seconds: float
    rest: float = 0.0

    def less(self, rest: float) -> "Round":
        """Return the round without what a server uses at rest."""
        cost_ms = 1000 * (self.used - rest * self.seconds) / self.photos
        return Round(cost_ms, self.photos / self.seconds)


@dataclass(frozen=True, slots=True)
class Round:
    """Processor milliseconds for a photo, and photos a second."""

    cost_ms: float
    rate: float


class Measured(Protocol):
    """One of the two ways to process photos."""

    def measure(self, photos: int) -> Usage:
        """Process the photos of one round.  Raises NoFigures."""
        ...


@dataclass(frozen=True, slots=True)
class BareFunction:
    """The bare function, called by threads of this process."""

    run: Callable[[bytes], bytes]
    selfies: Iterator[bytes]

    def measure(self, photos: int) -> Usage:
        """Process the photos of one round."""
        work = list(islice(self.selfies, photos))
        started_at, used = time.perf_counter(), time.process_time()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(self.run, work))
        return Usage(photos, time.process_time() - used, time.perf_counter() - started_at)


@dataclass(frozen=True, slots=True)
class Server:
    """A running server and a call that sends it one photo.

    pid: the ancestor of all its processes.
    cut_out: returns the picture for a photo, or raises NoFigures; any thread may call it.
    """

    pid: int
    cut_out: Callable[[bytes], bytes]
    selfies: Iterator[bytes]

    def measure(self, photos: int) -> Usage:
        """Send the photos of one round."""
        at_rest = service.processor_seconds(self.pid)
        time.sleep(_REST_SECONDS)
        before = service.processor_seconds(self.pid)
        work = list(islice(self.selfies, photos))
        started_at = time.perf_counter()
        with ThreadPoolExecutor(_CLIENTS) as pool:
            for _ in pool.map(self.cut_out, work):
                pass
        seconds = time.perf_counter() - started_at
        used = service.processor_seconds(self.pid) - before
        return Usage(photos, used, seconds, (before - at_rest) / _REST_SECONDS)


def measure_pairs(
    first: Measured, second: Measured, *, photos: int = _PHOTOS
) -> list[tuple[Round, Round]]:
    """Return the rounds of one way, each with the other's round next to it.

    photos: of each round.
    """
    first.measure(photos)  # loads models and fills caches
    second.measure(photos)
    of_one, of_other = [], []
    for number in range(_ROUNDS):
        if number % 2:
            of_other.append(second.measure(photos))
        of_one.append(first.measure(photos))
        if not number % 2:
            of_other.append(second.measure(photos))
    return list(zip(_without_rest(of_one), _without_rest(of_other), strict=True))


def compare(
    name: str,
    pairs: list[tuple[Round, Round]],
    *,
    max_cost: float | None = None,
    min_rate: float | None = None,
) -> list[Figure]:
    """Return cost and rate of a server, with their ratios to the bare function.

    name: of the server.  max_cost, min_rate: goals of the ratios.
    Raises NoFigures when the ratios of cost differ by more than 25 % from their median.
    """
    costs = cost_ratios(pairs)
    return [
        Figure(name=f"{name}: bare", unit="ms", samples=[bare.cost_ms for bare, _ in pairs]),
        Figure(name=f"{name}: server", unit="ms", samples=[server.cost_ms for _, server in pairs]),
        Figure(name=f"{name}: processor time", unit="× bare", samples=costs, goal=max_cost),
        Figure(
            name=f"{name}: photos a second",
            unit="of bare",
            samples=[server.rate / bare.rate for bare, server in pairs],
            goal=min_rate,
            kind="at least",
        ),
    ]


def cost_ratios(pairs: list[tuple[Round, Round]]) -> list[float]:
    """Return the second cost over the first of each pair.

    Raises NoFigures when the ratios differ by more than 25 % from their median.
    """
    costs = [server.cost_ms / bare.cost_ms for bare, server in pairs]
    middle = statistics.median(costs)
    if max(abs(cost - middle) for cost in costs) > _MAX_SPREAD * middle:
        listed = ", ".join(f"{cost:.2f}" for cost in costs)
        raise NoFigures(f"not reported: ratios of {listed} differ by more than {_MAX_SPREAD:.0%}")
    return costs


def _without_rest(rounds: Sequence[Usage]) -> list[Round]:
    # Servers rest in bursts, so one round's rest is not the rest during its photos.
    rest = statistics.median(round_.rest for round_ in rounds)
    return [round_.less(rest) for round_ in rounds]
