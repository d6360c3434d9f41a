"""Partitions by day: made ahead, open while there is work, closed afterwards, dropped at last."""

import contextlib
import datetime as dt
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import anyio
import anyio.to_thread
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from smart_filter_api.coming_days import ComingDays
from smart_filter_shared.db import days, migrate, sessions
from smart_filter_shared.db.days import Span
from smart_filter_shared.errors import DatabaseUnavailable
from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs import expiry, fairness, past_days, transitions
from smart_filter_shared.jobs.leases import Failure
from smart_filter_shared.jobs.presence import CELL
from smart_filter_shared.pipeline import StageName
from smart_filter_tests import bygone, invariants, many_days, races
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.bygone import BACK, batch, drop, ended, id_of, is_there, let_expire, span
from smart_filter_tests.many_days import have_come, today_of
from smart_filter_tests.outages import until
from smart_filter_workers.retention import Retention
from smart_filter_workers.sweeper import Sweeper
from smart_filter_workers.tally import Tally

GONE = Failure("unavailable", "Away", "away")
# Rows of jobs that this transaction has read, by indexes and in scans of whole tables.
ROWS_READ = text("""
    SELECT sum(seq_tup_read + idx_tup_fetch) FROM pg_stat_xact_user_tables
    WHERE relid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'jobs'::regclass)
""")
DAY_SECONDS = 24 * 3600.0
BACK_DAYS = dt.timedelta(days=BACK)


@pytest.fixture
def engine(bench: Bench) -> Iterator[Engine]:
    with many_days.before(bench, name="before_days") as engine:
        yield engine


@pytest.mark.slow  # The migration waits 2 s for its lock, and tries again a second later.
def test_migration_that_cannot_have_the_tables_lets_others_go_on(engine: Engine) -> None:
    waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    moving = threading.Thread(target=migrate.upgrade, args=[engine])
    with engine.connect() as holder, engine.connect() as other:
        holder.execute(text("SELECT count(*) FROM jobs"))  # and its transaction goes on
        moving.start()
        until(lambda: other.execute(waits).scalar_one() > 0)

        other.execute(text("SELECT count(*) FROM jobs"))  # comes behind the migration

        assert moving.is_alive()
    moving.join()
    assert have_come(engine)


@pytest.fixture(scope="module")
def _month(_bench: Bench) -> Iterator[Bench]:
    with many_days.before(_bench) as engine:
        yield many_days.after_a_month(_bench, engine)


@pytest.fixture
def month(_month: Bench) -> Bench:
    """A bench after a month of days, of which none holds anything."""
    return bygone.emptied(_month)


def submit_long_ago(bench: Bench) -> JobId:
    return bench.submit(job_id=JobId(id_of(bench)))


def drop_coming(bench: Bench) -> list[dt.date]:
    """Remove today's partitions and those of days to come; return which."""
    today = today_of(bench.engine)
    coming = [today + dt.timedelta(days=ahead) for ahead in range(days.DAYS_AHEAD + 1)]
    with bench.transaction() as connection:
        for day in coming:
            connection.execute(text(f"DROP TABLE jobs_{day:%Y_%m_%d}, stages_{day:%Y_%m_%d}"))
    return coming


def look(bench: Bench) -> None:
    bench.do(days.look)


def test_days_are_made_ahead_once(month: Bench) -> None:
    last = today_of(month.engine) + dt.timedelta(days=days.DAYS_AHEAD)
    month.submit(job_id=JobId(days.first_id(last)))

    with pytest.raises(IntegrityError, match="no partition"):
        month.submit(job_id=JobId(days.first_id(last + dt.timedelta(days=1))))
    assert month.scalar(f"SELECT count(*) FROM jobs_{last:%Y_%m_%d}") == 1
    assert month.do(days.make_ahead) == []


def test_days_that_passed_unmade_are_made_with_those_to_come(month: Bench) -> None:
    coming = drop_coming(month)

    assert month.do(days.make_ahead) == coming


