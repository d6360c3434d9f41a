"""Run workers whose stages only wait for a random time, without processor work.

They claim, complete, count and sweep as real workers do, on a real database.
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
from smart_filter_shared.jobs import queries
from smart_filter_shared.jobs.photo_queue import WORKER
from smart_filter_shared.operations import settlement
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue import fair_queueing, worker_registry
from smart_filter_shared.queue.leases import Lease, StageOutcome
from smart_filter_shared.queue.worker_registry import Worker
from smart_filter_tests import claiming
from smart_filter_workers.runtime.counters import WorkerCounters

_LOOK_SECONDS = 0.005
_SILENT_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Cost:
    """The time of a stage: a fixed part, and a part for each megapixel."""

    seconds: float
    seconds_per_megapixel: float

    def mean_seconds(self, megapixels: float) -> float:
        """Return the mean time for a photo, in seconds."""
        return self.seconds + self.seconds_per_megapixel * megapixels


@dataclass(frozen=True, slots=True)
class StubWorkers:
    """Threads that serve every stage; spread: sigma of the log-normal time of a stage."""

    engine: Engine
    costs: Mapping[StageName, Cost]
    capabilities: tuple[Capability, ...]
    threads: int
    spread: float
    counters: WorkerCounters

    @contextmanager
    def working(self, seed: int) -> Iterator[None]:
        """Run the threads while the block lasts; seed: start of their random times."""
        worker = Worker(new_worker_id(), "stub", 0, self.capabilities, self.threads)
        with sessions.transaction(self.engine) as connection:
            worker_registry.record_heartbeat(connection, worker)
        stop = threading.Event()
        running = [
            threading.Thread(target=self._work, args=(worker, stop, random.Random(seed + number)))
            for number in range(self.threads)
        ]
        running.append(threading.Thread(target=self._sweep, args=(worker, stop)))
        for thread in running:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in running:
                thread.join()

    def _work(self, worker: Worker, stop: threading.Event, rng: random.Random) -> None:
        while not stop.is_set():
            if not self._run_next(worker, rng):
                stop.wait(_LOOK_SECONDS)

    def _run_next(self, worker: Worker, rng: random.Random) -> bool:
        started_at = time.perf_counter()
        with sessions.transaction(self.engine) as connection:
            leases = claiming.claim(
                connection,
                self.capabilities,
                worker=worker.id,
                lease_seconds=60,
                job_sql=queries.CLAIMED_JOB,
            )
        if not leases:
            return False
        self.counters.record_claims(leases)
        for lease in leases:
            self._run(lease, rng, started_at)
        return True

    def _run(self, lease: Lease, rng: random.Random, started_at: float) -> None:
        (job,) = queries.parse_claimed_jobs([lease]).values()
        assert job is not None
        cost = self.costs[lease.stage].mean_seconds(job.megapixels)
        seconds = cost * rng.lognormvariate(0, self.spread)
        time.sleep(seconds)
        outcomes = [StageOutcome(lease, {}, seconds, {})]
        with sessions.transaction(self.engine) as connection:
            WORKER.complete(connection, outcomes)
        self.counters.record_runs(outcomes)
        taken = time.perf_counter() - started_at
        self.counters.record_duration(lease.capability, taken, job.megapixels)

    def _sweep(self, worker: Worker, stop: threading.Event) -> None:
        while not stop.wait(1):
            self.counters.publish(self.engine)
            for step in (WORKER.fail_overdue, settlement.settle):
                with sessions.transaction(self.engine) as connection:
                    step(connection)
            with sessions.transaction(self.engine) as connection:
                fair_queueing.advance_virtual_time(connection, silent_seconds=_SILENT_SECONDS)
            with sessions.transaction(self.engine) as connection:
                worker_registry.record_heartbeat(connection, worker)
