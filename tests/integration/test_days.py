"""Daily partitions: created ahead, open while they have work, closed afterwards, then dropped."""

import contextlib
import datetime as dt
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import anyio
import anyio.to_thread
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from smart_filter_api.services.loops.partition_maker import PartitionMaker
from smart_filter_shared.artifacts import expiry, partition_pruning, retention
from smart_filter_shared.artifacts.backends import Backends
from smart_filter_shared.db import partitions, sessions
from smart_filter_shared.db.partitions import Partition
from smart_filter_shared.db.process_roles import ProcessRole
from smart_filter_shared.errors import DatabaseUnavailable
from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs.photo_queue import CLIENT, WORKER
from smart_filter_shared.operations import settlement
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue.leases import Failure
from smart_filter_tests import invariants, partitioned_database, past_days, races
from smart_filter_tests.bench import TENANT, Bench, as_role
from smart_filter_tests.partitioned_database import today_of
from smart_filter_tests.past_days import (
    BACK,
    BATCH_HOLDS,
    HOLDS,
    drop,
    expire_all,
    expire_due,
    partition_of,
    partitions_exist,
    past_id,
    write_expired_batch,
    write_expired_job,
)
from smart_filter_tests.unlocked_decoders import UnlockedDecoders
from smart_filter_workers.maintenance.garbage_collector import GarbageCollector
from smart_filter_workers.maintenance.sweeper import Sweeper
from smart_filter_workers.runtime.counters import WorkerCounters
from smart_filter_workers.stock.incoming_pictures import IncomingPictures

GONE = Failure("unavailable", "Away", "away")
# Rows of jobs that this transaction has read, by indexes and in scans of whole tables.
ROWS_READ = text("""
    SELECT sum(seq_tup_read + idx_tup_fetch) FROM pg_stat_xact_user_tables
    WHERE relid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'jobs'::regclass)
""")
DAY_SECONDS = 24 * 3600.0
BACK_DAYS = dt.timedelta(days=BACK)


@pytest.fixture(scope="module")
def _month(_bench: Bench) -> Iterator[Bench]:
    with (
        partitioned_database.unmigrated_database(_bench) as engine,
        partitioned_database.bench_after_a_month(_bench, engine) as bench,
    ):
        yield bench


@pytest.fixture
def month(_month: Bench) -> Bench:
    """A bench after a month of empty days."""
    return past_days.empty_past_days(_month)


def submit_long_ago(bench: Bench) -> JobId:
    return bench.submit(job_id=JobId(past_id(bench)))


def drop_coming(bench: Bench) -> list[dt.date]:
    """Remove the partitions of today and later; return them."""
    today = today_of(bench.engine)
    coming = [today + dt.timedelta(days=ahead) for ahead in range(partitions.DAYS_AHEAD + 1)]
    with bench.transaction() as connection:
        for day in coming:
            connection.execute(text(f"DROP TABLE jobs_{day:%Y_%m_%d}, stages_{day:%Y_%m_%d}"))
    return coming


def look(bench: Bench) -> None:
    bench.do(partitions.refresh_views)


def test_partitions_are_created_ahead_once(month: Bench) -> None:
    last = today_of(month.engine) + dt.timedelta(days=partitions.DAYS_AHEAD)
    month.submit(job_id=JobId(partitions.first_id(last)))

    with pytest.raises(IntegrityError, match="no partition"):
        month.submit(job_id=JobId(partitions.first_id(last + dt.timedelta(days=1))))
    assert month.scalar(f"SELECT count(*) FROM jobs_{last:%Y_%m_%d}") == 1
    assert month.do(partitions.create_upcoming) == []


def test_missed_days_are_created_with_the_coming_ones(month: Bench) -> None:
    coming = drop_coming(month)

    assert month.do(partitions.create_upcoming) == coming


def test_machine_that_slept_for_days_creates_days_once_it_wakes(month: Bench) -> None:
    moments = iter([1e9, 1e9 + 2 * DAY_SECONDS])

    async def look_before_and_after() -> None:
        database = as_role(month.settings, ProcessRole.API).database
        engine = sessions.open_async_engine(database, connections=1)
        coming = PartitionMaker(engine, clock=lambda: next(moments))
        try:
            await coming.look()
            await anyio.to_thread.run_sync(drop_coming, month)
            await coming.look()
        finally:
            await engine.dispose()

    anyio.run(look_before_and_after)

    assert month.do(partitions.create_upcoming) == []


