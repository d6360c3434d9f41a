"""Simulate workers: model time advances by stage durations; everything else is real.

Claims, completions, estimates, marks and sweeps happen on the real database, as the runner and the
sweeper do them; a stage takes the seconds that a test gives, on a clock that jumps.
"""

import heapq
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from smart_filter_shared.ids import Capability, JobId, Tenant
from smart_filter_shared.jobs.photo_queue import WORKER
from smart_filter_shared.operations import settlement
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.priority import Priority
from smart_filter_shared.queue import fair_queueing
from smart_filter_shared.queue.leases import Lease, StageOutcome
from smart_filter_shared.recipe import Background, BackgroundKind, Recipe
from smart_filter_tests import claiming
from smart_filter_tests.bench import FACTS_WITHOUT_PEOPLE, Bench, capability
from smart_filter_workers.runtime.counters import WorkerCounters

SERVED = tuple(capability(stage) for stage in StageName)
_SWEEP_SECONDS = 1.0


def print_figure(line: str) -> None:
    """Print a figure; pytest shows it with `-s`, and when the test fails."""
    sys.stdout.write(f"{line}\n")


@dataclass(order=True, slots=True)
class _Worker:
    free_at: float
    name: int
    batch: list[Lease] = field(default_factory=list, compare=False)


class Simulation:
    """Workers, and tenants that submit.

    served: the stages that the workers serve.  batch_size: how many photos one pass takes; a pass
    takes as long as its slowest photo alone, times the number of its photos.
    """

    def __init__(
        self,
        bench: Bench,
        *,
        workers: int = 1,
        batch_size: int = 1,
        served: Sequence[Capability] = SERVED,
    ) -> None:
        self.now = 0.0
        self.batches = 0
        self.model_seconds: Counter[Tenant] = Counter()
        self.claimed_at: dict[JobId, float] = {}
        self.claimed_in: dict[JobId, int] = {}
        self.ended_at: dict[JobId, float] = {}
        self.cost: dict[Tenant, float] = {}
        self.tenant_of: dict[JobId, Tenant] = {}
        self.on_end: Callable[[Tenant], None] = lambda _: None
        self._bench = bench
        self._batch_size = batch_size
        self._served = served
        self._tally = WorkerCounters()
        self._workers = [_Worker(0.0, number) for number in range(workers)]
        self._swept_at = 0.0
        bench.announce(*served, id=bench.worker, threads=workers)

    def tenant(self, name: str, *, stage_seconds: float, weight: float = 1) -> Tenant:
        tenant = Tenant(name)
        self.cost[tenant] = stage_seconds
        self._bench.execute(
            """
                INSERT INTO tenants (name, weight, finish)
                SELECT :name, :weight, virtual_time FROM sweeper
            """,
            name=name,
            weight=weight,
        )
        return tenant

    def submit(
        self, tenant: Tenant, jobs: int = 1, priority: Priority = Priority.STANDARD
    ) -> list[JobId]:
        recipe = Recipe(background=Background(BackgroundKind.KEEP), priority=priority)
        submitted = self._bench.submit_many(jobs, recipe, tenant=tenant)
        self.tenant_of.update(dict.fromkeys(submitted, tenant))
        return submitted

    def run(self, until: Callable[[], bool]) -> None:
        """Run workers until a condition holds; they must not run out of work before."""
        while not until():
            assert self.step() or until(), "nothing is left to do"

    def count_batches_until(self, job_id: JobId) -> int:
        """Return the number of batches claimed before that of a newly submitted job."""
        before = self.batches
        self.run(until=lambda: job_id in self.claimed_in)
        return self.claimed_in[job_id] - before

    def measure_newcomer_waits(
        self, *, stage_seconds: float, priority: Priority = Priority.STANDARD
    ) -> list[int]:
        """Submit jobs of three newcomers one after the other; return the batches each waits."""
        waits = []
        for number in range(3):
            newcomer = self.tenant(f"newcomer {number}", stage_seconds=stage_seconds)
            (job_id,) = self.submit(newcomer, 1, priority)
            submitted_at = self.now
            waits.append(self.count_batches_until(job_id))
            self.run(until=lambda job_id=job_id: job_id in self.ended_at)
            print_figure(f"newcomer {number}: done in {self.ended_at[job_id] - submitted_at:.2f} s")
        return waits

    def step(self) -> bool:
        """Let the worker that is free first finish its batch and claim the next one."""
        worker = heapq.heappop(self._workers)
        self.now = max(self.now, worker.free_at)
        if worker.batch:
            self._complete(worker.batch)
        if self.now >= self._swept_at + _SWEEP_SECONDS:
            self.sweep()
        worker.batch = self._claim()
        busy = any(other.batch for other in self._workers)
        later = [other.free_at for other in self._workers if other.batch]
        seconds = sum(self._seconds(lease) for lease in worker.batch)
        worker.free_at = self.now + seconds if worker.batch else min(later, default=self.now)
        heapq.heappush(self._workers, worker)
        return busy or bool(worker.batch)

    def sweep(self) -> None:
        self._swept_at = self.now
        self._tally.publish(self._bench.engine)
        self._bench.work(WORKER.wake)
        self._bench.work(settlement.settle)
        self._bench.work(fair_queueing.advance_virtual_time, silent_seconds=3600)

    def shares(self, since: Mapping[Tenant, float]) -> dict[Tenant, float]:
        return {tenant: self.model_seconds[tenant] - since.get(tenant, 0.0) for tenant in self.cost}

    def _claim(self) -> list[Lease]:
        with self._bench.transaction() as connection:
            leases = claiming.claim(
                connection,
                self._served,
                worker=self._bench.worker,
                batch_size=self._batch_size,
                lease_seconds=3600,
            )
        if not leases:
            return []
        self._tally.record_claims(leases)
        self.batches += 1
        for lease in leases:
            self.claimed_at.setdefault(lease.job_id, self.now)
            self.claimed_in.setdefault(lease.job_id, self.batches)
        return leases

    def _complete(self, leases: list[Lease]) -> None:
        done = [
            StageOutcome(
                lease, {"facts": FACTS_WITHOUT_PEOPLE[lease.stage]}, self._seconds(lease), {}
            )
            for lease in leases
        ]
        completion = self._bench.work(WORKER.complete, done)
        self._tally.record_runs(done)
        for visit in done:
            self.model_seconds[self.tenant_of[visit.lease.job_id]] += visit.seconds
        for job_id in completion.succeeded:
            self.ended_at[job_id] = self.now
            self.on_end(self.tenant_of[job_id])

    def _seconds(self, lease: Lease) -> float:
        return self.cost[self.tenant_of[lease.job_id]]
