"""Edges of the transitions: the rows that each leaves alone, and the columns that it clears."""

import dataclasses
import datetime as dt
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, text

from smart_filter_shared.errors import InputsExpired, JobFinal, NotFound
from smart_filter_shared.ids import BatchId, JobId, Tenant
from smart_filter_shared.jobs.photo_queue import CLIENT, WORKER
from smart_filter_shared.jobs.submission import plan_columns
from smart_filter_shared.model_registry.stage_plan import StagePlan
from smart_filter_shared.operations import settlement
from smart_filter_shared.pipeline import StageName, TaskName
from smart_filter_shared.priority import Priority
from smart_filter_shared.queue import events, fair_queueing
from smart_filter_shared.queue.events import EventType
from smart_filter_shared.queue.fair_queueing import Reservation
from smart_filter_shared.queue.leases import DEADLINE_PASSED, ImportedPhoto, Lease, StageOutcome
from smart_filter_shared.queue.states import JobState
from smart_filter_shared.recipe import Output, Recipe
from smart_filter_tests import races, scenarios
from smart_filter_tests.bench import TENANT, Bench, capability, stage_result
from smart_filter_tests.scenarios import KEEP_BACKGROUND, RAISED
from smart_filter_tests.stages import COMPOSITE, FACE, PREPARE, SEGMENTATION, SMILE

PAST_DEADLINE = "UPDATE jobs SET deadline_at = now() - interval '1 second'"


def lose(bench: Bench) -> Lease:
    """Claim, and let the lease expire."""
    lease = bench.claim_one(PREPARE)
    bench.age(lease, seconds=31)
    bench.sweep()
    return lease


def finish(bench: Bench, tenant: Tenant = TENANT) -> float:
    """Return the place in virtual time where a tenant's work ends."""
    return float(bench.scalar("SELECT finish FROM tenants WHERE name = :name", name=tenant))


def test_running_rows_take_no_place_in_a_batch(bench: Bench) -> None:
    bench.submit_many(18, Recipe(), tenant=TENANT)
    bench.claim(PREPARE, batch_size=18)
    submitted = bench.submit_many(2, Recipe(), tenant=TENANT)

    batch = bench.claim(PREPARE, batch_size=2)

    assert sorted(lease.job_id for lease in batch) == sorted(submitted)


@pytest.mark.parametrize(("batch_size", "least"), [(1, 8), (4, 4)])
def test_claims_at_the_same_time_take_different_rows(
    bench: Bench, batch_size: int, least: int
) -> None:
    bench.submit_many(8 * batch_size, Recipe(), tenant=TENANT)

    batches = races.at_once([lambda: bench.claim(PREPARE, batch_size=batch_size)] * 8)

    claimed = [lease.job_id for batch in batches for lease in batch]
    assert len(set(claimed)) == len(claimed) >= least


@pytest.mark.parametrize(
    ("priority", "rank", "mark"),
    [(Priority.INTERACTIVE, 40, 40), (Priority.STANDARD, 100, 100), (Priority.BATCH, 700, 100)],
)
def test_claim_records_the_virtual_time_of_its_queue(
    bench: Bench, priority: Priority, rank: float, mark: float
) -> None:
    job_id = bench.submit(Recipe(priority=priority), place=Reservation(100, 0.5))

    lease = bench.claim_one(PREPARE)

    assert (bench.row(job_id, PREPARE)["rank"], lease.mark) == (rank, mark)


def test_claim_skips_a_row_with_another_shape(bench: Bench) -> None:
    job_id = bench.submit()
    bench.execute("UPDATE stages SET models = '[]'")

    lease = bench.claim_one(PREPARE)

    assert lease.job_id == job_id


def test_stage_costs_its_charges_and_its_last_run(bench: Bench) -> None:
    job_id = bench.submit()
    lease = bench.claim_one(PREPARE)
    for _ in range(2):
        bench.work(WORKER.charge, lease, 0.25)
    bench.work(WORKER.complete, [StageOutcome(lease, {}, 1.0, {}, fetching_seconds=2.0)])
    bench.advance(FACE)

    costs = [bench.row(job_id, stage)["seconds"] for stage in (PREPARE, FACE, SMILE)]

    assert costs == [3.5, 0.1, None]


