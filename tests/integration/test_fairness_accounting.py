"""Places of jobs in virtual time, their charges, and corrections of both."""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, text

from smart_filter_shared.eta import calibration
from smart_filter_shared.eta.calibration import Calibration, Observation
from smart_filter_shared.ids import Capability, JobId, Tenant, new_worker_id
from smart_filter_shared.jobs.photo_queue import CLIENT, WORKER
from smart_filter_shared.operations import settlement
from smart_filter_shared.operations.dead_letters import JobFailure
from smart_filter_shared.operations.settlement import Settlement
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.priority import Priority
from smart_filter_shared.queue import fair_queueing, heads
from smart_filter_shared.queue.fair_queueing import Progress, Reservation
from smart_filter_shared.queue.states import JobState
from smart_filter_tests import races
from smart_filter_tests.bench import TENANT, Bench, capability
from smart_filter_tests.scenarios import KEEP_BACKGROUND, RAISED

PREPARE, COMPOSITE = StageName.PREPARE, StageName.COMPOSITE
A, B, OTHER = Capability("a"), Capability("b"), Capability("other")
FIRST, SECOND, THIRD = Tenant("first"), Tenant("second"), Tenant("third")
SILENT_SECONDS = 3600
DAY = dt.date(2026, 3, 1)


@dataclasses.dataclass(frozen=True)
class Queue:
    """A queue: the place of its newest claim, and its ready rows as (rank, head start)."""

    name: Capability
    mark: float | None = None
    rows: Sequence[tuple[float, float]] = ()
    state: str = "ready"
    worker_silent_seconds: float | None = 0
    is_paused: bool = False

    def fill(self, bench: Bench) -> None:
        if self.mark is not None:
            bench.do(fair_queueing.record_progress, {self.name: Progress(self.mark, 0, 0.0)})
        for rank, head_start in self.rows:
            bench.execute(
                """
                    UPDATE stages SET capability = :name, rank = :rank, head_start = :head_start,
                        state = :state
                    WHERE job_id = :job_id AND stage = 'prepare'
                """,
                name=self.name,
                rank=rank,
                head_start=head_start,
                state=self.state,
                job_id=bench.submit(KEEP_BACKGROUND, place=Reservation(0, 0)),
            )
        if self.worker_silent_seconds is not None:
            worker = new_worker_id()
            bench.announce(self.name, id=worker)
            bench.execute(
                "UPDATE workers SET seen_at = now() - make_interval(secs => :s) WHERE id = :id",
                s=self.worker_silent_seconds,
                id=worker,
            )
        if self.is_paused:
            bench.do(heads.pause, self.name)


def a_tenant(bench: Bench, tenant: Tenant, *, weight: float = 1, finish: float = 0) -> None:
    bench.execute(
        "INSERT INTO tenants (name, weight, finish) VALUES (:name, :weight, :finish)",
        name=tenant,
        weight=weight,
        finish=finish,
    )


def finishes(bench: Bench) -> dict[str, float]:
    """Return the place in virtual time where each tenant's work ends."""
    return bench.scalar("SELECT json_object_agg(name, finish) FROM tenants") or {}


def set_virtual_time(bench: Bench, v: float) -> None:
    bench.execute("UPDATE sweeper SET virtual_time = :v", v=v)


@pytest.mark.parametrize(
    ("queues", "start"),
    [
        pytest.param([], 50, id="unknown-queues-start-at-v-of-all"),
        pytest.param([Queue(A, 10), Queue(B, 20)], 20, id="idle-the-furthest"),
        pytest.param(
            [Queue(A, 60, [(65, 0)]), Queue(B, 70, [(75, 0)])], 60, id="busy-the-least-far"
        ),
        pytest.param([Queue(A, 10), Queue(B, 70, [(75, 0)])], 70, id="busy-with-idle-behind"),
        pytest.param([Queue(A, 90), Queue(B, 70, [(75, 0)])], 70, id="busy-with-idle-ahead"),
        pytest.param([Queue(A, 10, [(30, 0)])], 30, id="old-mark-the-next-row"),
        pytest.param([Queue(A, 10, [(99, 0)])], 50, id="old-mark-at-most-v-of-all"),
        pytest.param([Queue(A, None, [(30, 0)])], 30, id="never-claimed-the-next-row"),
        pytest.param([Queue(A, 10, [(40, -20), (30, 0)])], 30, id="lowest-rank-is-next"),
        pytest.param([Queue(A, 10, [(40, -20)])], 20, id="batch-row-without-what-it-let-pass"),
        pytest.param([Queue(A, 10, [(30, 15)])], 30, id="interactive-row-at-its-rank"),
        pytest.param([Queue(A, 10, [(30, 0)], "waiting")], 10, id="waiting-rows-do-not-count"),
        pytest.param([Queue(A, 10), Queue(OTHER, 90, [(95, 0)])], 10, id="only-what-it-needs"),
    ],
)
def test_job_starts_at_the_virtual_time_of_its_queues(
    bench: Bench, queues: list[Queue], start: float
) -> None:
    set_virtual_time(bench, 50)
    for queue in queues:
        queue.fill(bench)

    place = bench.do(fair_queueing.reserve, TENANT, [A, B])

    assert place == Reservation(start, 2 * fair_queueing.DEFAULT_COST_SECONDS)


