"""Days that are dropped: all of what may go, nothing of what may not, and no reader in between."""

import contextlib
import datetime as dt
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from smart_filter_shared.db import days
from smart_filter_shared.db.days import Span
from smart_filter_shared.errors import DatabaseUnavailable
from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs import fairness, past_days, retention, transitions
from smart_filter_shared.jobs.presence import CELL
from smart_filter_shared.pipeline import StageName
from smart_filter_tests import bygone, invariants, many_days, races
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.bygone import BACK, batch, drop, ended, id_of, is_there, let_expire, span
from smart_filter_tests.many_days import today_of
from smart_filter_tests.serving import Api, a_photo, an_api, serving
from smart_filter_workers.retention import Retention

DAY = 24 * 3600.0
BACK_DAYS = dt.timedelta(days=BACK)


@pytest.fixture(scope="module")
def _month(_bench: Bench) -> Iterator[Bench]:
    with many_days.before(_bench) as engine:
        yield many_days.after_a_month(_bench, engine)


@pytest.fixture(scope="module")
def _url(_month: Bench) -> Iterator[str]:
    with serving(_month.settings) as served:
        yield served


@pytest.fixture
def api(_url: str, month: Bench) -> Iterator[Api]:
    with an_api(_url, month) as api:
        yield api


@pytest.fixture
def month(_month: Bench) -> Bench:
    """A bench after a month of days, of which none holds anything."""
    return bygone.emptied(_month)


def test_day_goes_with_its_jobs_and_usage_stays(month: Bench) -> None:
    job_id, deleted = ended(month), ended(month, 1)
    month.do(transitions.delete, deleted, TENANT)
    stays = month.submit()
    before = month.scalar("SELECT sum(jobs) FROM usage")

    assert drop(month) == []

    assert not is_there(month)
    assert month.states(stays)
    assert invariants.broken(month) == []
    assert month.scalar("SELECT sum(jobs) FROM usage") == before
    assert month.scalar("SELECT count(*) FROM events WHERE job_id = :id", id=job_id) == 0
    assert month.scalar("SELECT count(*) FROM tombstones WHERE job_id = :id", id=deleted) == 1
    assert drop(month) == [], "a day that another process has dropped is dropped"


def test_batch_of_two_days_goes_with_the_second(month: Bench) -> None:
    batch_id = batch(month, (BACK + 1, 0), (BACK, 0))

    assert drop(month, back=BACK + 1) == []
    shown = month.batch(batch_id)
    broken = invariants.broken(month)
    assert drop(month) == []

    assert [(item.state, item.is_deleted) for item in shown.items or ()] == [
        ("canceled", True),
        ("canceled", False),
    ]
    assert broken == invariants.broken(month) == []
    for table in ("batches", "batch_gaps", "events"):
        assert month.scalar(f"SELECT count(*) FROM {table}") == 0


