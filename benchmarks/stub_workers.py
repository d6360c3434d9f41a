"""Workers whose stages take a time that is drawn, and no processor: everything else is real.

They claim, complete, tally and sweep as workers do, on a real database.
"""

import random
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine

from smart_filter_shared.db import sessions
from smart_filter_shared.ids import Capability, new_worker_id
from smart_filter_shared.jobs import fairness, presence, queries, transitions
from smart_filter_shared.jobs.leases import Done, Lease
from smart_filter_shared.jobs.presence import CELL, Worker
from smart_filter_shared.jobs.retention import Keeping
from smart_filter_shared.pipeline import StageName
from smart_filter_workers.tally import Tally

_KEEPING = Keeping(3600, 3600)
_LOOK_SECONDS = 0.005
_SILENT_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What a stage takes: for a photo of no size, and for each megapixel."""

    seconds: float
    seconds_per_megapixel: float

    def of(self, megapixels: float) -> float:
        """Return what it takes in the mean."""
        return self.seconds + self.seconds_per_megapixel * megapixels


@dataclass(frozen=True, slots=True)
class StubWorkers:
    """Threads that serve every stage; spread: of what a stage takes, log-normal."""

    engine: Engine
    costs: Mapping[StageName, Cost]
    capabilities: tuple[Capability, ...]
    threads: int
    spread: float
    tally: Tally

    @contextmanager
    def working(self, seed: int) -> Iterator[None]:
        """Work while the block lasts."""
        worker = Worker(new_worker_id(), "stub", 0, self.capabilities, self.threads)
        with sessions.transaction(self.engine) as connection:
            presence.announce(connection, worker)
        ends = threading.Event()
        each = [
            threading.Thread(target=self._work, args=(worker, ends, random.Random(seed + number)))
            for number in range(self.threads)
        ]
        each.append(threading.Thread(target=self._sweep, args=(worker, ends)))
        for thread in each:
            thread.start()
        try:
            yield
        finally:
            ends.set()
            for thread in each:
                thread.join()

    def _work(self, worker: Worker, ends: threading.Event, chance: random.Random) -> None:
        while not ends.is_set():
            if not self._one(worker, chance):
                ends.wait(_LOOK_SECONDS)

    def _one(self, worker: Worker, chance: random.Random) -> bool:
        begun_at = time.perf_counter()
        with sessions.transaction(self.engine) as connection:
            chosen = queries.next_capability(connection, self.capabilities)
            if chosen is None:
                return False
            leases = transitions.claim(
                connection, chosen, worker=worker.id, batch_size=1, lease_seconds=60, max_attempts=3
            )
            jobs = queries.jobs_in(queries.for_leases(connection, leases))
        self.tally.claimed(leases)
        for lease in leases:
            job = jobs[lease.job_id]
            assert job is not None
            self._run(lease, job.megapixels, chance, begun_at)
        return True

    def _run(self, lease: Lease, megapixels: float, chance: random.Random, begun_at: float) -> None:
        seconds = self.costs[lease.stage].of(megapixels) * chance.lognormvariate(0, self.spread)
        time.sleep(seconds)
        done = [Done(lease, {}, seconds, {})]
        with sessions.transaction(self.engine) as connection:
            transitions.complete(connection, done, _KEEPING)
        self.tally.ran(done)
        self.tally.took(lease.capability, time.perf_counter() - begun_at, megapixels)

    def _sweep(self, worker: Worker, ends: threading.Event) -> None:
        while not ends.wait(1):
            self.tally.publish(self.engine)
            for step in (transitions.lapse, fairness.settle):
                with sessions.transaction(self.engine) as connection:
                    step(connection)
            with sessions.transaction(self.engine) as connection:
                fairness.refresh(connection, cell=CELL, silent_seconds=_SILENT_SECONDS)
            with sessions.transaction(self.engine) as connection:
                presence.announce(connection, worker)
