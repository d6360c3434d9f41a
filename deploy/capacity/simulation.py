"""Photos on their way through stages, batches and shared servers, event by event.

What is modelled is what the product does: a stage is ready when all it needs has succeeded; a
free thread claims the head of its pool's queue and rows of the same stage up to its batch;
claiming, loading, storing and completing take turns at servers that all share.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import simpy

Draw = Callable[[random.Random, float], float]
Steps = Generator[simpy.Event, Any, None]  # a process of SimPy: events' values are of any type


def fixed(chance: random.Random, mean: float) -> float:
    """Draw what is always the same."""
    del chance
    return mean


def exponential(chance: random.Random, mean: float) -> float:
    """Draw what forgets how long it has lasted."""
    return chance.expovariate(1 / mean)


def spread(sigma: float) -> Draw:
    """Return how to draw log-normal times; sigma: the standard deviation of their logarithm."""

    def draw(chance: random.Random, mean: float) -> float:
        return mean * chance.lognormvariate(-sigma * sigma / 2, sigma)

    return draw


@dataclass(frozen=True, slots=True)
class Visit:
    """A turn at a shared server: it takes one of the server's slots for so many seconds."""

    server: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stop on the way.  pool: whose threads run it.

    batch_seconds: what a forward pass takes, however many photos are in it; photo_seconds: what
    each adds.  claim, complete: turns of a batch; load, forward, store: turns of each photo,
    forward at what threads share to compute: cores, GPUs.
    """

    name: str
    pool: str
    needs: tuple[str, ...] = ()
    batch_seconds: float = 0.0
    photo_seconds: float = 0.0
    claim: tuple[Visit, ...] = ()
    load: tuple[Visit, ...] = ()
    forward: tuple[Visit, ...] = ()
    store: tuple[Visit, ...] = ()
    complete: tuple[Visit, ...] = ()


@dataclass(frozen=True, slots=True)
class Pool:
    """Threads that run stages.  batch_size: the most photos that one claim takes."""

    threads: int
    batch_size: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """All that photos go through.

    accept: a photo's turns before its first stage.  servers: slots of each, by name.
    draw: how times of stages are spread; those of servers are fixed.
    """

    stages: tuple[Stage, ...]
    pools: Mapping[str, Pool]
    servers: Mapping[str, int] = field(default_factory=dict)
    accept: tuple[Visit, ...] = ()
    draw: Draw = fixed


@dataclass(frozen=True, slots=True)
class Photo:
    """One that is through: when it arrived and when it ended, in seconds from the beginning."""

    arrived: float
    ended: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.arrived


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a simulation.

    photos: those that arrived after the warm-up and are through, in the order of their ends.
    rate: how many of all photos ended a second after the warm-up.
    busy: how much of a server's slots or a pool's threads was used, 0 to 1, by its name.
    """

    photos: Sequence[Photo]
    rate: float
    busy: Mapping[str, float]

    def percentile(self, percent: float) -> float:
        """Return how long so many percent of the photos took at most, in seconds."""
        if not self.photos:
            return float("inf")
        ordered = sorted(photo.seconds for photo in self.photos)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def simulate(
    system: System, rate: float, *, seconds: float, warm_up: float = 0.0, seed: int = 1
) -> Outcome:
    """Let photos arrive at random, `rate` a second in the mean, and see how long they take."""
    environment = simpy.Environment()
    running = Running(environment, system, seed)
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


def replay(system: System, arrivals: Sequence[float], *, seed: int = 1) -> list[Photo]:
    """Let photos arrive at these times, in seconds and rising; return them as they end."""
    environment = simpy.Environment()
    running = Running(environment, system, seed)
    environment.process(running.arrive_at(arrivals))
    environment.run()
    return running.through


