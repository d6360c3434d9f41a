"""Workers that come and go with the queue, and what a sudden crowd meets."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import simpy

from capacity.fleet import CORES, CPU, GPU, GPUS, THREADS_PER_CORE, THREADS_PER_GPU, Figures
from capacity.simulation import Photo, Running, Steps
from capacity.sizing import BUSY_WORKERS
from smart_filter_shared.pipeline import PIPELINE

# Source: KEDA's defaults, pollingInterval and cooldownPeriod are ours to choose; Kubernetes'
# HorizontalPodAutoscaler doubles at most, or adds four, every 15 s, and looks back 300 s before
# it takes workers away.
POLL_SECONDS: Final = 15.0
LOOK_BACK_SECONDS: Final = 300.0
MOST_TIMES, MOST_MORE = 2, 4
_LOOK_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Scaler:
    """How one pool is scaled.

    rows_per_worker: ready and running rows that one worker is wanted for: what it gets done in
    the time that rows may wait.
    start_seconds: from the wish for a worker until it is ready.
    """

    pool: str
    server: str
    threads_per_worker: int
    least: int
    rows_per_worker: float
    start_seconds: float


@dataclass(frozen=True, slots=True)
class Moment:
    """What is seen at one time.  waiting: ready rows by pool; workers: those ready by pool."""

    at: float
    waiting: Mapping[str, int]
    workers: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Spike:
    """A crowd came and went: what was seen, and each photo's way."""

    begins: float
    ends: float
    moments: list[Moment]
    photos: list[Photo]

    def percentile(self, percent: float, *, since: float, until: float) -> float:
        """Return how long so many percent of the photos took that arrived between two times."""
        taken = sorted(one.seconds for one in self.photos if since <= one.arrived < until)
        return taken[min(len(taken) - 1, int(len(taken) * percent / 100))]

    def hours(self, pool: str) -> float:
        """Return for how many hours workers of a pool were there, all together."""
        return sum(one.workers[pool] for one in self.moments) * _LOOK_SECONDS / 3600

    def most(self, pool: str) -> int:
        """Return how many workers of a pool there were at most."""
        return max(one.workers[pool] for one in self.moments)


def spike(
    figures: Figures,
    kind: str,
    *,
    rate: float,
    times: float,
    wait_seconds: float,
    quiet_seconds: float = 120.0,
    crowd_seconds: float = 900.0,
) -> Spike:
    """Let `times` as many photos come for a while, to workers that were enough for `rate`.

    wait_seconds: how long rows may wait; a worker is wanted for as many as it does in that time.
    """
    gpu_seconds, core_seconds = figures.gpu_seconds(kind), figures.core_seconds
    gpus, cores = (math.ceil(rate * one / BUSY_WORKERS) for one in (gpu_seconds, core_seconds))
    environment = simpy.Environment()
    running = Running(environment, figures.system(kind, cores=cores, gpus=gpus), seed=1)
    begins, ends = quiet_seconds, quiet_seconds + crowd_seconds
    environment.process(running.arrive(lambda now: rate * times if begins <= now < ends else rate))
    start = figures.measured["start"]
    rows_of_cores = len(PIPELINE) - 1
    scalers = (
        Scaler(GPU, GPUS, THREADS_PER_GPU, gpus, wait_seconds / gpu_seconds, start["gpu_seconds"]),
        Scaler(
            *(CPU, CORES, THREADS_PER_CORE, cores),
            *(wait_seconds / (core_seconds / rows_of_cores), start["core_seconds"]),
        ),
    )
    for scaler in scalers:
        environment.process(_scale(running, scaler))
    moments: list[Moment] = []
    environment.process(_look(running, scalers, moments))
    environment.run(until=ends + quiet_seconds)
    return Spike(begins, ends, moments, running.through)


def _scale(running: Running, scaler: Scaler) -> Steps:
    environment, pool = running.environment, running.pools[scaler.pool]
    wanted = scaler.least
    recent: list[tuple[float, int]] = []
    while True:
        yield environment.timeout(POLL_SECONDS)
        rows = pool.waiting + pool.under_way
        desired = max(scaler.least, math.ceil(rows / scaler.rows_per_worker))
        recent = [one for one in recent if one[0] > environment.now - LOOK_BACK_SECONDS]
        recent.append((environment.now, desired))
        most = max(wanted * MOST_TIMES, wanted + MOST_MORE)
        next_wanted = min(max(one for _, one in recent), most)
        if next_wanted > wanted:
            environment.process(_start(running, scaler, next_wanted - wanted))
        elif next_wanted < wanted:
            _add(running, scaler, next_wanted - wanted)
        wanted = next_wanted


def _start(running: Running, scaler: Scaler, more: int) -> Steps:
    yield running.environment.timeout(scaler.start_seconds)
    _add(running, scaler, more)


def _add(running: Running, scaler: Scaler, more: int) -> None:
    server, pool = running.servers[scaler.server], running.pools[scaler.pool]
    server.resize(server.slots + more)
    pool.threads += more * scaler.threads_per_worker
    running.set_to_work(pool)


def _look(running: Running, scalers: tuple[Scaler, ...], moments: list[Moment]) -> Steps:
    while True:
        waiting = {one.pool: running.pools[one.pool].waiting for one in scalers}
        workers = {one.pool: running.servers[one.server].slots for one in scalers}
        moments.append(Moment(running.environment.now, waiting, workers))
        yield running.environment.timeout(_LOOK_SECONDS)
