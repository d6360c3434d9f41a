"""What comes back waits its turn: redriven and scheduled jobs, retries, composites of albums.

Run with `-s` for the figures; docs/measurements.md keeps them.
"""

import dataclasses
import datetime as dt
import math
from collections import Counter

import pytest

from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs import fairness, transitions, wholesale
from smart_filter_shared.jobs.wholesale import Move
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Background, BackgroundKind, Priority, Recipe
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.simulation import Simulation, tell
from smart_filter_tests.worlds import RAISED

STAGE_SECONDS = 0.05
MANY = 10_000
# So close that virtual time passes the places of them all before they come back.
EVERY_SECONDS = 0.001
MOST_BATCHES = 3
TWO_STAGES = Recipe(background=Background(BackgroundKind.KEEP))
TOMORROW = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
SLOW = [pytest.mark.slow, pytest.mark.timeout(300)]
slow = pytest.mark.slow


def a_world(bench: Bench) -> tuple[Simulation, Tenant]:
    """Return a simulation and a tenant whose jobs are to come back."""
    world = Simulation(bench)
    return world, world.tenant("crowd", stage_seconds=STAGE_SECONDS)


def multiply(bench: Bench, world: Simulation, original: JobId, jobs: int) -> None:
    """Let there be so many of a crowd's job, and virtual time pass the places of them all."""
    copies = bench.copy(original, jobs - 1, every_seconds=EVERY_SECONDS)
    world.tenant_of.update(dict.fromkeys([original, *copies], Tenant("crowd")))
    before = world.tenant("before", stage_seconds=STAGE_SECONDS)
    passing = world.submit(before, jobs // 50)
    world.run(until=lambda: all(job_id in world.ended_at for job_id in passing))
    world.sweep()


def let_all_be_due(bench: Bench) -> None:
    bench.execute("UPDATE stages SET not_before = now() WHERE not_before IS NOT NULL")


def wake_all(bench: Bench) -> None:
    """Let everything that waits for a moment be due, and wake it in many sweeps at once."""
    let_all_be_due(bench)
    while bench.sweep():
        pass


@pytest.mark.parametrize("jobs", [100, pytest.param(MANY, marks=SLOW)])
def test_newcomer_does_not_wait_for_redriven_jobs(bench: Bench, jobs: int) -> None:
    world, crowd = a_world(bench)
    original = bench.submit(TWO_STAGES, tenant=crowd)
    lease = bench.claim_one(StageName.PREPARE)
    bench.do(transitions.fail, lease, RAISED)
    multiply(bench, world, original, jobs)

    moved = wholesale.make_all(bench.engine, Move.REDRIVE, crowd)
    waits = world.newcomers_waits(stage_seconds=STAGE_SECONDS)

    tell(f"behind {moved.moved} redriven jobs: claimed in batches {waits}")
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
    world, crowd = a_world(bench)
    recipe = dataclasses.replace(TWO_STAGES, priority=priority, run_at=TOMORROW)
    multiply(bench, world, bench.submit(recipe, tenant=crowd), jobs)

    wake_all(bench)
    waits = world.newcomers_waits(stage_seconds=STAGE_SECONDS, priority=priority)

    tell(f"behind {jobs} {priority} jobs scheduled for one moment: claimed in batches {waits}")
    assert max(waits) <= MOST_BATCHES


@slow
@pytest.mark.timeout(300)
def test_newcomer_waits_for_at_most_one_retry_of_each_sweep(bench: Bench) -> None:
    world, crowd = a_world(bench)
    original = bench.submit(TWO_STAGES, tenant=crowd)
    lease = bench.claim_one(StageName.PREPARE)
    bench.do(transitions.release, lease, delay_seconds=60, give_up_seconds=3600)
    multiply(bench, world, original, MANY)

    let_all_be_due(bench)
    world.sweep()
    ends_at = world.batches + 200
    world.run(until=lambda: world.batches >= ends_at)
    waits = world.newcomers_waits(stage_seconds=STAGE_SECONDS)

    tell(f"behind {MANY} released stages: claimed in batches {waits}")
    # A sweep spreads its 500 retries from virtual time on; each job has two stages.
    assert max(waits) <= 2 * math.ceil(MANY / 500)


@slow
def test_newcomer_does_not_wait_for_the_best_of_an_album(bench: Bench) -> None:
    world = Simulation(bench)
    world.cost[TENANT] = STAGE_SECONDS
    _, jobs = bench.submit_batch(30, best=20)
    world.tenant_of.update(dict.fromkeys(jobs, TENANT))

    world.run(until=lambda: ready(bench, StageName.COMPOSITE) > 0)
    waits = world.newcomers_waits(stage_seconds=STAGE_SECONDS)

    tell(f"behind the 20 best of 30 photos: claimed in batches {waits}")
    assert max(waits) <= MOST_BATCHES


@slow
def test_tenants_share_alike_while_scheduled_jobs_come_in_many_sweeps(bench: Bench) -> None:
    world, crowd = a_world(bench)
    steady = world.tenant("steady", stage_seconds=STAGE_SECONDS)
    world.submit(steady, 200)
    original = bench.submit(dataclasses.replace(TWO_STAGES, run_at=TOMORROW), tenant=crowd)
    copies = bench.copy(original, 1200, every_seconds=EVERY_SECONDS)
    world.tenant_of.update(dict.fromkeys([original, *copies], crowd))
    wake_all(bench)
    before = Counter(world.model_seconds)

    ends_at = world.batches + 200
    world.run(until=lambda: world.batches >= ends_at)
    got = world.shares(before)

    tell(f"scheduled against steady: ratio {got[crowd] / got[steady]:.3f}")
    assert got[crowd] == pytest.approx(got[steady], rel=0.15)


def test_scheduled_job_costs_its_tenant_nothing_until_it_is_due(bench: Bench) -> None:
    later = bench.submit(dataclasses.replace(TWO_STAGES, run_at=TOMORROW))
    bench.do(transitions.cancel, later, TENANT)
    due = bench.submit(dataclasses.replace(TWO_STAGES, run_at=TOMORROW))
    before = finish(bench)

    wake_all(bench)
    charged = finish(bench)
    bench.do(transitions.cancel, due, TENANT)
    bench.do(fairness.settle)

    two_stages = 2 * fairness.UNKNOWN_SECONDS
    assert (before, charged, finish(bench)) == (0, pytest.approx(two_stages), pytest.approx(0))


def test_redriven_job_pays_for_what_is_left_of_it(bench: Bench) -> None:
    job_id = bench.submit(TWO_STAGES)
    bench.advance(StageName.PREPARE)
    lease = bench.claim_one(StageName.COMPOSITE)
    bench.do(transitions.fail, lease, RAISED)
    bench.do(fairness.settle)
    before = finish(bench)

    bench.do(transitions.redrive, job_id, TENANT)
    charged = finish(bench) - before
    bench.advance(StageName.COMPOSITE)
    bench.do(fairness.settle)

    # A stage of the bench takes 0.1 s, as is thought of those that never ran.
    assert (charged, finish(bench)) == (pytest.approx(0.1), pytest.approx(0.2))


def finish(bench: Bench) -> float:
    """Return where in virtual time the tests' tenant's work ends; 0 where it has had none."""
    found = bench.scalar("SELECT finish FROM tenants WHERE name = :name", name=TENANT)
    return float(found or 0)


def ready(bench: Bench, stage: StageName) -> int:
    count = bench.scalar(
        "SELECT count(*) FROM stages WHERE stage = :stage AND state = 'ready'", stage=stage
    )
    return int(count or 0)