def test_machine_that_slept_for_days_makes_days_once_it_wakes(month: Bench) -> None:
    moments = iter([1e9, 1e9 + 2 * DAY_SECONDS])

    async def look_before_and_after() -> None:
        engine = sessions.async_engine(month.settings.database, connections=1)
        coming = ComingDays(engine, clock=lambda: next(moments))
        try:
            await coming.look()
            await anyio.to_thread.run_sync(drop_coming, month)
            await coming.look()
        finally:
            await engine.dispose()

    anyio.run(look_before_and_after)

    assert month.do(days.make_ahead) == []


def test_unfinished_job_of_an_old_day_is_claimed_after_the_next_sweep(month: Bench) -> None:
    job_id = submit_long_ago(month)
    before = month.claim(StageName.PREPARE)
    month.execute("UPDATE cells SET swept_at = now() - interval '2 s'")
    sweeper = Sweeper(
        month.engine,
        month.doorbell,
        month.settings.engine,
        tally=Tally(),
        retention=Retention(month.engine, month.store, cell=CELL),
        cell=CELL,
    )

    assert sweeper.sweep()

    assert before == []
    assert month.claim_one(StageName.PREPARE).job_id == job_id


def test_look_gives_up_soon_while_a_claim_uses_the_views(month: Bench) -> None:
    submit_long_ago(month)

    with month.transaction() as claiming:
        claiming.execute(text("SELECT FROM open_stages"))
        with pytest.raises(DatabaseUnavailable):
            month.do(days.look)


def test_claim_under_way_holds_up_no_other_work_while_a_day_opens(month: Bench) -> None:
    submit_long_ago(month)

    with month.transaction() as claiming:
        claiming.execute(text("SELECT FROM open_stages"))
        month.do(days.show_jobs)
        claiming.execute(text("SET LOCAL lock_timeout = '1ms'"))
        claiming.execute(text("SELECT FROM open_jobs"))
    for step in (days.show_stages, days.hide_jobs):
        month.do(step)

    assert len(month.claim(StageName.PREPARE)) == 1


def test_job_whose_day_is_being_opened_is_not_counted_without_its_stages(month: Bench) -> None:
    job_id = month.submit()
    month.advance(StageName.PREPARE)
    month.do(transitions.cancel, job_id, TENANT)
    many_days.move_back(month, job_id, back=BACK)
    month.do(days.show_jobs)

    too_early = month.do(fairness.settle)
    look(month)
    settled = month.do(fairness.settle)

    assert (sum(too_early.ended.values()), sum(settled.ended.values())) == (0, 1)


@pytest.mark.parametrize(("grace_hours", "days_open"), [(0, 0), (24, 1)])
def test_past_day_stays_open_for_a_while(month: Bench, grace_hours: int, days_open: int) -> None:
    since = month.do(days.recent_since, grace=dt.timedelta(hours=grace_hours))

    assert since == today_of(month.engine) - dt.timedelta(days=days_open)


def test_album_that_is_written_on_a_closed_day_is_ranked_when_it_is_rated(month: Bench) -> None:
    job_ids = [JobId(id_of(month, number)) for number in range(3)]
    batch_id, _ = month.submit_batch(3, best=1, job_ids=job_ids)
    look(month)

    for stage in (StageName.PREPARE, StageName.SEGMENTATION, StageName.FACE, StageName.SMILE):
        month.complete(*month.claim(stage, batch_size=3))
    composed = month.claim(StageName.COMPOSITE, batch_size=3)
    month.complete(*composed)

    assert len(composed) == 1
    assert sorted(month.job(one).rank or 0 for one in job_ids) == [1, 2, 3]
    assert {month.job(one).state for one in job_ids} == {"succeeded"}
    assert month.batch(batch_id).finished_at is not None


def test_redriven_job_of_a_closed_day_is_claimed_after_the_next_look(month: Bench) -> None:
    job_id = submit_long_ago(month)
    look(month)
    lease = month.claim_one(StageName.PREPARE)
    month.do(transitions.fail, lease, GONE)
    month.do(fairness.settle)
    look(month)
    month.do(transitions.redrive, job_id, TENANT)
    closed = month.claim(StageName.PREPARE)

    look(month)

    assert closed == []
    assert [lease.job_id for lease in month.claim(StageName.PREPARE)] == [job_id]