def test_unfinished_job_of_an_old_day_is_claimed_after_the_next_sweep(month: Bench) -> None:
    job_id = submit_long_ago(month)
    before = month.claim(StageName.PREPARE)
    month.execute("UPDATE sweeper SET swept_at = now() - interval '2 s'")
    sweeper = Sweeper(
        month.worker_engine,
        month.doorbell,
        month.settings.engine,
        counters=WorkerCounters(),
        retention=GarbageCollector(month.worker_engine, month.store),
        pictures=IncomingPictures(Backends(month.worker_engine, month.store), UnlockedDecoders()),
    )

    assert sweeper.sweep()

    assert before == []
    assert month.claim_one(StageName.PREPARE).job_id == job_id


def test_refresh_gives_up_soon_while_a_claim_uses_the_views(month: Bench) -> None:
    submit_long_ago(month)

    with month.transaction() as claiming:
        claiming.execute(text("SELECT FROM open_stages"))
        with pytest.raises(DatabaseUnavailable):
            month.do(partitions.refresh_views)


def test_running_claim_blocks_no_other_work_while_a_day_opens(month: Bench) -> None:
    submit_long_ago(month)

    with month.transaction() as claiming:
        claiming.execute(text("SELECT FROM open_stages"))
        month.do(partitions.widen_jobs_view)
        claiming.execute(text("SET LOCAL lock_timeout = '1ms'"))
        claiming.execute(text("SELECT FROM open_jobs"))
    for step in (partitions.replace_stages_view, partitions.narrow_jobs_view):
        month.do(step)

    assert len(month.claim(StageName.PREPARE)) == 1


def test_job_whose_day_is_being_opened_is_not_counted_without_its_stages(month: Bench) -> None:
    job_id = month.submit()
    month.advance(StageName.PREPARE)
    month.do(CLIENT.cancel, job_id, TENANT)
    partitioned_database.move_back(month, job_id, back=BACK)
    month.do(partitions.widen_jobs_view)

    too_early = month.work(settlement.settle)
    look(month)
    settled = month.work(settlement.settle)

    assert (sum(too_early.ended.values()), sum(settled.ended.values())) == (0, 1)


@pytest.mark.parametrize(("grace_hours", "days_open"), [(0, 0), (24, 1)])
def test_past_day_stays_open_for_a_while(month: Bench, grace_hours: int, days_open: int) -> None:
    since = month.do(partitions.first_recent_day, grace=dt.timedelta(hours=grace_hours))

    assert since == today_of(month.engine) - dt.timedelta(days=days_open)


def test_album_written_on_a_closed_day_is_ranked_after_its_rating(month: Bench) -> None:
    job_ids = [JobId(past_id(month, number)) for number in range(3)]
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


def test_redriven_job_of_a_closed_day_is_claimed_after_the_next_refresh(month: Bench) -> None:
    job_id = submit_long_ago(month)
    look(month)
    lease = month.claim_one(StageName.PREPARE)
    month.work(WORKER.fail, lease, GONE)
    month.work(settlement.settle)
    look(month)
    month.do(CLIENT.redrive, job_id, TENANT)
    closed = month.claim(StageName.PREPARE)

    look(month)

    assert closed == []
    assert [lease.job_id for lease in month.claim(StageName.PREPARE)] == [job_id]


def test_album_does_not_wait_for_a_redriven_job_of_a_closed_day(month: Bench) -> None:
    _, job_ids = month.submit_batch(2, best=1)
    for stage in (StageName.PREPARE, StageName.SEGMENTATION, StageName.FACE):
        month.complete(*month.claim(stage, batch_size=2))
    leases = {lease.job_id: lease for lease in month.claim(StageName.SMILE, batch_size=2)}
    month.work(WORKER.fail, leases[job_ids[0]], GONE)
    month.work(settlement.settle)
    old = partitioned_database.move_back(month, job_ids[0], back=BACK)
    look(month)
    month.do(CLIENT.redrive, old, TENANT)

    month.complete(leases[job_ids[1]])
    look(month)
    month.advance(StageName.COMPOSITE, StageName.SMILE, StageName.COMPOSITE)

    assert [month.job(one).rank for one in (old, job_ids[1])] == [None, 1]
    assert [month.job(one).state for one in (old, job_ids[1])] == ["succeeded", "succeeded"]


def test_day_is_open_until_its_jobs_are_counted(month: Bench) -> None:
    submit_long_ago(month)
    look(month)
    lease = month.claim_one(StageName.PREPARE)
    month.work(WORKER.fail, lease, GONE)

    look(month)

    assert sum(month.work(settlement.settle).ended.values()) == 1


def test_running_stage_keeps_its_day_open(month: Bench) -> None:
    submit_long_ago(month)
    look(month)
    leases = month.claim(StageName.PREPARE)

    look(month)
    month.complete(*leases)

    assert len(month.claim(StageName.FACE)) == 1


