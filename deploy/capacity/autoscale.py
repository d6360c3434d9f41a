"""Workers that come and go with the queue, and what a sudden crowd meets."""

import itertools
import math
from dataclasses import dataclass, field
from typing import Final

import simpy

from capacity.fleet import CPU, GPU, Figures
from capacity.simulation import Photo, Running, Steps, percentile
from capacity.sizing import needed
from capacity.workers import Workers

# Kubernetes' HorizontalPodAutoscaler looks every 15 s, and KEDA asks the database each time; KEDA's
# own pollingInterval is about the first worker of none.  Source: kedacore/keda, issue 2282.
LOOK_SECONDS: Final = 15.0
# It may double or add four every 15 s, and leaves a tenth alone.  Source: autoscaling/v2, HPA.
MOST_TIMES, MOST_MORE, TOLERANCE = 2, 4, 0.1
# Source: deploy/kubernetes, values.yaml and workers.yaml (a test compares them).
LOOK_BACK_SECONDS: Final = 300.0
FEWER_SHARE, FEWER_SECONDS = 0.5, 60.0
ROWS_PER_WORKER, MOST_WORKERS = 8, 8
_MOMENT_SECONDS: Final = 5.0
_FEW_ROWS: Final = 50  # fewer wait than this: the queue is gone


@dataclass(frozen=True, slots=True)
class Rule:
    """How a pool is scaled: a worker for so many rows, ready or running; least and most of them."""

    rows_per_worker: int
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Moment:
    """What is seen at one time, in seconds.  waiting: rows that are ready; gpus: those that are."""

    at: float
    waiting: int
    gpus: int


@dataclass(frozen=True, slots=True)
class Spike:
    """A crowd came and went: what was seen, and each photo's way."""

    begins: float
    ends: float
    moments: list[Moment]
    photos: list[Photo]
    arrived: int

    def p95(self, *, since: float, until: float) -> float:
        """Return the p95 of the photos that arrived between two times, in seconds."""
        return percentile([one.seconds for one in self.photos if since <= one.arrived < until], 95)

    @property
    def over_seconds(self) -> float:
        """How long after the crowd had begun to come the queue was gone that it made, in seconds.

        Infinite when it was never gone; there may have been another one later.
        """
        late = itertools.dropwhile(lambda one: one.waiting < _FEW_ROWS, self.moments)
        gone = itertools.dropwhile(lambda one: one.waiting >= _FEW_ROWS, late)
        over = next(gone, None)
        if over is not None:
            return over.at - self.begins
        return 0.0 if self.moments[-1].waiting < _FEW_ROWS else math.inf

    @property
    def gpu_hours(self) -> float:
        """For how many hours GPUs were there, all together."""
        return sum(one.gpus for one in self.moments) * _MOMENT_SECONDS / 3600

    @property
    def most_gpus(self) -> int:
        """How many GPUs there were at most."""
        return max(one.gpus for one in self.moments)


def spike(
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
    """Let `times` as many photos come for a while.  rule: of the GPUs.

    Workers of cores stand ready for all of them: they cost a tenth of what GPUs cost.
    """
    workers = {GPU: rule.least, CPU: needed(figures, kind, rate * times)[CPU]}
    environment = simpy.Environment()
    running = Running(environment, figures.system(kind, workers), seed=1)
    begins, ends = quiet_seconds, quiet_seconds + crowd_seconds
    environment.process(running.arrive(lambda now: rate * times if begins <= now < ends else rate))
    scaler = _Scaler(running, running.pools[GPU], rule)
    environment.process(scaler.run(figures.gpu_start_seconds))
    moments: list[Moment] = []
    environment.process(_look(running, moments))
    environment.run(until=ends + after_seconds)
    return Spike(begins, ends, moments, running.through, running.arrived)


@dataclass(slots=True)
class _Scaler:
    """Has workers of a pool started and stopped, as KEDA and Kubernetes do.

    wanted: how many there are, those included that are starting; asked: when each number was
    asked for, lately; shrunk: how many were taken away, and when.
    """

    running: Running
    pool: Workers
    rule: Rule
    wanted: int = field(init=False)
    asked: list[tuple[float, int]] = field(default_factory=list)
    shrunk: list[tuple[float, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.wanted = self.rule.least

    def run(self, start_seconds: float) -> Steps:
        """Look at the queue for ever."""
        while True:
            yield self.running.environment.timeout(LOOK_SECONDS)
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
            *(one for one in self.asked if one[0] > now - LOOK_BACK_SECONDS),
            (now, asked),
        ]
        if asked > self.wanted:
            return min(asked, max(self.wanted * MOST_TIMES, self.wanted + MOST_MORE))
        self.shrunk = [one for one in self.shrunk if one[0] > now - FEWER_SECONDS]
        gone = sum(count for _, count in self.shrunk)
        least = math.ceil((self.wanted + gone) * (1 - FEWER_SHARE))
        return min(self.wanted, max(least, *(one for _, one in self.asked)))

    def _start(self, more: int, start_seconds: float) -> Steps:
        yield self.running.environment.timeout(start_seconds)
        self.running.add(self.pool, more)


def _look(running: Running, moments: list[Moment]) -> Steps:
    while True:
        waiting = sum(pool.waiting for pool in running.pools.values())
        moments.append(Moment(running.environment.now, waiting, running.pools[GPU].workers))
        yield running.environment.timeout(_MOMENT_SECONDS)