@pytest.mark.parametrize(
    ("queues", "v"),
    [
        pytest.param([], 0.5, id="nothing-known"),
        pytest.param([Queue(A, 70, [(1, 0)]), Queue(B, 80, [(1, 0)])], 70, id="the-slowest"),
        pytest.param(
            [Queue(A, 90), Queue(B, 80, [(1, 0)]), Queue(OTHER, is_paused=True)],
            80,
            id="another-one-is-paused",
        ),
        pytest.param([Queue(A, 0.2, [(1, 0)]), Queue(B, 80, [(1, 0)])], 0.5, id="never-back"),
        pytest.param([Queue(A, 70), Queue(B, 80)], 80, id="all-idle-the-furthest"),
        *(
            pytest.param([stopped, Queue(B, 80, [(1, 0)])], 80, id=name)
            for name, stopped in {
                "idle-one-does-not-count": Queue(A, 70),
                "unserved-one-does-not-count": Queue(A, 70, [(1, 0)], worker_silent_seconds=None),
                "silent-one-does-not-count": Queue(A, 70, [(1, 0)], worker_silent_seconds=7200),
                "paused-one-does-not-count": Queue(A, 70, [(1, 0)], is_paused=True),
                "waiting-one-does-not-count": Queue(A, 70, [(1, 0)], "waiting"),
            }.items()
        ),
    ],
)
def test_virtual_time_follows_the_slowest_queue_that_is_busy_and_served(
    bench: Bench, queues: list[Queue], v: float
) -> None:
    set_virtual_time(bench, 0.5)
    for queue in queues:
        queue.fill(bench)

    bench.work(fair_queueing.advance_virtual_time, silent_seconds=SILENT_SECONDS)

    assert bench.scalar("SELECT virtual_time FROM sweeper") == v


def test_places_are_spaced_by_cost_and_weight(bench: Bench) -> None:
    bench.do(fair_queueing.record_progress, {A: Progress(40, 10, 3.0)})
    a_tenant(bench, FIRST, weight=2, finish=30)
    a_tenant(bench, SECOND, weight=2, finish=41)

    places = [
        bench.do(fair_queueing.reserve, tenant, wanted)
        for tenant, wanted in ((FIRST, [A, B]), (FIRST, [B]), (SECOND, [A]), (THIRD, [A, B, A]))
    ]

    # A stage of A costs 0.3 s; B has never run.
    costs = [(40, 0.4), (40.2, 0.1), (41, 0.3), (40, 0.7)]
    assert [dataclasses.astuple(place) for place in places] == [
        pytest.approx(cost) for cost in costs
    ]
    assert finishes(bench) == pytest.approx({"first": 40.25, "second": 41.15, "third": 40.7})


@pytest.mark.parametrize("wanted", [[[A, B], [B], [A]], [[A], [A]]])
def test_places_for_several_jobs_equal_those_reserved_one_by_one(
    bench: Bench, wanted: list[list[Capability]]
) -> None:
    bench.do(fair_queueing.record_progress, {A: Progress(40, 10, 3.0)})
    for tenant, weight in ((THIRD, 1), (FIRST, 2), (SECOND, 2)):
        a_tenant(bench, tenant, weight=weight)

    together = bench.do(fair_queueing.reserve_many, FIRST, wanted)

    alone = [bench.do(fair_queueing.reserve, SECOND, one) for one in wanted]
    assert [dataclasses.astuple(one) for one in together] == [
        pytest.approx(dataclasses.astuple(one)) for one in alone
    ]
    ends = finishes(bench)
    assert ends == {"first": pytest.approx(ends["second"]), "second": ends["second"], "third": 0}


