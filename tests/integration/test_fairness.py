"""Shares and waits of tenants, measured in simulated model seconds.

Run with `-s` for the figures; docs/measurements.md keeps them.
"""

import dataclasses
import datetime as dt
import heapq
import math
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from sqlalchemy import text

from smart_filter_shared.ids import Capability, JobId, Tenant
from smart_filter_shared.jobs.photo_queue import WORKER
from smart_filter_shared.operations import operator_actions, settlement
from smart_filter_shared.operations.operator_actions import BulkAction
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.priority import Priority
from smart_filter_shared.queue import fair_queueing
from smart_filter_shared.queue.leases import Lease, StageOutcome
from smart_filter_shared.recipe import Background, BackgroundKind, Recipe
from smart_filter_shared.tenants.audit_log import COMMAND_LINE
from smart_filter_tests import claiming
from smart_filter_tests.bench import FACTS_WITHOUT_PEOPLE, TENANT, Bench, capability
from smart_filter_tests.scenarios import KEEP_BACKGROUND, RAISED
from smart_filter_workers.runtime.counters import WorkerCounters

PREPARE, SEGMENTATION, COMPOSITE = StageName.PREPARE, StageName.SEGMENTATION, StageName.COMPOSITE
STAGE_SECONDS = 0.05
# Batches before the measurement, because estimates follow measured times slowly: by one fiftieth of
# the difference a run. Then the measured batches, and the tolerance of shares.
SETTLING, MEASURED, EXACT = 300, 400, 0.15
MANY = 10_000
# So close that virtual time passes all their places before they return.
EVERY_SECONDS = 0.001
MOST_BATCHES = 3
TOMORROW = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
SLOW = [pytest.mark.slow, pytest.mark.timeout(900)]
slow = pytest.mark.slow


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


def keep_busy(simulation: Simulation, tenant: Tenant, jobs: int, priority: Priority) -> None:
    """Keep `jobs` jobs of a tenant in progress: each ended job is followed by another."""
    before = simulation.on_end

    def follow(whose: Tenant) -> None:
        before(whose)
        if whose == tenant:
            simulation.submit(tenant, 1, priority)

    simulation.on_end = follow
    simulation.submit(tenant, jobs, priority)


def shares(
    simulation: Simulation, *, settling: int = SETTLING, measured: int = MEASURED
) -> dict[Tenant, float]:
    """Return the model seconds of tenants in the long run."""
    run_batches(simulation, settling)
    before = Counter(simulation.model_seconds)
    run_batches(simulation, measured)
    return simulation.shares(before)


def run_batches(simulation: Simulation, batches: int) -> None:
    ends_at = simulation.batches + batches
    simulation.run(until=lambda: simulation.batches >= ends_at)