def test_views_are_not_replaced_while_no_day_opens_or_closes(month: Bench) -> None:
    version = "SELECT xmin FROM pg_rewrite WHERE ev_class = to_regclass('open_stages')"
    before = month.scalar(version)
    month.submit()

    look(month)

    assert month.scalar(version) == before


def test_expiry_reads_only_expired_jobs(month: Bench) -> None:
    job_id = month.submit()
    month.do(CLIENT.cancel, job_id, TENANT)
    month.work(settlement.settle)
    # Each of many days has 60 jobs that are kept for another hour.
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
        expire_due(connection)
        rows_read = connection.scalar(ROWS_READ)

    expired = month.scalar("SELECT count(*) FROM jobs WHERE expired_at IS NOT NULL")
    assert expired == 20
    # Each is found, locked and changed, with look-ups for its webhook and its upload. The number of
    # reads differs by plan; the kept jobs are 1,200.
    assert rows_read <= 20 * expired


def test_job_of_a_closed_day_that_was_downloaded_expires_in_the_next_turn(month: Bench) -> None:
    job_id = write_expired_job(month)
    month.execute(
        """
        UPDATE jobs SET outcome = 'succeeded', keep_nothing = true, expired_at = NULL,
            expires_at = statement_timestamp() + interval '1 hour'
        WHERE id = :id
        """,
        id=job_id,
    )
    look(month)
    month.do(expire_due)
    planned = month.scalar(
        "SELECT visit_at - statement_timestamp() BETWEEN interval '50 min' AND interval '1 hour'"
        " FROM closed_days WHERE name = :name",
        name=partition_of(month).name,
    )

    for output in month.job(job_id).recipe.outputs:
        month.do(expiry.mark_downloaded, job_id, TENANT, str(output))
    month.do(expire_due)

    assert planned is True
    assert month.scalar("SELECT expired_at IS NOT NULL FROM jobs WHERE id = :id", id=job_id) is True


def test_nothing_is_removed_until_a_reopened_day_is_shown(month: Bench) -> None:
    job_id = write_expired_job(month)
    look(month)
    month.execute(
        """
        INSERT INTO artifacts (tenant, key, job_id, kind, expires_at)
        VALUES ('tests', 'k', :id, 'result', statement_timestamp())
        """,
        id=job_id,
    )
    month.execute(
        "UPDATE jobs SET outcome = NULL, finished_at = NULL, expired_at = NULL WHERE id = :id",
        id=job_id,
    )

    before = month.work(retention.mark_expired, most=10)
    look(month)
    after = month.work(retention.mark_expired, most=10)

    marked = month.scalar("SELECT count(*) FROM artifacts WHERE marked_at IS NOT NULL")
    assert (before, after, marked) == (0, 1, 0)


def test_day_is_dropped_with_its_jobs_but_its_usage_stays(month: Bench) -> None:
    job_id, deleted = write_expired_job(month), write_expired_job(month, 1)
    month.do(CLIENT.delete, deleted, TENANT)
    stays = month.submit()
    before = month.scalar("SELECT sum(jobs) FROM usage")

    assert drop(month) == []

    assert not partitions_exist(month)
    assert month.states(stays)
    assert invariants.broken(month) == []
    assert month.scalar("SELECT sum(jobs) FROM usage") == before
    assert month.scalar("SELECT count(*) FROM events WHERE job_id = :id", id=job_id) == 0
    assert month.scalar("SELECT count(*) FROM tombstones WHERE job_id = :id", id=deleted) == 1
    assert drop(month) == [], "a day that another process has dropped is dropped"


def test_batch_over_two_days_is_dropped_with_the_second(month: Bench) -> None:
    batch_id = write_expired_batch(month, (BACK + 1, 0), (BACK, 0))

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