def test_fetched_photo_belongs_to_its_job(bench: Bench) -> None:
    job_id, other = bench.submit_elsewhere(photo_url="https://example.org/a.jpg"), bench.submit()
    lease = next(one for one in bench.claim(PREPARE, batch_size=2) if one.job_id == job_id)
    finished = StageOutcome(lease, {}, 0.1, {}, photo=ImportedPhoto("the key", "ab" * 32, 1.5))

    bench.work(WORKER.complete, [finished])

    job = bench.scalar("SELECT row_to_json(jobs) FROM jobs WHERE id = :id", id=job_id)
    columns = ("photo_key", "photo_digest", "megapixels", "photo_url")
    assert [job[name] for name in columns] == ["the key", "ab" * 32, 1.5, None]
    assert bench.job(other).photo_key == str(other)


def test_lost_lease_changes_nothing_of_its_successor(bench: Bench) -> None:
    job_id = bench.submit()
    zombie = lose(bench)
    bench.claim_one(PREPARE)
    before = [bench.row(job_id, stage) for stage in StageName]
    scenario = scenarios.Scenario(bench, job_id, {PREPARE: zombie})

    answers = {
        action.transition: races.run_alone(scenario, action)
        for action in scenarios.actions(scenario)
        if action.on is not None
    }

    moving = ("release", "release later", "retry", "reroute", "rerun", "fail")
    assert answers == {
        "renew": False,
        "complete": ([], 0, 1),
        "complete ahead": ([], 0, 5),
        **dict.fromkeys(moving, "LeaseLost"),
    }
    assert [bench.row(job_id, stage) for stage in StageName] == before


def fail(bench: Bench, lease: Lease) -> None:
    bench.work(WORKER.fail, lease, RAISED)


def retry(bench: Bench, lease: Lease) -> None:
    bench.work(WORKER.retry, lease, RAISED, delay_seconds=5, max_attempts=3)


def release(bench: Bench, lease: Lease) -> None:
    bench.work(WORKER.release, lease, delay_seconds=5, give_up_seconds=3600)


@pytest.mark.parametrize("act", [fail, retry, release])
def test_returned_stage_holds_no_lease(bench: Bench, act: Callable[[Bench, Lease], None]) -> None:
    job_id = bench.submit()
    bench.advance(PREPARE)
    sibling, lease = bench.claim_one(SEGMENTATION), bench.claim_one(FACE)
    release(bench, sibling)
    bench.execute("UPDATE stages SET ready_at = now() - interval '1 day'")

    act(bench, lease)

    row, other = bench.row(job_id, FACE), bench.row(job_id, SEGMENTATION)
    an_hour_ago = bench.now() - dt.timedelta(hours=1)
    assert (row["lease_token"], row["leased_until"]) == (None, None)
    assert (other["not_before"] is None) == (act is fail)
    assert (row["ready_at"] > an_hour_ago) == (act is release)


def renew_all(connection: Connection, leases: list[Lease]) -> object:
    return WORKER.renew(connection, leases, lease_seconds=30)


def complete_all(connection: Connection, leases: list[Lease]) -> object:
    return WORKER.complete(connection, [stage_result(lease) for lease in leases])


@pytest.mark.parametrize(
    ("act", "rows", "order"),
    [
        (renew_all, "stages WHERE state = 'running'", "job_id, stage"),
        (complete_all, "stages WHERE state = 'running'", "job_id, stage"),
        (complete_all, "jobs", "id"),
    ],
)
def test_rows_are_locked_in_one_order(
    bench: Bench, act: Callable[[Connection, list[Lease]], object], rows: str, order: str
) -> None:
    bench.submit_many(2, Recipe(), tenant=TENANT)
    bench.complete(*bench.claim(PREPARE, batch_size=2))
    leases = bench.claim(SEGMENTATION, batch_size=2) + bench.claim(FACE, batch_size=2)
    total = bench.scalar(f"SELECT count(*) FROM {rows}")
    in_order = f"SELECT FROM {rows} ORDER BY {order}"

    with ThreadPoolExecutor(1) as pool:
        with bench.transaction() as holder:
            holder.execute(text(f"{in_order} LIMIT 1 FOR UPDATE"))
            other = pool.submit(bench.do, act, leases)
            races.wait_for_lock_waiters(bench, other)
            assert not other.done()
            free = bench.rows(f"{in_order} FOR UPDATE SKIP LOCKED")
        other.result(60)

    # The session that waits for the first row has locked no later one.
    assert len(free) == total - 1