@pytest.mark.parametrize(
    ("tenant", "digest", "is_new"),
    [
        (TENANT, "none", False),
        (TENANT, "another", True),
        (TENANT, "zero", True),
        (SECOND, "none", True),
        (Tenant("zoe"), "none", True),
    ],
)
def test_place_is_reserved_for_the_tenant_and_a_new_photo(
    bench: Bench, tenant: Tenant, digest: str, *, is_new: bool
) -> None:
    bench.submit(place=Reservation(0, 0))
    set_virtual_time(bench, 50)

    place = bench.do(
        fair_queueing.reserve_for_new_photo,
        tenant,
        [A],
        digest=digest,
    )

    cost = fair_queueing.DEFAULT_COST_SECONDS
    assert place == (Reservation(50, cost) if is_new else None)
    assert finishes(bench) == ({tenant: 50 + cost} if is_new else {})


def test_marks_never_fall_and_costs_follow_measured_runs(bench: Bench) -> None:
    for made in (
        {A: Progress(10, 0, 0.0), B: Progress(7, 4, 2.0)},
        {A: Progress(8, 2, 1.0), B: Progress(9, 2, 3.0)},
        {A: Progress(11, 0, 0.0), OTHER: Progress(3, 1, 0.7)},
    ):
        bench.do(fair_queueing.record_progress, made)

    known = bench.scalar(
        "SELECT json_object_agg(name, json_build_array(mark, mean_seconds)) FROM capabilities"
    )
    # Each of two runs of 1.5 s moves the mean of 0.5 s by one fiftieth of the difference.
    moved = pytest.approx(0.5 + (1 - 0.98**2))
    assert known == {"a": [11, 0.5], "b": [9, moved], "other": [3, 0.7]}


def run(bench: Bench, tenant: Tenant, *stages: StageName) -> JobId:
    """Submit a job with an estimate of 0.5 s, and run its stages for 0.1 s each."""
    job_id = bench.submit(KEEP_BACKGROUND, tenant=tenant, place=Reservation(0, 0.5))
    bench.execute("UPDATE jobs SET megapixels = 1.5 WHERE id = :id", id=job_id)
    bench.advance(*stages)
    return job_id


def run_and_fail(bench: Bench, tenant: Tenant, stage: StageName, *before: StageName) -> JobId:
    job_id = run(bench, tenant, *before)
    bench.work(WORKER.fail, bench.claim_one(stage), RAISED)
    return job_id


def test_ended_jobs_are_settled_once_for_each_tenant(bench: Bench) -> None:
    for tenant, weight in ((FIRST, 2), (SECOND, 1), (THIRD, 1)):
        a_tenant(bench, tenant, weight=weight, finish=100)
    run(bench, FIRST, PREPARE, COMPOSITE)
    bench.do(CLIENT.cancel, run(bench, FIRST, PREPARE), FIRST)
    for _ in range(2):
        bench.do(CLIENT.delete, run(bench, FIRST, PREPARE), FIRST)
    failed = [
        run_and_fail(bench, SECOND, COMPOSITE, PREPARE),
        run_and_fail(bench, SECOND, PREPARE),
    ]
    unfinished = run(bench, THIRD)
    ended_at = dt.datetime.combine(DAY, dt.time(12), dt.UTC)
    bench.execute("UPDATE jobs SET finished_at = :at WHERE finished_at IS NOT NULL", at=ended_at)
    bench.execute("UPDATE tombstones SET ended_on = :day", day=DAY)

    settled = [bench.work(settlement.settle) for _ in range(2)]

    assert settled[0].ended == {JobState.SUCCEEDED: 1, JobState.CANCELED: 3, JobState.FAILED: 2}
    assert sorted(settled[0].failures, key=lambda one: one.job_id) == [
        JobFailure(failed[0], "model_failed", capability(COMPOSITE), ended_at),
        JobFailure(failed[1], "model_failed", capability(PREPARE), ended_at),
    ]
    assert settled[1] == Settlement({}, [])
    # The first tenant's jobs ran for 0.5 s instead of 2 s, at twice the weight; the second's for
    # 0.1 s instead of 1 s.
    assert finishes(bench) == pytest.approx({"first": 99.25, "second": 99.1, "third": 100})
    used = bench.rows("SELECT tenant, state, jobs, megapixels, model_seconds, day FROM usage")
    assert {(row.tenant, row.state): tuple(row)[2:] for row in used} == {
        ("first", "succeeded"): (1, 1.5, pytest.approx(0.2), DAY),
        ("first", "canceled"): (3, 4.5, pytest.approx(0.3), DAY),
        ("second", "failed"): (2, 3.0, pytest.approx(0.1), DAY),
    }
    assert bench.scalar("SELECT array_agg(job_id) FROM stages") == [unfinished] * 2
    assert bench.scalar("SELECT count(*) FROM unsettled_jobs") == 0
    owing = "owed IS NULL AND outcome IS NULL AND ended_on IS NULL AND megapixels IS NULL"
    cleared = f"SELECT count(*) FROM tombstones WHERE {owing} AND seconds IS NULL"
    assert bench.scalar(cleared) == 2