def test_job_of_a_closed_day_that_is_redriven_is_not_waited_for_by_its_album(month: Bench) -> None:
    _, job_ids = month.submit_batch(2, best=1)
    for stage in (StageName.PREPARE, StageName.SEGMENTATION, StageName.FACE):
        month.complete(*month.claim(stage, batch_size=2))
    leases = {lease.job_id: lease for lease in month.claim(StageName.SMILE, batch_size=2)}
    month.do(transitions.fail, leases[job_ids[0]], GONE)
    month.do(fairness.settle)
    old = many_days.move_back(month, job_ids[0], back=BACK)
    look(month)
    month.do(transitions.redrive, old, TENANT)

    month.complete(leases[job_ids[1]])
    look(month)
    month.advance(StageName.COMPOSITE, StageName.SMILE, StageName.COMPOSITE)

    assert [month.job(one).rank for one in (old, job_ids[1])] == [None, 1]
    assert [month.job(one).state for one in (old, job_ids[1])] == ["succeeded", "succeeded"]


def test_day_is_open_until_its_jobs_are_counted(month: Bench) -> None:
    submit_long_ago(month)
    look(month)
    lease = month.claim_one(StageName.PREPARE)
    month.do(transitions.fail, lease, GONE)

    look(month)

    assert sum(month.do(fairness.settle).ended.values()) == 1


def test_stage_that_runs_keeps_its_day_open(month: Bench) -> None:
    submit_long_ago(month)
    look(month)
    leases = month.claim(StageName.PREPARE)

    look(month)
    month.complete(*leases)

    assert len(month.claim(StageName.FACE)) == 1


def test_views_stay_as_they_are_while_no_day_opens_or_closes(month: Bench) -> None:
    version = "SELECT xmin FROM pg_rewrite WHERE ev_class = to_regclass('open_stages')"
    before = month.scalar(version)
    month.submit()

    look(month)

    assert month.scalar(version) == before


def test_expiring_jobs_reads_no_others(month: Bench) -> None:
    job_id = month.submit()
    month.do(transitions.cancel, job_id, TENANT)
    # Of each of many days 60 jobs that are kept for another hour.
    month.execute("UPDATE jobs SET expires_at = statement_timestamp() + interval '1 hour'")
    month.execute(
        """
        INSERT INTO jobs SELECT (jsonb_populate_record(
            jobs, jsonb_build_object('id', uuidv7(make_interval(
                days => -(number % :days), secs => -number * 0.001
            )))
        )).* FROM jobs, generate_series(1, 1200) AS number
        """,
        days=BACK,
    )
    month.execute("ANALYZE jobs")
    month.execute("""
        UPDATE jobs SET expires_at = statement_timestamp()
        WHERE id IN (SELECT id FROM jobs ORDER BY id LIMIT 20)
    """)

    with month.transaction() as connection:
        expired = expiry.expire(connection, most=200)
        rows_read = connection.scalar(ROWS_READ)

    assert expired == 20
    # Each is found, locked and changed, and looked at for its webhook and its upload.
    # How often differs by plan; the others are 1,200.
    assert rows_read <= 20 * expired


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
        assert past_days.over(connection, kept_seconds=DAY_SECONDS)[0] == first
        assert past_days.drop(connection, first) == []

    assert month.do(days.partitions)[0].since == oldest
    assert month.scalar("SELECT count(*) FROM jobs") == 0


def test_days_are_over_after_so_long(month: Bench) -> None:
    first = month.do(past_days.over, kept_seconds=BACK * DAY_SECONDS)
    all_but_two = month.do(past_days.over, kept_seconds=DAY_SECONDS)

    today = today_of(month.engine)
    assert first[-1].until == today - BACK_DAYS
    assert all_but_two[-1].until == today - dt.timedelta(days=1)


def test_reader_makes_the_day_wait_for_the_next_time(month: Bench) -> None:
    ended(month)
    keeper = Retention(month.engine, month.store, cell=CELL, record_seconds=BACK * DAY_SECONDS)

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
