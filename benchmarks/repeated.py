"""Measure what a photo costs all processes together when it is sent again with the same recipe.

python -m benchmarks.repeated

The second job reuses every result of the first: it ends when it is submitted. Rounds send new
photos and then the same ones again, by eight clients; what the processes use at rest is subtracted.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from benchmarks import figures, photos, service
from benchmarks.figures import Figure
from benchmarks.paired import NoFigures
from benchmarks.photo_cpu import CUT_OUT
from benchmarks.service import Service
from smart_filter_client import Recipe

_CLIENTS = 8
_ROUNDS = 5
_PHOTOS = 96
_WARM_UP = 32
_WAIT_SECONDS = 60
_REST_SECONDS = 5.0
# Goal: processor time of a photo sent again, in percent of that of a new one.
_MOST_PERCENT = 15.0
# Recipes whose picture does not depend on chance.
_RECIPES: dict[str, Recipe] = {"cut-out": CUT_OUT, "default job with a seed": {"seed": 1}}


def measure() -> list[Figure]:
    """Return the cost of new photos, of the same ones sent again, and their ratio."""
    results: list[Figure] = []
    with service.folder() as data, service.up(data, remember=True) as running:
        selfies = photos.selfies(photos.SIDE_OF_1_MP)
        for name, recipe in _RECIPES.items():
            _send(running, recipe, list(islice(selfies, _WARM_UP)))
            rounds = [_measure_round(running, recipe, selfies) for _ in range(_ROUNDS)]
            results += _figures(name, rounds)
    return results


def _measure_round(
    running: Service, recipe: Recipe, selfies: Iterator[bytes]
) -> tuple[float, float]:
    """Return the processor milliseconds of a new photo, and of one that is sent again."""
    sent = list(islice(selfies, _PHOTOS))
    at_rest = service.processor_seconds(running.pid)
    time.sleep(_REST_SECONDS)
    rest = (service.processor_seconds(running.pid) - at_rest) / _REST_SECONDS
    return _cost_ms(running, recipe, sent, rest), _cost_ms(running, recipe, sent, rest)


def _cost_ms(running: Service, recipe: Recipe, sent: Sequence[bytes], rest: float) -> float:
    before, started_at = service.processor_seconds(running.pid), time.perf_counter()
    _send(running, recipe, sent)
    used = service.processor_seconds(running.pid) - before
    return 1000 * (used - rest * (time.perf_counter() - started_at)) / len(sent)


def _send(running: Service, recipe: Recipe, sent: Sequence[bytes]) -> None:
    def run(photo: bytes) -> None:
        job = running.client.submit(photo, recipe, wait=_WAIT_SECONDS)
        if not job.succeeded:
            raise NoFigures(f"not reported: job {job.id} {job.state}: {job.error}")
        running.client.output(job.id, "image")

    with ThreadPoolExecutor(_CLIENTS) as pool:
        for _ in pool.map(run, sent):
            pass


def _figures(name: str, rounds: Sequence[tuple[float, float]]) -> list[Figure]:
    return [
        Figure(name=f"{name}: new", unit="ms", samples=[new for new, _ in rounds]),
        Figure(name=f"{name}: again", unit="ms", samples=[again for _, again in rounds]),
        Figure(
            name=f"{name}: again",
            unit="% of new",
            samples=[100 * again / new for new, again in rounds],
            goal=_MOST_PERCENT,
        ),
    ]


if __name__ == "__main__":
    figures.print_figures(measure())