def test_estimates_learn_from_jobs_that_succeeded_without_interruption(bench: Bench) -> None:
    recipe = dataclasses.replace(KEEP_BACKGROUND, priority=Priority.INTERACTIVE)
    bench.submit(recipe, place=Reservation(0, 0))
    bench.submit(KEEP_BACKGROUND, place=Reservation(0, 0))
    redriven = bench.submit(KEEP_BACKGROUND, photo="photo", place=Reservation(0, 0))
    bench.execute("""
        UPDATE jobs SET foreseen_p50 = 60, foreseen_p90 = 7200,
            created_at = now() - interval '1 hour'
        WHERE recipe ->> 'priority' = 'interactive' OR photo_key = 'photo'
    """)
    bench.complete(*bench.claim(PREPARE, batch_size=3))
    for lease in [bench.claim_one(COMPOSITE) for _ in range(3)]:
        if lease.job_id == redriven:
            bench.work(WORKER.fail, lease, RAISED)
        else:
            bench.complete(lease)
    bench.work(settlement.settle)
    bench.do(CLIENT.redrive, redriven, TENANT)
    bench.advance(COMPOSITE)

    bench.work(settlement.settle)

    assert bench.do(calibration.read_calibrations) == {
        Priority.INTERACTIVE: Calibration().after(Observation(p50=60, p90=7200, seconds=3600))
    }


def lock(connection: Connection, row: str, value: object) -> None:
    """Lock a row until the transaction ends, for any duration."""
    connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
    found = connection.execute(text(f"SELECT FROM {row} FOR UPDATE"), {"value": value})
    assert found.rowcount == 1


def test_settling_skips_rows_that_others_lock(bench: Bench) -> None:
    deleted, ended = ([run(bench, TENANT) for _ in range(2)] for _ in range(2))
    for job_id in deleted:
        bench.do(CLIENT.delete, job_id, TENANT)
    for job_id in ended:
        bench.do(CLIENT.cancel, job_id, TENANT)

    with bench.transaction() as holder:
        lock(holder, "jobs WHERE id = :value", ended[0])
        lock(holder, "tombstones WHERE job_id = :value", deleted[0])
        meanwhile = bench.work(settlement.settle)
    afterwards = bench.work(settlement.settle)

    assert (meanwhile.ended, afterwards.ended) == ({JobState.CANCELED: 2}, {JobState.CANCELED: 2})


def test_settling_locks_tenants_in_the_order_of_their_names(bench: Bench) -> None:
    for tenant in (THIRD, SECOND, FIRST):
        a_tenant(bench, tenant)
        bench.do(CLIENT.cancel, run(bench, tenant), tenant)

    with ThreadPoolExecutor(1) as pool:
        with bench.transaction() as holder:
            lock(holder, "tenants WHERE name = :value", FIRST)
            settling = pool.submit(bench.do, settlement.settle)
            races.wait_for_lock_waiters(bench, settling)
            free = bench.scalar(
                "SELECT array_agg(name) FROM (SELECT name FROM tenants"
                " ORDER BY name FOR UPDATE SKIP LOCKED) AS free"
            )
        settling.result(60)

    assert free == [SECOND, THIRD]


def test_settling_takes_at_most_500_jobs_and_500_tombstones_at_once(bench: Bench) -> None:
    job_id = run(bench, TENANT)
    bench.do(CLIENT.cancel, job_id, TENANT)
    bench.copy(job_id, 500, every_seconds=0)
    bench.execute("""
        INSERT INTO tombstones (job_id, tenant, deleted_at, outcome, ended_on, owed, megapixels,
            seconds)
        SELECT id, tenant, now(), 'failed', now(), 0, 0, 0 FROM jobs
    """)

    settled = [bench.work(settlement.settle).ended for _ in range(2)]

    assert settled == [{JobState(end): n for end in ("canceled", "failed")} for n in (500, 1)]


def test_scheduled_job_costs_its_tenant_nothing_until_it_is_due(bench: Bench) -> None:
    scheduled = dataclasses.replace(KEEP_BACKGROUND, run_at=bench.now() + dt.timedelta(days=1))
    bench.do(CLIENT.cancel, bench.submit(scheduled), TENANT)
    due = bench.submit(scheduled)
    before = finishes(bench)

    bench.pass_time(due, PREPARE, seconds=24 * 3600)
    bench.sweep()
    charged = finishes(bench)
    bench.do(CLIENT.cancel, due, TENANT)
    bench.work(settlement.settle)

    assert before == {}
    assert charged == {TENANT: pytest.approx(2 * fair_queueing.DEFAULT_COST_SECONDS)}
    assert finishes(bench) == {TENANT: pytest.approx(0)}