@pytest.mark.parametrize(
    ("photos", "batch_size"),
    [(200, 1), pytest.param(5000, 1, marks=SLOW), pytest.param(1000, 8, marks=SLOW)],
)
def test_newcomer_does_not_wait_for_others_photos(
    bench: Bench, photos: int, batch_size: int
) -> None:
    simulation = Simulation(bench, batch_size=batch_size)
    crowd = simulation.tenant("crowd", stage_seconds=STAGE_SECONDS)
    simulation.submit(crowd, photos)
    simulation.run(until=lambda: simulation.batches >= photos // 50)

    waits = simulation.measure_newcomer_waits(stage_seconds=STAGE_SECONDS)

    print_figure(f"batches of {batch_size}: claimed in batches {waits}")
    assert max(waits) <= MOST_BATCHES


@slow
@pytest.mark.parametrize(
    ("stage_seconds", "weight", "priority"),
    [
        pytest.param((STAGE_SECONDS, 4 * STAGE_SECONDS), 1, Priority.STANDARD, id="larger photos"),
        pytest.param((STAGE_SECONDS, STAGE_SECONDS), 2, Priority.STANDARD, id="twice the weight"),
        # Stages of ten seconds, so that the head start of a minute is soon used up.
        pytest.param((10, 10), 1, Priority.INTERACTIVE, id="interactive"),
        # A photo of a batch starts ten minutes later, which are ten stages of a minute.
        pytest.param((60, 60), 1, Priority.BATCH, id="batch"),
    ],
)
def test_tenants_get_model_seconds_by_their_weight(
    bench: Bench, stage_seconds: tuple[float, float], weight: int, priority: Priority
) -> None:
    simulation = Simulation(bench, workers=2, batch_size=4)
    usual = simulation.tenant("usual", stage_seconds=stage_seconds[0])
    other = simulation.tenant("other", stage_seconds=stage_seconds[1], weight=weight)
    keep_busy(simulation, usual, 40, Priority.STANDARD)
    keep_busy(simulation, other, 40, priority)

    got = shares(simulation)

    print_figure(f"{got}, ratio {got[other] / got[usual]:.3f}")
    assert got[other] == pytest.approx(weight * got[usual], rel=EXACT)


def test_interactive_overtakes_standard_which_overtakes_batch(bench: Bench) -> None:
    priorities = (Priority.BATCH, Priority.STANDARD, Priority.INTERACTIVE)
    submitted = [bench.submit(Recipe(priority=priority)) for priority in priorities]

    claimed = [bench.claim_one(PREPARE).job_id for _ in submitted]

    assert claimed == submitted[::-1]


@slow
def test_newcomer_does_not_pay_for_the_head_start_of_others(bench: Bench) -> None:
    simulation = Simulation(bench)
    crowd = simulation.tenant("crowd", stage_seconds=STAGE_SECONDS)
    urgent = simulation.tenant("hasty", stage_seconds=STAGE_SECONDS)
    simulation.submit(crowd, 500)
    simulation.run(until=lambda: simulation.batches >= 50)
    burst = simulation.submit(urgent, 100, Priority.INTERACTIVE)
    simulation.run(until=lambda: all(job_id in simulation.ended_at for job_id in burst))
    simulation.sweep()

    newcomer = simulation.tenant("newcomer", stage_seconds=STAGE_SECONDS)
    (job_id,) = simulation.submit(newcomer)

    assert simulation.count_batches_until(job_id) <= MOST_BATCHES


@slow
def test_stalled_capability_changes_no_order_in_the_others(bench: Bench) -> None:
    simulation = Simulation(bench, served=[capability(PREPARE), capability(COMPOSITE)])
    crowd = simulation.tenant("crowd", stage_seconds=STAGE_SECONDS)
    steady = simulation.tenant("steady", stage_seconds=STAGE_SECONDS)
    simulation.tenant_of.update(
        dict.fromkeys((bench.submit(Recipe(), tenant=crowd) for _ in range(50)), crowd)
    )
    stand_still(bench, SEGMENTATION)
    keep_busy(simulation, steady, 4, Priority.STANDARD)
    run_batches(simulation, SETTLING)

    newcomer = simulation.tenant("newcomer", stage_seconds=STAGE_SECONDS)
    first, *_ = simulation.submit(newcomer, 300)
    before = Counter(simulation.model_seconds)
    waited = simulation.count_batches_until(first)
    run_batches(simulation, MEASURED)
    got = simulation.shares(before)

    print_figure(
        f"next to a stalled capability: waits {waited}, ratio {got[steady] / got[newcomer]:.3f}"
    )
    assert waited <= MOST_BATCHES
    assert got[steady] == pytest.approx(got[newcomer], rel=EXACT)


def stand_still(bench: Bench, stage: StageName) -> None:
    """Let a live worker hold the first of a stage's rows forever, while the others wait."""
    bench.announce(capability(stage))
    with bench.transaction() as connection:
        connection.execute(
            text("""
                UPDATE stages SET state = 'ready', open_needs = 0
                WHERE stage = :stage AND state = 'waiting'
            """),
            {"stage": stage},
        )
        advance = {capability(stage): fair_queueing.Progress(0.0, 0, 0.0)}
        fair_queueing.record_progress(connection, advance)


# Returning stages: redriven and scheduled jobs, retries, composites of albums.


def a_simulation(bench: Bench) -> tuple[Simulation, Tenant]:
    """Return a simulation and a tenant whose jobs will return."""
    simulation = Simulation(bench)
    return simulation, simulation.tenant("crowd", stage_seconds=STAGE_SECONDS)


def multiply(bench: Bench, simulation: Simulation, original: JobId, jobs: int) -> None:
    """Copy a job `jobs` times, and advance virtual time past the places of all copies."""
    copies = bench.copy(original, jobs - 1, every_seconds=EVERY_SECONDS)
    simulation.tenant_of.update(dict.fromkeys([original, *copies], Tenant("crowd")))
    before = simulation.tenant("before", stage_seconds=STAGE_SECONDS)
    passing = simulation.submit(before, jobs // 50)
    simulation.run(until=lambda: all(job_id in simulation.ended_at for job_id in passing))
    simulation.sweep()


def let_all_be_due(bench: Bench) -> None:
    bench.execute("UPDATE stages SET not_before = now() WHERE not_before IS NOT NULL")


def wake_all(bench: Bench) -> None:
    """Make everything that waits for a time due, and wake it in many sweeps at once."""
    let_all_be_due(bench)
    while bench.sweep():
        pass


@pytest.mark.parametrize("jobs", [100, pytest.param(MANY, marks=SLOW)])
def test_newcomer_does_not_wait_for_redriven_jobs(bench: Bench, jobs: int) -> None:
    simulation, crowd = a_simulation(bench)
    original = bench.submit(KEEP_BACKGROUND, tenant=crowd)
    lease = bench.claim_one(StageName.PREPARE)
    bench.work(WORKER.fail, lease, RAISED)
    multiply(bench, simulation, original, jobs)

    moved = operator_actions.move_all_jobs(bench.engine, COMMAND_LINE, BulkAction.REDRIVE, crowd)
    waits = simulation.measure_newcomer_waits(stage_seconds=STAGE_SECONDS)

    print_figure(f"behind {moved.moved} redriven jobs: claimed in batches {waits}")
    assert moved.moved == jobs
    assert max(waits) <= MOST_BATCHES


@pytest.mark.parametrize(
    ("priority", "jobs"),
    [
        # A sweep wakes 500 of them.
        (Priority.STANDARD, 600),
        *(pytest.param(priority, MANY, marks=SLOW) for priority in Priority),
    ],
)
def test_newcomer_does_not_wait_for_jobs_scheduled_for_one_moment(
    bench: Bench, priority: Priority, jobs: int
) -> None:
    simulation, crowd = a_simulation(bench)
    recipe = dataclasses.replace(KEEP_BACKGROUND, priority=priority, run_at=TOMORROW)
    multiply(bench, simulation, bench.submit(recipe, tenant=crowd), jobs)

    wake_all(bench)
    waits = simulation.measure_newcomer_waits(stage_seconds=STAGE_SECONDS, priority=priority)

    print_figure(
        f"behind {jobs} {priority} jobs scheduled for one moment: claimed in batches {waits}"
    )
    assert max(waits) <= MOST_BATCHES


@slow
@pytest.mark.timeout(900)
def test_newcomer_waits_for_at_most_one_retry_of_each_sweep(bench: Bench) -> None:
    simulation, crowd = a_simulation(bench)
    original = bench.submit(KEEP_BACKGROUND, tenant=crowd)
    lease = bench.claim_one(StageName.PREPARE)
    bench.work(WORKER.release, lease, delay_seconds=60, give_up_seconds=3600)
    multiply(bench, simulation, original, MANY)

    let_all_be_due(bench)
    simulation.sweep()
    ends_at = simulation.batches + 200
    simulation.run(until=lambda: simulation.batches >= ends_at)
    waits = simulation.measure_newcomer_waits(stage_seconds=STAGE_SECONDS)

    print_figure(f"behind {MANY} released stages: claimed in batches {waits}")
    # A sweep spreads its 500 retries over virtual time; each job has two stages.
    assert max(waits) <= 2 * math.ceil(MANY / 500)


@slow
def test_newcomer_does_not_wait_for_the_best_of_an_album(bench: Bench) -> None:
    simulation = Simulation(bench)
    simulation.cost[TENANT] = STAGE_SECONDS
    _, jobs = bench.submit_batch(30, best=20)
    simulation.tenant_of.update(dict.fromkeys(jobs, TENANT))

    simulation.run(until=lambda: ready(bench, StageName.COMPOSITE) > 0)
    waits = simulation.measure_newcomer_waits(stage_seconds=STAGE_SECONDS)

    print_figure(f"behind the 20 best of 30 photos: claimed in batches {waits}")
    assert max(waits) <= MOST_BATCHES


@slow
def test_tenants_share_equally_while_scheduled_jobs_wake_in_many_sweeps(bench: Bench) -> None:
    simulation, crowd = a_simulation(bench)
    steady = simulation.tenant("steady", stage_seconds=STAGE_SECONDS)
    simulation.submit(steady, 200)
    original = bench.submit(dataclasses.replace(KEEP_BACKGROUND, run_at=TOMORROW), tenant=crowd)
    copies = bench.copy(original, 1200, every_seconds=EVERY_SECONDS)
    simulation.tenant_of.update(dict.fromkeys([original, *copies], crowd))
    wake_all(bench)
    before = Counter(simulation.model_seconds)

    ends_at = simulation.batches + 200
    simulation.run(until=lambda: simulation.batches >= ends_at)
    got = simulation.shares(before)

    print_figure(f"scheduled against steady: ratio {got[crowd] / got[steady]:.3f}")
    assert got[crowd] == pytest.approx(got[steady], rel=0.15)


def ready(bench: Bench, stage: StageName) -> int:
    count = bench.scalar(
        "SELECT count(*) FROM stages WHERE stage = :stage AND state = 'ready'", stage=stage
    )
    return int(count or 0)
