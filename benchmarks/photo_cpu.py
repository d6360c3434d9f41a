"""Measure what a photo of 1 MP costs all processes together, next to a bare function.

python -m benchmarks.photo_cpu

The bare function decodes the photo, asks the selfie networks once, enlarges their coverage and
encodes a PNG with transparency, with threads of one process and nothing else. The service is
`smart-filter up` with all its processes: API, worker, sender, PostgreSQL, Valkey and S3 server.
What they use at rest is subtracted. Rounds are paired and alternate in order, so other load of the
machine affects both. No figure is reported when a job fails or the pairs differ by more than 25 %.
"""

import itertools
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks import figures, photos, service
from benchmarks.figures import Figure
from benchmarks.service import Service
from smart_filter_client import Client
from smart_filter_workers.networks.selfie import GENERAL_SIZE_PX, SelfieNetworks
from smart_filter_workers.system import threads

_CLIENTS = 8
_ROUNDS = 5
_PHOTOS = 24
_REST_SECONDS = 5.0
_MAX_SPREAD = 0.25
_JOBS: Mapping[str, Mapping[str, object]] = {
    "cut-out": {
        "background": "transparent",
        "outputs": ["image"],
        "format": "png",
        "segmentation": {"model": "selfie"},
    },
    "default job": {},
}
# Goals: processor time and photos a second, over those of the bare function.
_MAX_COST = {"cut-out": 2.0, "default job": 4.5}
_MIN_RATE = {"cut-out": 0.45, "default job": None}


@dataclass(frozen=True, slots=True)
class _Round:
    """Processor milliseconds for a photo, and photos a second."""

    cost_ms: float
    rate: float


def measure() -> list[Figure]:
    """Return cost and rate of the bare function and of each job, and their ratios."""
    selfies = photos.selfies(photos.SIDE_OF_1_MP)
    found: list[Figure] = []
    with service.folder() as data, service.up(data) as running:
        bare = _Bare(data / "weights")
        for name, recipe in _JOBS.items():
            pairs = _measure_pairs(running, bare, recipe, selfies)
            found += _figures(name, pairs)
    return found


def _measure_pairs(
    running: Service, bare: "_Bare", recipe: Mapping[str, object], selfies: Iterator[bytes]
) -> list[tuple[_Round, _Round]]:
    seeds = itertools.count()
    variants: dict[str, Callable[[], _Round]] = {
        "bare": lambda: _run_bare(bare, selfies),
        "service": lambda: _run_service(running, recipe, selfies, seeds),
    }
    for run in variants.values():
        run()  # loads models and fills caches
    rounds: dict[str, list[_Round]] = {name: [] for name in variants}
    for number in range(_ROUNDS):
        for name in sorted(variants, reverse=bool(number % 2)):
            rounds[name].append(variants[name]())
    return list(zip(rounds["bare"], rounds["service"], strict=True))


def _figures(name: str, pairs: list[tuple[_Round, _Round]]) -> list[Figure]:
    costs = [service.cost_ms / bare.cost_ms for bare, service in pairs]
    middle = statistics.median(costs)
    if max(abs(cost - middle) for cost in costs) > _MAX_SPREAD * middle:
        raise RuntimeError(f"{name}: the ratios {costs} differ by more than {_MAX_SPREAD:.0%}")
    return [
        Figure(name=f"{name}: bare", unit="ms", samples=[bare.cost_ms for bare, _ in pairs]),
        Figure(name=f"{name}: service", unit="ms", samples=[one.cost_ms for _, one in pairs]),
        Figure(
            name=f"{name}: processor time",
            unit="× bare",
            samples=costs,
            goal=_MAX_COST[name],
        ),
        Figure(
            name=f"{name}: photos a second",
            unit="of bare",
            samples=[one.rate / bare.rate for bare, one in pairs],
            goal=_MIN_RATE[name],
            kind="at least",
        ),
    ]


class _Bare:
    """Cuts people out with the same networks as the model `selfie`; thread-safe."""

    def __init__(self, weights: Path) -> None:
        threads.limit_native_threads()
        self._networks = SelfieNetworks(weights)

    def __call__(self, content: bytes) -> bytes:
        """Return the photo as a PNG, transparent where the networks see no person."""
        bgr = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        if bgr is None:
            raise ValueError("OpenCV could not decode the photo")
        small = cv2.resize(bgr, GENERAL_SIZE_PX, interpolation=cv2.INTER_AREA)
        coverage = cv2.resize(
            self._networks(cv2.cvtColor(small, cv2.COLOR_BGR2RGB)), bgr.shape[1::-1]
        )
        alpha = cv2.convertScaleAbs(coverage, alpha=255)
        visible = cv2.copyTo(cv2.merge((bgr, alpha)), alpha)
        done, encoded = cv2.imencode(".png", visible)
        if not done:
            raise ValueError("OpenCV could not encode the picture")
        return encoded.tobytes()


def _run_bare(bare: _Bare, selfies: Iterator[bytes]) -> _Round:
    work = [next(selfies) for _ in range(_PHOTOS)]
    started_at, used = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(bare, work))
    return _Round(
        1000 * (time.process_time() - used) / _PHOTOS,
        _PHOTOS / (time.perf_counter() - started_at),
    )


def _run_service(
    running: Service,
    recipe: Mapping[str, object],
    selfies: Iterator[bytes],
    seeds: Iterator[int],
) -> _Round:
    def process(photo: bytes, seed: int) -> None:
        _through(running.client, photo, {**recipe, "seed": seed})

    at_rest = running.all_processor_seconds()
    time.sleep(_REST_SECONDS)
    used = running.all_processor_seconds()
    rest = (used - at_rest) / _REST_SECONDS
    work = [(next(selfies), next(seeds)) for _ in range(_PHOTOS)]
    started_at = time.perf_counter()
    with ThreadPoolExecutor(_CLIENTS) as pool:
        for done in [pool.submit(process, photo, seed) for photo, seed in work]:
            done.result()
    seconds = time.perf_counter() - started_at
    used = running.all_processor_seconds() - used - rest * seconds
    return _Round(1000 * used / _PHOTOS, _PHOTOS / seconds)


def _through(client: Client, photo: bytes, recipe: Mapping[str, object]) -> None:
    job = client.wait(client.submit(photo, recipe).id, 120)
    if not job.succeeded:
        raise RuntimeError(f"job {job.id} {job.state}: {job.error}")
    client.output(job.id, "image")


if __name__ == "__main__":
    figures.print_figures(measure())
