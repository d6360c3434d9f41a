"""Who gets how much, and who waits how long: measured in model seconds that are simulated.

Run with `-s` for the figures; docs/measurements.md keeps them.
"""

import dataclasses
import datetime as dt
import math
from collections import Counter

import pytest
from sqlalchemy import text

from smart_filter_shared.ids import JobId, Tenant, new_worker_id
from smart_filter_shared.jobs import fairness, presence, transitions, wholesale
from smart_filter_shared.jobs.wholesale import Move
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Priority, Recipe
from smart_filter_tests.bench import TENANT, Bench, capability
from smart_filter_tests.simulation import Simulation, tell
from smart_filter_tests.worlds import KEEP_BACKGROUND, RAISED

PREPARE, SEGMENTATION, COMPOSITE = StageName.PREPARE, StageName.SEGMENTATION, StageName.COMPOSITE
STAGE_SECONDS = 0.05
# Batches before anything is measured, as estimates follow what really ran only slowly: one in
# fifty of the difference a run. Batches that are measured, and how exact shares are then.
SETTLING, MEASURED, EXACT = 300, 400, 0.15
MANY = 10_000
# So close that virtual time passes the places of them all before they come back.
EVERY_SECONDS = 0.001
MOST_BATCHES = 3
TOMORROW = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
SLOW = [pytest.mark.slow, pytest.mark.timeout(300)]
slow = pytest.mark.slow


def keep_busy(world: Simulation, tenant: Tenant, jobs: int, priority: Priority) -> None:
    """Let a tenant have so many jobs under way always: one that ends is followed by another."""
    before = world.on_end

    def follow(whose: Tenant) -> None:
        before(whose)
        if whose == tenant:
            world.submit(tenant, 1, priority)

    world.on_end = follow
    world.submit(tenant, jobs, priority)


def shares(
    world: Simulation, *, settling: int = SETTLING, measured: int = MEASURED
) -> dict[Tenant, float]:
    """Return the model seconds that tenants get in the long run."""
    run_batches(world, settling)
    before = Counter(world.model_seconds)
    run_batches(world, measured)
    return world.shares(before)


def run_batches(world: Simulation, batches: int) -> None:
    ends_at = world.batches + batches
    world.run(until=lambda: world.batches >= ends_at)