def test_rerouted_stage_begins_with_all_attempts_and_is_rerouted_once(bench: Bench) -> None:
    job_id, other_job = bench.submit(), bench.submit()
    lease = next(one for one in bench.claim(PREPARE, batch_size=2) if one.job_id == job_id)
    others = bench.row(other_job, PREPARE)
    task = TaskName.SEGMENTATION
    choice = {task: "deeplab"}, {task: {"threshold": 0.5}}, {task: "ab" * 32}
    plan = StagePlan(capability(SEGMENTATION), *choice)
    bench.execute(
        """
            UPDATE stages SET error = '{}', ready_at = now() - interval '1 day'
            WHERE job_id = :id AND stage = 'prepare'
        """,
        id=job_id,
    )

    moved = bench.work(WORKER.reroute, lease, plan_columns(plan))
    row = bench.row(job_id, PREPARE)
    again = bench.claim_one(SEGMENTATION)
    moved_again = bench.work(WORKER.reroute, again, plan_columns(plan))

    expected = {
        "state": "ready",
        "capability": capability(SEGMENTATION),
        "attempt": 0,
        **dict.fromkeys(("lease_token", "leased_until", "error")),
        "models": {"segmentation": "deeplab"},
        "parameters": {"segmentation": {"threshold": 0.5}},
        "digests": {"segmentation": "ab" * 32},
        "batch_key": plan_columns(plan)["batch_key"],
    }
    assert {name: row[name] for name in expected} == expected
    assert bench.now() - row["ready_at"] < dt.timedelta(hours=1)
    assert bench.row(other_job, PREPARE) == others
    assert (moved, moved_again) == (True, False)
    assert bench.complete(again).lost == []


def test_artifact_without_a_stage_is_not_made_again(bench: Bench) -> None:
    job_id = bench.submit(KEEP_BACKGROUND, photo="photo")
    bench.advance(PREPARE)
    lease = bench.claim_one(COMPOSITE)

    with pytest.raises(InputsExpired):
        bench.work(WORKER.rerun, lease, ["made by another job"])

    assert bench.states(job_id) == {"prepare": "succeeded", "composite": "running"}


def end_by_cancel(bench: Bench, lease: Lease) -> None:
    bench.do(CLIENT.cancel, lease.job_id, TENANT)


def end_by_deadline(bench: Bench, lease: Lease) -> None:
    bench.work(WORKER.release, lease, delay_seconds=9, give_up_seconds=9)
    bench.execute(PAST_DEADLINE)
    bench.work(WORKER.fail_overdue)


UNSUCCESSFUL = (end_by_cancel, fail, end_by_deadline)


@pytest.mark.parametrize(
    ("end", "input_seconds", "result_seconds", "retention_seconds"),
    [
        # The photo and its results are kept as long as the job can be redriven.
        *((end, 7200, 60, 7200) for end in UNSUCCESSFUL),
        *((end, 60, 7200, 7200) for end in UNSUCCESSFUL),
        (Bench.complete, 7200, 60, 60),
    ],
)
def test_ended_job_expires_after_its_retention_time(
    bench: Bench,
    end: Callable[[Bench, Lease], object],
    input_seconds: int,
    result_seconds: int,
    retention_seconds: int,
) -> None:
    bench.submit(KEEP_BACKGROUND)
    bench.advance(PREPARE)
    bench.execute(
        "UPDATE jobs SET keep_input_seconds = :input, keep_result_seconds = :result",
        input=input_seconds,
        result=result_seconds,
    )

    end(bench, bench.claim_one(COMPOSITE))

    kept = bench.scalar("SELECT extract(epoch FROM expires_at - finished_at) FROM jobs")
    assert kept == retention_seconds