def test_scheduled_jobs_are_placed_and_charged_in_sequence(bench: Bench) -> None:
    scheduled = dataclasses.replace(KEEP_BACKGROUND, run_at=bench.now() + dt.timedelta(days=1))
    tenants = (FIRST, SECOND)
    jobs = {
        tenant: [bench.submit(scheduled, tenant=tenant) for _ in range(2)] for tenant in tenants
    }
    set_virtual_time(bench, 1000)
    bench.execute("UPDATE stages SET not_before = now() WHERE not_before IS NOT NULL")

    while bench.sweep():
        pass

    assert finishes(bench) == dict.fromkeys(tenants, pytest.approx(1000.4))
    assert bench.scalar("SELECT array_agg(estimated_seconds) FROM jobs") == [pytest.approx(0.2)] * 4
    for both in jobs.values():
        ranks = [bench.row(job_id, PREPARE)["rank"] for job_id in both]
        assert sorted(ranks) == [pytest.approx(1000), pytest.approx(1000.2)]


def test_released_job_keeps_its_paid_place(bench: Bench) -> None:
    job_id = bench.submit(KEEP_BACKGROUND)
    before = finishes(bench)
    lease = bench.claim_one(PREPARE)
    bench.work(WORKER.release, lease, delay_seconds=5, give_up_seconds=3600)

    bench.pass_time(job_id, PREPARE, seconds=6)
    bench.sweep()

    assert bench.states(job_id)["prepare"] == "ready"
    assert finishes(bench) == before


def test_redriven_job_pays_for_its_remaining_stages(bench: Bench) -> None:
    job_id = bench.submit(KEEP_BACKGROUND)
    bench.advance(PREPARE)
    bench.work(WORKER.fail, bench.claim_one(COMPOSITE), RAISED)
    bench.work(settlement.settle)
    before = finishes(bench)

    bench.do(CLIENT.redrive, job_id, TENANT)
    charged = finishes(bench)
    bench.advance(COMPOSITE)
    bench.work(settlement.settle)

    # A stage of the bench takes 0.1 s, the estimate of stages that never ran.
    assert before == {TENANT: pytest.approx(0.1)}
    assert charged == finishes(bench) == {TENANT: pytest.approx(0.2)}


def test_deleted_redriven_job_counts_no_new_photo(bench: Bench) -> None:
    job_id = run_and_fail(bench, TENANT, COMPOSITE, PREPARE)
    bench.work(settlement.settle)
    bench.do(CLIENT.redrive, job_id, TENANT)
    bench.do(CLIENT.delete, job_id, TENANT)

    bench.work(settlement.settle)

    used = "json_build_array(jobs, megapixels, model_seconds)"
    assert bench.scalar(f"SELECT json_object_agg(state, {used}) FROM usage") == {
        "failed": [1, 1.5, 0.1],
        "canceled": [1, 0, 0],
    }


@pytest.mark.parametrize(("weight", "second_start"), [(None, 60.3), (2, 60.15)])
def test_best_of_an_album_are_placed_now_in_sequence(
    bench: Bench, weight: float | None, second_start: float
) -> None:
    bench.do(fair_queueing.record_progress, {capability(COMPOSITE): Progress(60, 10, 3.0)})
    if weight is not None:
        a_tenant(bench, TENANT, weight=weight)
    _, job_ids = bench.submit_batch(3, KEEP_BACKGROUND, best=2)
    other = bench.submit(KEEP_BACKGROUND, place=Reservation(9, 0))

    bench.complete(*bench.claim(PREPARE, batch_size=3))

    ranks = [bench.row(job_id, COMPOSITE)["rank"] for job_id in (*job_ids[:2], other)]
    assert ranks == pytest.approx([60, second_start, 9])


def test_redrive_waits_for_the_disk(bench: Bench) -> None:
    job_id = bench.submit(photo="photo")
    lease = bench.claim_one(PREPARE)
    bench.work(WORKER.fail, lease, RAISED)

    with bench.transaction() as connection:
        connection.execute(text("SET LOCAL synchronous_commit = on"))
        CLIENT.redrive(connection, job_id, TENANT)
        at_commit = connection.execute(text("SHOW synchronous_commit")).scalar_one()

    assert at_commit == "on"
