"""Simulate photos on their way through stages, batches and shared servers, event by event.

The model follows the product. A stage is ready when everything that it needs has succeeded. Its
ring wakes a thread of the worker that has listened longest. The thread claims the head of its
pool's queue and rows of the same stage up to its batch size, and claims again while rows are ready.
The threads of one worker take turns at its cores or its GPU. Claiming, loading, storing and
completing take turns at servers that all workers share.
"""

import random
import statistics
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import simpy

from benchmarks.capacity.system import Stage, System, Visit
from benchmarks.capacity.worker_pool import (
    PhotoInFlight,
    SharedServer,
    Worker,
    WorkerPool,
)

Steps = Generator[simpy.Event, Any, None]  # a process of SimPy: events' values are of any type
_MIN_PHOTOS: Final = 2  # fewer values have no percentile


@dataclass(frozen=True, slots=True)
class FinishedPhoto:
    """A finished photo: when it arrived and when it ended, in seconds from the start."""

    arrived: float
    ended: float

    @property
    def seconds(self) -> float:
        """The time from its arrival to its end."""
        return self.ended - self.arrived


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a simulation.

    photos: those that arrived after the warm-up and are finished, in the order of their ends.
    rate: photos a second that ended after the warm-up.
    busy: the share of a server's or a pool's slots that was used, 0 to 1, by its name.
    """

    photos: Sequence[FinishedPhoto]
    rate: float
    busy: Mapping[str, float]

    def percentile(self, percent: int) -> float:
        """Return the percentile of the photos' durations, in seconds."""
        return percentile([photo.seconds for photo in self.photos], percent)


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the percentile of the values; infinite when there are too few."""
    if len(values) < _MIN_PHOTOS:
        return float("inf")
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def simulate(
    system: System, rate: float, *, seconds: float, warm_up: float = 0.0, seed: int = 1
) -> Outcome:
    """Simulate photos that arrive at random, `rate` a second on average; return the result."""
    environment = simpy.Environment()
    running = SimulationRun(environment, system, seed)
    environment.process(running.arrive(lambda _: rate))
    if warm_up:
        environment.run(until=warm_up)
    ended_before, used_before = len(running.through), running.used()
    environment.run(until=warm_up + seconds)
    used = running.used()
    return Outcome(
        photos=[photo for photo in running.through if photo.arrived >= warm_up],
        rate=(len(running.through) - ended_before) / seconds,
        busy={
            name: (used[name] - used_before[name]) / (seconds * slots)
            for name, slots in running.slots().items()
        },
    )


def replay(system: System, arrivals: Sequence[float], *, seed: int = 1) -> list[FinishedPhoto]:
    """Simulate photos that arrive at these rising times, in seconds; return them by their ends."""
    environment = simpy.Environment()
    running = SimulationRun(environment, system, seed)
    environment.process(running.arrive_at(arrivals))
    environment.run()
    return running.through


class SimulationRun:
    """A running simulation: its environment, finished photos, and pools that can be resized."""

    def __init__(self, environment: simpy.Environment, system: System, seed: int) -> None:
        self.environment = environment
        self.through: list[FinishedPhoto] = []
        self.arrived = 0
        self.pools = {name: WorkerPool(environment, pool) for name, pool in system.pools.items()}
        self._servers = {
            name: SharedServer(environment, slots) for name, slots in system.servers.items()
        }
        self._system = system
        self._chance = random.Random(seed)
        self._followers = {
            stage.name: [other for other in system.stages if stage.name in other.needs]
            for stage in system.stages
        }
        self._places = {listed.name: place for place, listed in enumerate(system.stages)}

    def arrive(self, rate: Callable[[float], float]) -> Steps:
        """Let photos arrive for ever; rate: photos a second at a given time."""
        while True:
            yield self.environment.timeout(
                self._chance.expovariate(rate(self.environment.now)),
            )
            self.environment.process(self._accept())

    def arrive_at(self, times: Sequence[float]) -> Steps:
        """Let photos arrive at these rising times."""
        for at in times:
            yield self.environment.timeout(at - self.environment.now)
            self.environment.process(self._accept())

    def used(self) -> dict[str, float]:
        """Return the seconds that slots have been in use, by server and pool."""
        servers = {name: server.used for name, server in self._servers.items()}
        return {**servers, **{name: pool.used for name, pool in self.pools.items()}}

    def slots(self) -> dict[str, int]:
        """Return the number of slots, by server and pool."""
        servers = {name: server.slots for name, server in self._servers.items()}
        return {**servers, **{name: pool.slots for name, pool in self.pools.items()}}

    def add(self, pool: WorkerPool, workers: int) -> None:
        """Add workers to a pool; each of their threads looks for work at once."""
        for worker in pool.add(workers):
            for _ in range(pool.kind.threads):
                self.environment.process(self._turns(pool, worker))

    def _accept(self) -> Steps:
        self.arrived += 1
        way = PhotoInFlight(self.arrived, self.environment.now)
        yield from self._visit(self._system.accept)
        way.open_needs = {stage.name: len(stage.needs) for stage in self._system.stages}
        for stage in self._system.stages:
            if not stage.needs:
                self._make_ready(way, stage)

    def _make_ready(self, way: PhotoInFlight, stage: Stage) -> None:
        pool = self.pools[stage.pool]
        pool.put(way, stage, self._places[stage.name])
        self._ring(pool)

    def _ring(self, pool: WorkerPool) -> None:
        worker = pool.wake()
        if worker is not None:
            self.environment.process(self._turns(pool, worker, pool.kind.wake_seconds))

    def _turns(self, pool: WorkerPool, worker: Worker, wake_seconds: float = 0.0) -> Steps:
        """Let a thread of a worker take batches until its queue is empty."""
        if wake_seconds:
            yield self.environment.timeout(wake_seconds)
        while not worker.is_leaving and (taken := pool.take()) is not None:
            yield from self._work(pool, worker, *taken)
        pool.rest(worker)
        if worker.is_leaving:
            self._ring(pool)  # the row that it was rung for is still ready

    def _work(
        self, pool: WorkerPool, worker: Worker, stage: Stage, batch: list[PhotoInFlight]
    ) -> Steps:
        began = self.environment.now
        pool.under_way += len(batch)
        yield from self._visit(stage.claim)
        for _ in batch:
            yield from self._visit(stage.load)
        seconds = stage.batch_seconds + stage.photo_seconds * len(batch)
        if seconds:
            yield self.environment.timeout(seconds)
        if stage.forward_seconds:
            seconds = stage.forward_seconds * len(batch)
            yield worker.slots.turn()
            yield self.environment.timeout(seconds)
            worker.slots.leave(seconds)
            pool.used += seconds
        else:
            pool.used += self.environment.now - began
        for _ in batch:
            yield from self._visit(stage.store)
        yield from self._visit(stage.complete)
        pool.under_way -= len(batch)
        for way in batch:
            self._complete(way, stage)

    def _complete(self, way: PhotoInFlight, stage: Stage) -> None:
        del way.open_needs[stage.name]
        for other in self._followers[stage.name]:
            way.open_needs[other.name] -= 1
            if not way.open_needs[other.name]:
                self._make_ready(way, other)
        if not way.open_needs:
            self.through.append(FinishedPhoto(way.arrived, self.environment.now))

    def _visit(self, visits: Sequence[Visit]) -> Steps:
        for visit in visits:
            server = self._servers[visit.server]
            yield server.turn()
            yield self.environment.timeout(visit.seconds)
            server.leave(visit.seconds)
