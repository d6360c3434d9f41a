"""Simulate workers that are scaled with the queue while a sudden crowd arrives."""

import itertools
import math
from dataclasses import dataclass, field
from typing import Final

import simpy

from benchmarks.capacity.fleet import CPU, GPU, Figures
from benchmarks.capacity.simulation import (
    FinishedPhoto,
    SimulationRun,
    Steps,
    percentile,
)
from benchmarks.capacity.sizing import count_workers
from benchmarks.capacity.worker_pool import WorkerPool

# Kubernetes' HorizontalPodAutoscaler polls every 15 s, and KEDA queries the database each time;
# KEDA's own pollingInterval applies to the first worker only.  Source: kedacore/keda, issue 2282.
POLL_SECONDS: Final = 15.0
# It may double the workers or add four every 15 s, and ignores deviations of a tenth.
# Source: autoscaling/v2, HPA.
MOST_TIMES, MOST_MORE, TOLERANCE = 2, 4, 0.1
# Source: deploy/kubernetes, values.yaml and workers.yaml (a test compares them).
WINDOW_SECONDS: Final = 300.0
FEWER_SHARE, FEWER_SECONDS = 0.5, 60.0
ROWS_PER_WORKER, MAX_WORKERS = 8, 8
_MOMENT_SECONDS: Final = 5.0
_FEW_ROWS: Final = 50  # below this, the queue counts as gone


@dataclass(frozen=True, slots=True)
class Rule:
    """How a pool is scaled: rows, ready or running, for each worker; the least and most workers."""

    rows_per_worker: int
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state at one time, in seconds.  waiting: ready rows; gpus: GPUs that are ready."""

    at: float
    waiting: int
    gpus: int


@dataclass(frozen=True, slots=True)
class Spike:
    """The simulation of a crowd that comes and goes: snapshots, and each finished photo."""

    begins: float
    ends: float
    moments: list[Snapshot]
    photos: list[FinishedPhoto]
    arrived: int

    def p95(self, *, since: float, until: float) -> float:
        """Return the p95 of the photos that arrived between two times, in seconds."""
        return percentile(
            [photo.seconds for photo in self.photos if since <= photo.arrived < until], 95
        )

    @property
    def over_seconds(self) -> float:
        """The time from the start of the crowd until its queue is gone, in seconds.

        Infinite when the queue is never gone; a later queue does not count.
        """
        late = itertools.dropwhile(lambda moment: moment.waiting < _FEW_ROWS, self.moments)
        gone = itertools.dropwhile(lambda moment: moment.waiting >= _FEW_ROWS, late)
        over = next(gone, None)
        if over is not None:
            return over.at - self.begins
        return 0.0 if self.moments[-1].waiting < _FEW_ROWS else math.inf

    @property
    def gpu_hours(self) -> float:
        """The GPU hours of all GPUs together."""
        return sum(moment.gpus for moment in self.moments) * _MOMENT_SECONDS / 3600

    @property
    def most_gpus(self) -> int:
        """The most GPUs at one time."""
        return max(moment.gpus for moment in self.moments)


def simulate_spike(
    figures: Figures,
    kind: str,
    rule: Rule,
    *,
    rate: float,
    times: float,
    quiet_seconds: float = 120.0,
    crowd_seconds: float = 900.0,
    after_seconds: float = 900.0,
) -> Spike:
    """Simulate a crowd that sends `times` as many photos for a while.  rule: scales the GPUs.

    The workers without a GPU are enough for the whole crowd at all times: they cost a tenth of
    what GPUs cost.
    """
    workers = {GPU: rule.least, CPU: count_workers(figures, kind, rate * times)[CPU]}
    environment = simpy.Environment()
    running = SimulationRun(environment, figures.system(kind, workers), seed=1)
    begins, ends = quiet_seconds, quiet_seconds + crowd_seconds
    environment.process(running.arrive(lambda now: rate * times if begins <= now < ends else rate))
    scaler = _Scaler(running, running.pools[GPU], rule)
    environment.process(scaler.run(figures.gpu_start_seconds))
    moments: list[Snapshot] = []
    environment.process(_observe(running, moments))
    environment.run(until=ends + after_seconds)
    return Spike(begins, ends, moments, running.through, running.arrived)


@dataclass(slots=True)
class _Scaler:
    """Starts and stops the workers of a pool, as KEDA and Kubernetes do.

    wanted: the number of workers, including those that are starting; asked: recent targets, each
    with its time; shrunk: how many workers were removed, and when.
    """

    running: SimulationRun
    pool: WorkerPool
    rule: Rule
    wanted: int = field(init=False)
    asked: list[tuple[float, int]] = field(default_factory=list)
    shrunk: list[tuple[float, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.wanted = self.rule.least

    def run(self, start_seconds: float) -> Steps:
        """Poll the queue for ever."""
        while True:
            yield self.running.environment.timeout(POLL_SECONDS)
            change = self._wish() - self.wanted
            self.wanted += change
            if change > 0:
                self.running.environment.process(self._start(change, start_seconds))
            elif change < 0:
                self.shrunk.append((self.running.environment.now, -change))
                self.pool.remove(-change)

    def _wish(self) -> int:
        rule, now = self.rule, self.running.environment.now
        rows = min(self.pool.waiting, rule.most * rule.rows_per_worker) + self.pool.under_way
        asked = math.ceil(rows / rule.rows_per_worker)
        if abs(rows / (rule.rows_per_worker * max(1, self.wanted)) - 1) <= TOLERANCE:
            asked = self.wanted
        asked = max(rule.least, min(rule.most, asked))
        self.asked = [
            *(wish for wish in self.asked if wish[0] > now - WINDOW_SECONDS),
            (now, asked),
        ]
        if asked > self.wanted:
            return min(asked, max(self.wanted * MOST_TIMES, self.wanted + MOST_MORE))
        self.shrunk = [entry for entry in self.shrunk if entry[0] > now - FEWER_SECONDS]
        removed = sum(count for _, count in self.shrunk)
        least = math.ceil((self.wanted + removed) * (1 - FEWER_SHARE))
        return min(self.wanted, max(least, *(count for _, count in self.asked)))

    def _start(self, more: int, start_seconds: float) -> Steps:
        yield self.running.environment.timeout(start_seconds)
        self.running.add(self.pool, more)


def _observe(running: SimulationRun, moments: list[Snapshot]) -> Steps:
    while True:
        waiting = sum(pool.waiting for pool in running.pools.values())
        moments.append(Snapshot(running.environment.now, waiting, running.pools[GPU].workers))
        yield running.environment.timeout(_MOMENT_SECONDS)