def test_first_partition_goes_as_a_day_does(month: Bench) -> None:
    with month.transaction() as connection:
        oldest = days.partitions(connection)[0].since
        assert oldest is not None
        first = Span(oldest, None, days.until(oldest))
        for table in days.TABLES:
            name = f"{table}_{first.name}"
            connection.execute(text(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)"))
            connection.execute(
                text(f"ALTER TABLE {table} ATTACH PARTITION {name}"
                     f" FOR VALUES FROM (MINVALUE) TO ('{days.first_id(oldest)}')")
            )  # fmt: skip
    ended(month, back=1000)

    with month.transaction() as connection:
        assert past_days.over(connection, kept_seconds=DAY)[0] == first
        assert past_days.drop(connection, first) == []

    assert month.do(days.partitions)[0].since == oldest
    assert month.scalar("SELECT count(*) FROM jobs") == 0


def test_days_are_over_after_so_long(month: Bench) -> None:
    first = month.do(past_days.over, kept_seconds=BACK * DAY)
    all_but_two = month.do(past_days.over, kept_seconds=DAY)

    today = today_of(month.engine)
    assert first[-1].until == today - BACK_DAYS
    assert all_but_two[-1].until == today - dt.timedelta(days=1)


def test_reader_makes_the_day_wait_for_the_next_time(month: Bench) -> None:
    ended(month)
    keeper = Retention(month.engine, month.store, cell=CELL, record_seconds=BACK * DAY)

    with month.transaction() as reading:
        reading.execute(text("SELECT count(*) FROM stages"))
        before = days.partitions(reading)
        keeper.drop_days()
        held = days.partitions(reading)
    keeper.drop_days()

    after = month.do(days.partitions)
    assert held == before
    assert after == [one for one in before if one.until > today_of(month.engine) - BACK_DAYS]


def test_nothing_is_dropped_by_default(month: Bench) -> None:
    ended(month)

    Retention(month.engine, month.store, cell=CELL).drop_days()

    assert is_there(month)


def test_views_that_named_the_day_go_on_without_it(month: Bench) -> None:
    waiting = month.submit(job_id=JobId(id_of(month)))
    month.do(days.look)
    month.do(transitions.cancel, waiting, TENANT)
    month.do(fairness.settle)
    let_expire(month)

    assert drop(month) == []
    new = month.submit()
    assert month.claim_one(StageName.PREPARE).job_id == new
    with month.transaction() as connection:
        days.look(connection)
        shown = connection.scalar(text("SELECT obj_description(to_regclass('open_jobs'))"))

    assert span(month).name not in str(shown)


def drop_patiently(bench: Bench) -> list[str]:
    while True:
        with contextlib.suppress(DatabaseUnavailable):
            return drop(bench)


def test_write_before_the_tables_are_locked_is_seen(month: Bench) -> None:
    batch_id = batch(month, (BACK, 0), (BACK, 1))

    with ThreadPoolExecutor(1) as pool:
        with month.transaction() as moving:
            moving.execute(text("UPDATE jobs SET outcome = NULL, finished_at = NULL"))
            dropping = pool.submit(drop_patiently, month)
            races.await_waiting(month, dropping)
        held = dropping.result()

    assert held == ["jobs that have not ended"]
    assert is_there(month)
    assert month.batch(batch_id).total == 2


def test_jobs_come_and_move_and_the_audit_is_clean_meanwhile(month: Bench) -> None:
    batch(month, (BACK, 0), (BACK, 1))
    dropped = threading.Event()
    found: list[str] = []

    def move() -> None:
        while not dropped.is_set():
            month.submit()
            month.advance(StageName.PREPARE)

    def audit() -> None:
        while not dropped.wait(0.05):
            found.extend(invariants.broken(month))

    def drop_at_last() -> None:
        try:
            drop_patiently(month)
        finally:
            dropped.set()

    races.at_once([move, audit, drop_at_last])

    assert found == invariants.broken(month) == []
    assert not is_there(month)


def test_job_of_a_dropped_day_is_unknown(api: Api, month: Bench) -> None:
    gone, deleted = ended(month), ended(month, 1)
    month.do(transitions.delete, deleted, TENANT)
    drop(month)

    job = f"/v1/jobs/{gone}"
    answers = [
        api.client.get(job),
        api.client.get(f"{job}/outputs/image"),
        api.client.get(f"{job}/events"),
        api.client.post(f"{job}/cancel"),
        api.client.post(f"{job}/derive", json={"recipe": {"background": "keep"}}),
        api.client.delete(job),
    ]

    assert {answer.json()["code"] for answer in answers} == {"not_found"}
    assert api.client.get(f"/v1/jobs/{deleted}").json()["code"] == "job_deleted"


def test_request_is_remembered_for_its_day_and_then_done_again(api: Api, month: Bench) -> None:
    job_id = ended(month)
    again = {"files": {"photo": ("photo", a_photo())}, "headers": {"Idempotency-Key": "once"}}
    first = api.client.post("/v1/jobs", **again)
    # As it is once the job's results have gone.
    month.execute("UPDATE requests SET job_id = :id, body = NULL", id=job_id)
    held = drop(month)
    within = api.client.post("/v1/jobs", **again)
    month.execute("UPDATE requests SET claimed_at = now() - interval '25 hours'")
    month.do(retention.forget_requests, most=10)
    dropped = drop(month)
    again_later = api.client.post("/v1/jobs", **again)

    assert (held, dropped) == (["remembered requests"], [])
    assert within.json()["code"] == "output_expired"
    assert again_later.status_code == 202
    assert again_later.json()["id"] not in {first.json()["id"], str(job_id)}


# By what holds the day, what to do to an ended job `:id` of it.
HOLDS = {
    "jobs that have not ended": """
        UPDATE jobs SET outcome = NULL, finished_at = NULL WHERE id = :id
    """,
    "jobs that are to be counted": "UPDATE jobs SET settled = false WHERE id = :id",
    "results": "UPDATE jobs SET expired_at = NULL WHERE id = :id",
    "jobs in doubt": "UPDATE jobs SET expired_at = NULL, expires_at = NULL WHERE id = :id",
    "objects": """
        INSERT INTO artifacts (tenant, key, job_id, kind, expires_at, marked_at)
        VALUES ('tests', 'k', :id, 'result', now(), now())
    """,
    "objects that it borrows": """
        INSERT INTO borrowers (tenant, key, job_id) VALUES ('tests', 'k', :id)
    """,
    "corrections": """
        INSERT INTO corrections
            (id, tenant, job_id, kind, stage, form, label, consent, provenance, created_at)
        VALUES (gen_random_uuid(), 'tests', :id, 'label', 'smile', 'label', '{}', true, '{}', now())
    """,
    "items of data sets": """
        INSERT INTO data_items (task, correction_id, job_id, tenant, part, photo, files, keys,
            counts, provenance, corrected_at)
        VALUES ('smile', gen_random_uuid(), :id, 'tests', 'train', 'p', '{}', '{}', '{}', '{}',
            now())
    """,
    "deliveries": """
        INSERT INTO deliveries (id, tenant, webhook, lane, job_id, type, happened_at, due_at)
        VALUES (gen_random_uuid(), 'tests', 'default', 'l', :id, 'job.canceled', now(), now())
    """,
    "remembered requests": """
        INSERT INTO requests (tenant, key, fingerprint, claimed_at, status, job_id)
        VALUES ('tests', 'k', 'f', now(), 202, :id)
    """,
    "events": """
        INSERT INTO events (job_id, type, state, at, written_in)
        VALUES (:id, 'job.canceled', 'canceled', now(), 1)
    """,
    "uploads": """
        INSERT INTO uploads (id, tenant, key, media_type, length, expires_at)
        VALUES (:id, 'tests', 'k', 'image/png', 1, now())
    """,
}


@pytest.mark.parametrize("reason", HOLDS)
def test_anything_kept_of_one_job_holds_its_day(month: Bench, reason: str) -> None:
    job_id = ended(month)
    ended(month, 1)
    month.execute(HOLDS[reason], id=job_id)

    assert drop(month) == [reason]
    assert is_there(month)


def test_things_kept_of_other_days_hold_none(month: Bench) -> None:
    ended(month)
    for number, held in enumerate(reason for reason in HOLDS if reason != "uploads"):
        other = ended(month, number, back=BACK + 1)
        month.execute(HOLDS[held].replace("'k'", f"'{number}'"), id=other)

    assert drop(month) == []
    assert is_there(month, back=BACK + 1)


# By what holds the day, what to do to a batch `:id` of which one job is of it.
BATCH_HOLDS = {
    "batches that have not finished": "UPDATE batches SET finished_at = NULL WHERE id = :id",
    "batches that are being deleted": "UPDATE batches SET deleted_at = now() WHERE id = :id",
    "results of batches": """
        UPDATE jobs SET expired_at = NULL WHERE batch_id = :id AND batch_index = 0
    """,
    "deliveries of batches": """
        INSERT INTO deliveries (id, tenant, webhook, lane, batch_id, type, happened_at, due_at)
        VALUES (gen_random_uuid(), 'tests', 'default', 'l', :id, 'batch.finished', now(), now())
    """,
    "remembered requests of batches": """
        INSERT INTO requests (tenant, key, fingerprint, claimed_at, status, job_id)
        VALUES ('tests', 'k', 'f', now(), 202, :id)
    """,
}


@pytest.mark.parametrize("reason", BATCH_HOLDS)
def test_anything_kept_of_a_batch_holds_the_days_of_its_jobs(month: Bench, reason: str) -> None:
    batch_id = batch(month, (BACK + 1, 0), (BACK, 0))
    month.execute(BATCH_HOLDS[reason], id=batch_id)

    assert drop(month) == [reason]
    assert is_there(month)
    assert month.scalar("SELECT count(*) FROM batches") == 1