def test_first_partition_is_dropped_like_a_day(month: Bench) -> None:
    with month.transaction() as connection:
        oldest = partitions.list_partitions(connection)[0].since
        assert oldest is not None
        first = Partition(oldest, None, partitions.until_suffix(oldest))
        for table in partitions.TABLES:
            name = f"{table}_{first.name}"
            connection.execute(text(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)"))
            connection.execute(
                text(f"ALTER TABLE {table} ATTACH PARTITION {name}"
                     f" FOR VALUES FROM (MINVALUE) TO ('{partitions.first_id(oldest)}')")
            )  # fmt: skip
    write_expired_job(month, back=1000)

    with month.transaction() as connection:
        assert (
            partition_pruning.list_droppable(connection, retention_seconds=DAY_SECONDS)[0] == first
        )
        assert partition_pruning.drop(connection, first) == []

    assert month.do(partitions.list_partitions)[0].since == oldest
    assert month.scalar("SELECT count(*) FROM jobs") == 0


def test_days_are_over_after_this_time(month: Bench) -> None:
    first = month.work(partition_pruning.list_droppable, retention_seconds=BACK * DAY_SECONDS)
    all_but_two = month.work(partition_pruning.list_droppable, retention_seconds=DAY_SECONDS)

    today = today_of(month.engine)
    assert first[-1].until == today - BACK_DAYS
    assert all_but_two[-1].until == today - dt.timedelta(days=1)


def test_open_reader_delays_the_drop_of_a_day(month: Bench) -> None:
    write_expired_job(month)
    keeper = GarbageCollector(month.worker_engine, month.store, record_seconds=BACK * DAY_SECONDS)

    with month.transaction() as reading:
        reading.execute(text("SELECT count(*) FROM stages"))
        before = partitions.list_partitions(reading)
        keeper.drop_partitions()
        held = partitions.list_partitions(reading)
    keeper.drop_partitions()

    after = month.do(partitions.list_partitions)
    assert held == before
    assert after == [one for one in before if one.until > today_of(month.engine) - BACK_DAYS]


def test_reader_of_one_day_delays_no_other_day(month: Bench) -> None:
    keeper = GarbageCollector(month.worker_engine, month.store, record_seconds=DAY_SECONDS)
    over = month.work(partition_pruning.list_droppable, retention_seconds=DAY_SECONDS)
    read = over[0]

    with month.transaction() as reading:
        reading.execute(text(f"LOCK TABLE jobs_{read.name} IN ACCESS SHARE MODE"))
        keeper.drop_partitions()

    assert len(over) > 1
    assert set(month.do(partitions.list_partitions)) & set(over) == {read}


def test_nothing_is_dropped_by_default(month: Bench) -> None:
    write_expired_job(month)

    GarbageCollector(month.worker_engine, month.store).drop_partitions()

    assert partitions_exist(month)


def test_views_that_named_the_day_work_without_it(month: Bench) -> None:
    waiting = month.submit(job_id=JobId(past_id(month)))
    month.do(partitions.refresh_views)
    month.do(CLIENT.cancel, waiting, TENANT)
    month.work(settlement.settle)
    expire_all(month)

    assert drop(month) == []
    new = month.submit()
    assert month.claim_one(StageName.PREPARE).job_id == new
    with month.transaction() as connection:
        partitions.refresh_views(connection)
        shown = connection.scalar(text("SELECT obj_description(to_regclass('open_jobs'))"))

    assert partition_of(month).name not in str(shown)


def drop_patiently(bench: Bench) -> list[str]:
    while True:
        with contextlib.suppress(DatabaseUnavailable):
            return drop(bench)


def test_write_before_the_tables_are_locked_is_noticed(month: Bench) -> None:
    batch_id = write_expired_batch(month, (BACK, 0), (BACK, 1))

    with ThreadPoolExecutor(1) as pool:
        with month.transaction() as moving:
            moving.execute(text("UPDATE jobs SET outcome = NULL, finished_at = NULL"))
            dropping = pool.submit(drop_patiently, month)
            races.wait_for_lock_waiters(month, dropping)
        held = dropping.result()

    assert held == ["unfinished jobs"]
    assert partitions_exist(month)
    assert month.batch(batch_id).total == 2


def test_jobs_move_during_drops_and_the_audit_stays_clean(month: Bench) -> None:
    write_expired_batch(month, (BACK, 0), (BACK, 1))
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
    assert not partitions_exist(month)


@pytest.mark.parametrize("reason", HOLDS)
def test_any_kept_row_of_one_job_holds_its_day(month: Bench, reason: str) -> None:
    job_id = write_expired_job(month)
    write_expired_job(month, 1)
    month.execute(HOLDS[reason], id=job_id)

    assert drop(month) == [reason]
    assert partitions_exist(month)


def test_kept_rows_of_other_days_hold_no_day(month: Bench) -> None:
    write_expired_job(month)
    for number, held in enumerate(reason for reason in HOLDS if reason != "uploads"):
        other = write_expired_job(month, number, back=BACK + 1)
        month.execute(HOLDS[held].replace("'k'", f"'{number}'"), id=other)

    assert drop(month) == []
    assert partitions_exist(month, back=BACK + 1)


@pytest.mark.parametrize("reason", BATCH_HOLDS)
def test_any_kept_row_of_a_batch_holds_the_days_of_its_jobs(month: Bench, reason: str) -> None:
    batch_id = write_expired_batch(month, (BACK + 1, 0), (BACK, 0))
    month.execute(BATCH_HOLDS[reason], id=batch_id)

    assert drop(month) == [reason]
    assert partitions_exist(month)
    assert month.scalar("SELECT count(*) FROM batches") == 1