@pytest.mark.parametrize(
    ("photos", "batch_size"),
    [(200, 1), pytest.param(5000, 1, marks=SLOW), pytest.param(1000, 8, marks=SLOW)],
)
def test_newcomer_does_not_wait_for_others_photos(
    bench: Bench, photos: int, batch_size: int
) -> None:
    world = Simulation(bench, batch_size=batch_size)
    crowd = world.tenant("crowd", stage_seconds=STAGE_SECONDS)
    world.submit(crowd, photos)
    world.run(until=lambda: world.batches >= photos // 50)

    waits = world.newcomers_waits(stage_seconds=STAGE_SECONDS)

    tell(f"batches of {batch_size}: claimed in batches {waits}")
    assert max(waits) <= MOST_BATCHES


def test_tenant_of_twice_the_weight_soon_gets_more_model_seconds(bench: Bench) -> None:
    world = Simulation(bench, workers=2, batch_size=4)
    tenants = [world.tenant(f"{weight}", stage_seconds=1, weight=weight) for weight in (1, 2)]
    for tenant in tenants:
        keep_busy(world, tenant, 20, Priority.STANDARD)

    got = shares(world, settling=50, measured=80)

    tell(f"{got}")
    assert got[tenants[1]] == pytest.approx(2 * got[tenants[0]], rel=0.35)


@slow
@pytest.mark.parametrize(
    ("stage_seconds", "weight", "priority"),
    [
        pytest.param((STAGE_SECONDS, 4 * STAGE_SECONDS), 1, Priority.STANDARD, id="larger photos"),
        pytest.param((STAGE_SECONDS, STAGE_SECONDS), 2, Priority.STANDARD, id="twice the weight"),
        # Stages of ten seconds, so that the head start of a minute is soon used up.
        pytest.param((10, 10), 1, Priority.INTERACTIVE, id="interactive"),
        # A photo of a batch lets ten minutes pass, which are ten stages of a minute.
        pytest.param((60, 60), 1, Priority.BATCH, id="batch"),
    ],
)
def test_tenants_get_model_seconds_by_their_weight(
    bench: Bench, stage_seconds: tuple[float, float], weight: int, priority: Priority
) -> None:
    world = Simulation(bench, workers=2, batch_size=4)
    usual = world.tenant("usual", stage_seconds=stage_seconds[0])
    other = world.tenant("other", stage_seconds=stage_seconds[1], weight=weight)
    keep_busy(world, usual, 40, Priority.STANDARD)
    keep_busy(world, other, 40, priority)

    got = shares(world)

    tell(f"{got}, ratio {got[other] / got[usual]:.3f}")
    assert got[other] == pytest.approx(weight * got[usual], rel=EXACT)


def test_interactive_overtakes_standard_which_overtakes_batch(bench: Bench) -> None:
    priorities = (Priority.BATCH, Priority.STANDARD, Priority.INTERACTIVE)
    submitted = [bench.submit(Recipe(priority=one)) for one in priorities]

    claimed = [bench.claim_one(PREPARE).job_id for _ in submitted]

    assert claimed == submitted[::-1]


@slow
def test_newcomer_does_not_pay_for_the_head_start_of_others(bench: Bench) -> None:
    world = Simulation(bench)
    crowd = world.tenant("crowd", stage_seconds=STAGE_SECONDS)
    hasty = world.tenant("hasty", stage_seconds=STAGE_SECONDS)
    world.submit(crowd, 500)
    world.run(until=lambda: world.batches >= 50)
    burst = world.submit(hasty, 100, Priority.INTERACTIVE)
    world.run(until=lambda: all(job_id in world.ended_at for job_id in burst))
    world.sweep()

    newcomer = world.tenant("newcomer", stage_seconds=STAGE_SECONDS)
    (job_id,) = world.submit(newcomer)

    assert world.batches_waited(job_id) <= MOST_BATCHES


@slow
def test_standing_capability_changes_no_turn_in_the_others(bench: Bench) -> None:
    world = Simulation(bench, served=[capability(PREPARE), capability(COMPOSITE)])
    crowd = world.tenant("crowd", stage_seconds=STAGE_SECONDS)
    steady = world.tenant("steady", stage_seconds=STAGE_SECONDS)
    world.tenant_of.update(
        dict.fromkeys((bench.submit(Recipe(), tenant=crowd) for _ in range(50)), crowd)
    )
    stand_still(bench, SEGMENTATION)
    keep_busy(world, steady, 4, Priority.STANDARD)
    run_batches(world, SETTLING)

    newcomer = world.tenant("newcomer", stage_seconds=STAGE_SECONDS)
    first, *_ = world.submit(newcomer, 300)
    before = Counter(world.model_seconds)
    waited = world.batches_waited(first)
    run_batches(world, MEASURED)
    got = world.shares(before)

    tell(f"beside what stands still: waits {waited}, ratio {got[steady] / got[newcomer]:.3f}")
    assert waited <= MOST_BATCHES
    assert got[steady] == pytest.approx(got[newcomer], rel=EXACT)


def stand_still(bench: Bench, stage: StageName) -> None:
    """Let a live worker hold the first of a stage's rows for ever, and the others wait."""
    worker = presence.Worker(new_worker_id(), "slow", 1, (capability(stage),), 1)
    with bench.transaction() as connection:
        presence.announce(connection, worker)
        connection.execute(
            text("""
                UPDATE stages SET state = 'ready', open_needs = 0
                WHERE stage = :stage AND state = 'waiting'
            """),
            {"stage": stage},
        )
        advance = {capability(stage): fairness.Progress(0.0, 0, 0.0)}
        fairness.advance(connection, advance)


# What comes back: redriven and scheduled jobs, retries, composites of albums.


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
    original = bench.submit(KEEP_BACKGROUND, tenant=crowd)
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
    recipe = dataclasses.replace(KEEP_BACKGROUND, priority=priority, run_at=TOMORROW)
    multiply(bench, world, bench.submit(recipe, tenant=crowd), jobs)

    wake_all(bench)
    waits = world.newcomers_waits(stage_seconds=STAGE_SECONDS, priority=priority)

    tell(f"behind {jobs} {priority} jobs scheduled for one moment: claimed in batches {waits}")
    assert max(waits) <= MOST_BATCHES


@slow
@pytest.mark.timeout(300)
def test_newcomer_waits_for_at_most_one_retry_of_each_sweep(bench: Bench) -> None:
    world, crowd = a_world(bench)
    original = bench.submit(KEEP_BACKGROUND, tenant=crowd)
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
    original = bench.submit(dataclasses.replace(KEEP_BACKGROUND, run_at=TOMORROW), tenant=crowd)
    copies = bench.copy(original, 1200, every_seconds=EVERY_SECONDS)
    world.tenant_of.update(dict.fromkeys([original, *copies], crowd))
    wake_all(bench)
    before = Counter(world.model_seconds)

    ends_at = world.batches + 200
    world.run(until=lambda: world.batches >= ends_at)
    got = world.shares(before)

    tell(f"scheduled against steady: ratio {got[crowd] / got[steady]:.3f}")
    assert got[crowd] == pytest.approx(got[steady], rel=0.15)


def ready(bench: Bench, stage: StageName) -> int:
    count = bench.scalar(
        "SELECT count(*) FROM stages WHERE stage = :stage AND state = 'ready'", stage=stage
    )
    return int(count or 0)