@pytest.mark.parametrize(
    ("succeeded", "failed"),
    [((), PREPARE), ((PREPARE,), SEGMENTATION), ((PREPARE, SEGMENTATION), FACE)],
)
def test_overdue_job_fails_at_its_next_stage(
    bench: Bench, succeeded: tuple[StageName, ...], failed: StageName
) -> None:
    job_id = bench.submit()
    bench.advance(*succeeded)
    bench.execute(PAST_DEADLINE)

    lapsed = bench.work(WORKER.fail_overdue)

    assert lapsed == [job_id]
    assert bench.job(job_id).error == {
        **json.loads(DEADLINE_PASSED.as_json(failed)),
        "code": "deadline",
    }
    rows = {stage: bench.row(job_id, stage) for stage in StageName if stage not in succeeded}
    assert {stage: row["state"] for stage, row in rows.items()} == {
        stage: "failed" if stage == failed else "canceled" for stage in rows
    }
    assert [stage for stage, row in rows.items() if row["error"] is not None] == [failed]
    assert all(row["finished_at"] is not None for row in rows.values())


def test_simultaneous_claim_does_not_keep_other_overdue_jobs_from_failing(bench: Bench) -> None:
    # Rows of another model are never in a batch with the head.
    claimed, waiting = bench.submit(), bench.submit(model="another")
    bench.execute(PAST_DEADLINE)
    scenario = scenarios.Scenario(bench, claimed, {}, is_late=True)
    actions = {str(action): action for action in scenarios.actions(scenario)}

    _, lapsed = races.run_overlapped(scenario, actions["claim"], actions["fail_overdue"])

    assert lapsed == 1
    assert bench.job(waiting).state == JobState.FAILED
    assert bench.states(claimed)["prepare"] == "running"


def test_redriven_job_starts_without_traces_of_its_end(bench: Bench) -> None:
    recipe = dataclasses.replace(KEEP_BACKGROUND, priority=Priority.INTERACTIVE)
    job_id = bench.submit(recipe, photo="photo")
    fail(bench, bench.claim_one(PREPARE))
    bench.work(settlement.settle)

    bench.do(CLIENT.redrive, job_id, TENANT)

    row = bench.row(job_id, PREPARE)
    cleared = "error finished_at deadline_at patience_since not_before lease_token leased_until"
    assert [name for name in cleared.split() if row[name] is not None] == []
    assert (row["state"], row["attempt"], row["releases"]) == ("ready", 0, 0)
    job = bench.scalar("SELECT row_to_json(jobs) FROM jobs")
    assert [job[name] for name in ("outcome", "error", "finished_at", "expires_at")] == [None] * 4
    assert bench.scalar("SELECT count(*) FROM unsettled_jobs") == 0
    # Its two stages end where the tenant's work so far does; interactive ones are a minute ahead.
    assert row["rank"] == pytest.approx(finish(bench) - 2 * fair_queueing.DEFAULT_COST_SECONDS - 60)


def test_stage_with_an_open_need_is_not_woken_when_its_time_comes(bench: Bench) -> None:
    job_id = bench.submit(photo="photo")
    prepared = bench.claim_one(PREPARE)
    bench.complete(prepared)
    segmentation, face = bench.claim_one(SEGMENTATION), bench.claim_one(FACE)
    retry(bench, face)
    bench.work(WORKER.rerun, segmentation, [str(prepared.token)])
    release(bench, bench.claim_one(PREPARE))
    for stage in (PREPARE, FACE):
        bench.pass_time(job_id, stage, seconds=6)

    woken = bench.sweep()

    rows = [bench.row(job_id, stage) for stage in (PREPARE, FACE)]
    found = [(row["state"], row["not_before"] is None) for row in rows]
    assert woken == [capability(PREPARE)]
    assert found == [("ready", True), ("waiting", False)]


def test_other_albums_do_not_prevent_a_job_from_ending(bench: Bench) -> None:
    for _ in range(2):
        bench.submit_batch(1, Recipe(outputs=(Output.IMAGE, Output.RATING)), best=1)
    job_id = bench.submit()

    bench.do(CLIENT.cancel, job_id, TENANT)

    assert bench.job(job_id).state == JobState.CANCELED