class Running:
    """A simulation under way: environment, photos that are through, pools that may be resized."""

    def __init__(self, environment: simpy.Environment, system: System, seed: int) -> None:
        self.environment = environment
        self.through: list[Photo] = []
        self.pools = {name: Workers(pool) for name, pool in system.pools.items()}
        self._system = system
        self._chance = random.Random(seed)  # noqa: S311 - a simulation has no secrets
        self.servers = {name: Server(environment, slots) for name, slots in system.servers.items()}
        self._followers = {
            one.name: [other for other in system.stages if one.name in other.needs]
            for one in system.stages
        }
        self._number = 0

    def arrive(self, rate: Callable[[float], float]) -> Steps:
        """Let photos arrive for ever; rate: how many a second at a time."""
        while True:
            yield self.environment.timeout(
                self._chance.expovariate(rate(self.environment.now)),
            )
            self.environment.process(self._accept())

    def arrive_at(self, times: Sequence[float]) -> Steps:
        """Let photos arrive at these times, which rise."""
        for at in times:
            yield self.environment.timeout(at - self.environment.now)
            self.environment.process(self._accept())

    def used(self) -> dict[str, float]:
        """Return for how many seconds slots and threads have been used so far, by their names."""
        servers = {name: server.used for name, server in self.servers.items()}
        return {**servers, **{name: pool.used for name, pool in self.pools.items()}}

    def slots(self) -> dict[str, int]:
        """Return how many slots and threads there are, by their names."""
        threads = {name: pool.threads for name, pool in self.pools.items()}
        return {**{name: server.slots for name, server in self.servers.items()}, **threads}

    def _accept(self) -> Steps:
        self._number += 1
        way = _Way(self._number, self.environment.now)
        yield from self._visit(self._system.accept)
        way.open_needs = {stage.name: len(stage.needs) for stage in self._system.stages}
        for stage in self._system.stages:
            if not stage.needs:
                self._make_ready(way, stage)

    def _make_ready(self, way: "_Way", stage: Stage) -> None:
        pool = self.pools[stage.pool]
        pool.add(way, stage, self._system.stages.index(stage))
        self.set_to_work(pool)

    def set_to_work(self, pool: "Workers") -> None:
        """Let free threads of a pool claim what is ready."""
        while pool.busy < pool.threads and (taken := pool.take()) is not None:
            pool.busy += 1
            pool.under_way += len(taken[1])
            self.environment.process(self._work(pool, *taken))

    def _work(self, pool: "Workers", stage: Stage, batch: "list[_Way]") -> Steps:
        begun = self.environment.now
        yield from self._visit(stage.claim)
        for _ in batch:
            yield from self._visit(stage.load)
        mean = stage.batch_seconds + stage.photo_seconds * len(batch)
        if mean:
            yield self.environment.timeout(self._system.draw(self._chance, mean))
        for _ in batch:
            yield from self._visit(stage.forward)
        for _ in batch:
            yield from self._visit(stage.store)
        yield from self._visit(stage.complete)
        pool.used += self.environment.now - begun
        pool.busy -= 1
        pool.under_way -= len(batch)
        for way in batch:
            self._complete(way, stage)
        self.set_to_work(pool)

    def _complete(self, way: "_Way", stage: Stage) -> None:
        del way.open_needs[stage.name]
        for other in self._followers[stage.name]:
            way.open_needs[other.name] -= 1
            if not way.open_needs[other.name]:
                self._make_ready(way, other)
        if not way.open_needs:
            self.through.append(Photo(way.arrived, self.environment.now))

    def _visit(self, visits: Sequence[Visit]) -> Steps:
        for visit in visits:
            server = self.servers[visit.server]
            yield server.turn()
            yield self.environment.timeout(visit.seconds)
            server.leave(visit.seconds)


class Server:
    """A shared server: whoever comes first has the next free slot; slots may come and go."""

    def __init__(self, environment: simpy.Environment, slots: int) -> None:
        self.slots = slots
        self.used = 0.0
        self._environment = environment
        self._busy = 0
        self._waiting: deque[simpy.Event] = deque()

    def turn(self) -> simpy.Event:
        """Return what happens when a slot is free; it is taken then."""
        turn = self._environment.event()
        self._waiting.append(turn)
        self._hand_out()
        return turn

    def leave(self, seconds: float) -> None:
        """Give a slot back after so many seconds."""
        self.used += seconds
        self._busy -= 1
        self._hand_out()

    def resize(self, slots: int) -> None:
        """Have so many slots from now on; those that are taken end their turns."""
        self.slots = slots
        self._hand_out()

    def _hand_out(self) -> None:
        while self._waiting and self._busy < self.slots:
            self._busy += 1
            self._waiting.popleft().succeed()


@dataclass(slots=True)
class _Way:
    """A photo under way: how many needs of each stage that it has still to run are open."""

    number: int
    arrived: float
    open_needs: dict[str, int] = field(default_factory=dict)


class Workers:
    """A pool at work: its queues, one for each stage.

    busy: how many of its threads are; under_way: how many rows they have claimed; used: for how
    many seconds they have been busy so far.
    """

    def __init__(self, pool: Pool) -> None:
        self.threads = pool.threads
        self.busy = 0
        self.under_way = 0
        self.used = 0.0
        self._batch_size = pool.batch_size
        self._queues: dict[int, tuple[Stage, list[tuple[int, _Way]]]] = {}

    @property
    def waiting(self) -> int:
        """How many rows are ready."""
        return sum(len(queue) for _, queue in self._queues.values())

    def add(self, way: _Way, stage: Stage, place: int) -> None:
        """Put a row where its photo's number says."""
        _, queue = self._queues.setdefault(place, (stage, []))
        heapq.heappush(queue, (way.number, way))

    def take(self) -> tuple[Stage, list[_Way]] | None:
        """Take the head, of equals that of the later stage, and what fits into its batch."""
        heads = [(queue[0][0], -place) for place, (_, queue) in self._queues.items() if queue]
        if not heads:
            return None
        stage, queue = self._queues[-min(heads)[1]]
        count = min(self._batch_size, len(queue))
        return stage, [heapq.heappop(queue)[1] for _ in range(count)]