def test_ending_job_changes_only_its_own_batch(bench: Bench) -> None:
    own, (job_id,) = bench.submit_batch(1, KEEP_BACKGROUND)
    other, _ = bench.submit_batch(1, KEEP_BACKGROUND)
    bench.complete(*bench.claim(PREPARE, batch_size=2))

    bench.complete(*(one for one in bench.claim(COMPOSITE, batch_size=2) if one.job_id == job_id))

    happened = {batch: bench.do(events.list_for_job, JobId(batch)) for batch in (own, other)}
    assert [event.type for event in happened[own]] == [EventType.BATCH_FINISHED]
    assert happened[other] == []


def test_batch_is_canceled_by_its_own_tenant_until_it_ends(bench: Bench) -> None:
    batch_id, _ = bench.submit_batch(1, KEEP_BACKGROUND)

    for act in (CLIENT.cancel_batch, CLIENT.begin_batch_deletion):
        with pytest.raises(NotFound):
            bench.do(act, batch_id, Tenant("other"))
    bench.advance(PREPARE, COMPOSITE)
    with pytest.raises(JobFinal):
        bench.do(CLIENT.cancel_batch, batch_id, TENANT)
    bench.do(CLIENT.begin_batch_deletion, batch_id, TENANT)
    with pytest.raises(NotFound):
        bench.do(CLIENT.cancel_batch, batch_id, TENANT)


def test_deletion_removes_the_rows_of_this_batch_and_no_other(bench: Bench) -> None:
    own, (own_job,) = bench.submit_batch(1, KEEP_BACKGROUND)
    other, (other_job,) = bench.submit_batch(1, KEEP_BACKGROUND)
    bench.advance(PREPARE, PREPARE, COMPOSITE, COMPOSITE)
    for statement in _ROWS_OF_ALL:
        bench.execute(statement)
    before = rows_of(bench, other, other_job)

    bench.do(CLIENT.begin_batch_deletion, own, TENANT)
    while bench.do(CLIENT.continue_batch_deletion, own, TENANT, most=10):
        pass

    assert all(before.values())
    assert rows_of(bench, other, other_job) == before
    assert set(rows_of(bench, own, own_job).values()) == {0}
    emptied = bench.scalar("SELECT array_agg(job_id) FROM requests WHERE body IS NULL")
    assert set(emptied) == {own, own_job}


# A request and a delivery have the id of their subject.
_ROWS_OF_ALL = (
    """
        INSERT INTO requests (tenant, key, fingerprint, claimed_at, body, job_id)
        SELECT 'tests', id::text, '', now(), 'answered', id
        FROM (SELECT id FROM batches UNION ALL SELECT id FROM jobs) AS answered
    """,
    "INSERT INTO batch_gaps (batch_id, index, outcome) SELECT id, 7, 'failed' FROM batches",
    """
        INSERT INTO deliveries
            (id, tenant, webhook, lane, job_id, batch_id, type, happened_at, due_at)
        SELECT coalesce(job_id, batch_id), 'tests', '', '', job_id, batch_id, '', now(), now()
        FROM (
            SELECT id AS job_id, NULL::uuid AS batch_id FROM jobs
            UNION ALL SELECT NULL, id FROM batches
        ) AS about
    """,
    "INSERT INTO delivery_attempts (delivery_id, at, seconds) SELECT id, now(), 0 FROM deliveries",
    """
        INSERT INTO corrections
            (id, tenant, job_id, kind, stage, form, consent, provenance, created_at)
        SELECT id, 'tests', id, 'label', '', 'label', false, '{}', now() FROM jobs
    """,
)


def rows_of(bench: Bench, batch_id: BatchId, job_id: JobId) -> dict[str, int]:
    """Return the number of rows of a batch and its job in each table."""
    columns = {
        "batches": "id",
        "batch_gaps": "batch_id",
        "jobs": "id",
        "deliveries": "id",
        **dict.fromkeys(("stages", "events", "corrections"), "job_id"),
        "delivery_attempts": "delivery_id",
    }
    ids = [batch_id, job_id]
    return {
        table: bench.scalar(f"SELECT count(*) FROM {table} WHERE {column} = ANY(:ids)", ids=ids)
        for table, column in columns.items()
    }
