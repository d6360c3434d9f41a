"""Partitions by day: there before they come, open while there is work, closed afterwards.

What was there before days stays where it lies; no process looks through all days.
"""

import datetime as dt
import threading
import uuid
from collections.abc import Iterator

import anyio
import anyio.to_thread
import numpy as np
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from smart_filter_api.coming_days import ComingDays
from smart_filter_shared.db import days, migrate, sessions
from smart_filter_shared.errors import DatabaseUnavailable
from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs import data_items, expiry, fairness, queries, transitions
from smart_filter_shared.jobs.leases import Failure
from smart_filter_shared.jobs.presence import CELL
from smart_filter_shared.pipeline import StageName
from smart_filter_tests import many_days, teaching
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.many_days import WEEK, have_come, today_of
from smart_filter_tests.outages import until
from smart_filter_tests.receiving import Says, a_receiver, send_due
from smart_filter_tests.serving import Api, an_api, serving
from smart_filter_workers.learning.collecting import Collecting
from smart_filter_workers.retention import Retention
from smart_filter_workers.sweeper import Sweeper
from smart_filter_workers.tally import Tally

OLD = dt.date(2020, 1, 1)
_JOB = text("""
    INSERT INTO jobs (id, tenant, recipe, seed, metadata, photo_key, created_at, estimated_seconds)
    VALUES (:id, 'tests', '{}', 1, '{}', 'k', now(), 1)
""")
# Two and three days: the contract's attempts. Forty: a replay of a job that is kept.
BACK = (2, 3, 40)
MASK = np.full((teaching.SIDE, teaching.SIDE), 255, np.uint8)
DAY_SECONDS = 24 * 3600.0
GONE = Failure("unavailable", "Away", "away")
# Rows of jobs that this transaction has read, by indexes and in scans of whole tables.
ROWS_READ = text("""
    SELECT sum(seq_tup_read + idx_tup_fetch) FROM pg_stat_xact_user_tables
    WHERE relid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'jobs'::regclass)
""")


@pytest.fixture
def engine(bench: Bench) -> Iterator[Engine]:
    with many_days.before(bench, name="before_days") as engine:
        yield engine


def write(engine: Engine, day: dt.date) -> uuid.UUID:
    """Write a job of a day, without stages."""
    job_id = days.first_id(day)
    with engine.begin() as connection:
        connection.execute(_JOB, {"id": job_id})
    return job_id


def where(engine: Engine, job_id: uuid.UUID) -> tuple[str, int]:
    """Return in which partition a job lies, and in which file."""
    with engine.connect() as connection:
        row = connection.execute(
            text("""
                SELECT tableoid::regclass::text AS name, pg_relation_filenode(tableoid) AS file
                FROM jobs WHERE id = :id
            """),
            {"id": job_id},
        ).one()
    return row.name, row.file


def indexes(engine: Engine, *tables: str) -> tuple[int, int]:
    """Return how many indexes tables have, and the sum of the numbers of their files."""
    with engine.connect() as connection:
        row = connection.execute(
            text("""
                SELECT count(*), sum(pg_relation_filenode(indexrelid)::bigint) FROM pg_index
                WHERE indrelid = ANY(CAST(:tables AS regclass[]))
            """),
            {"tables": list(tables)},
        ).one()
    return row[0], row[1]


def test_old_tables_become_the_first_partition_where_they_lie(engine: Engine) -> None:
    old = write(engine, OLD)
    _, file = where(engine, old)
    before = indexes(engine, "jobs", "stages")

    migrate.upgrade(engine)

    name = days.until(today_of(engine) + WEEK)
    assert where(engine, old) == (f"jobs_{name}", file)
    assert indexes(engine, f"jobs_{name}", f"stages_{name}") == before


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
        yield many_days.after_a_month(_bench, engine, past=max(BACK) + 1)


@pytest.fixture
def month(_month: Bench) -> Bench:
    """A bench after a month of days, of which none holds anything."""
    _month.empty()
    look(_month)
    return _month


def submit_long_ago(bench: Bench) -> JobId:
    """Write a job of a day three weeks back."""
    day = today_of(bench.engine) - dt.timedelta(days=20)
    return bench.submit(job_id=JobId(days.first_id(day)))


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
        write(month.engine, last + dt.timedelta(days=1))
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
    many_days.move_back(month, job_id, back=20)
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
    day = days.first_id(today_of(month.engine) - dt.timedelta(days=20))
    job_ids = [JobId(uuid.UUID(int=day.int + number)) for number in range(3)]
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
    old = many_days.move_back(month, job_ids[0], back=20)
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


@pytest.fixture
def api(_url: str, month: Bench) -> Iterator[Api]:
    """The API over a database that has kept more than a month of days."""
    with an_api(_url, month) as api:
        yield api


@pytest.fixture(scope="module")
def _url(_month: Bench) -> Iterator[str]:
    with serving(_month.settings) as url:
        yield url


def close(api: Api, job_id: str, *, back: int) -> JobId:
    """Let an ended job be of a day that is closed; return its id there."""
    api.bench.do(fairness.settle)
    moved = many_days.move_back(api.bench, JobId(job_id), back=back)
    with api.bench.transaction() as connection:
        days.look(connection)
        shown = text("SELECT count(*) FROM open_jobs WHERE id = :id")
        assert connection.execute(shown, {"id": moved}).scalar_one() == 0
    return moved


def canceled(api: Api) -> str:
    job_id = api.submit()
    assert api.client.post(f"/v1/jobs/{job_id}/cancel").status_code == 200
    return job_id


def collect(api: Api, *, most: int = 10) -> int:
    collecting = Collecting(api.bench.engine, api.bench.store, teaching.artifacts_of(api))
    return collecting.collect(most=most)


@pytest.mark.parametrize("back", BACK)
def test_replay_for_a_job_of_a_closed_day_is_sent(api: Api, back: int) -> None:
    says = iter([Says(500), Says(204)])
    with a_receiver(lambda _: next(says)) as receiver:
        webhook = api.client.post("/v1/webhooks", json={"url": receiver.url}).json()["id"]
        job_id = canceled(api)
        send_due(api.bench)
        moved = close(api, job_id, back=back)

        replayed = api.client.post(f"/v1/webhooks/{webhook}/deliveries/replay").json()

        assert replayed == {"replayed": 1}
        assert send_due(api.bench) == [1]
    assert f"{moved}".encode() in receiver.got[1].body


@pytest.mark.parametrize("back", BACK)
def test_correction_of_a_job_of_a_closed_day_is_collected(api: Api, back: int) -> None:
    job_id = teaching.ended(api)
    teaching.correct_matte(api, job_id, MASK)
    close(api, job_id, back=back)

    collect(api)

    assert api.bench.scalar("SELECT count(*) FROM data_items") == 1


def test_correction_whose_job_is_gone_does_not_block_later_ones(api: Api) -> None:
    gone, there = teaching.ended(api), teaching.ended(api)
    teaching.correct_matte(api, gone, MASK)
    teaching.correct_matte(api, there, MASK)
    api.bench.execute("DELETE FROM jobs WHERE id = :id", id=gone)

    for _ in range(2):
        collect(api, most=1)

    assert api.bench.scalar("SELECT count(*) FROM data_items") == 1
    assert api.bench.do(data_items.waiting) == 0


def test_looking_at_jobs_by_their_ids_locks_their_days_alone(api: Api) -> None:
    job_id = close(api, canceled(api), back=max(BACK))
    engine = sessions.engine(api.bench.settings.database, connections=1)
    counted = text("""
        SELECT count(*) FROM pg_locks WHERE locktype = 'relation' AND pid = pg_backend_pid()
    """)

    # psycopg prepares a statement at its sixth execution. PostgreSQL makes custom plans for five
    # more, and then may choose a generic one.
    for _ in range(12):
        with sessions.transaction(engine) as connection:
            assert list(queries.among(connection, [job_id])) == [job_id]
            assert connection.execute(counted).scalar_one() <= 40
    engine.dispose()


def test_expiring_jobs_reads_no_others(month: Bench) -> None:
    job_id = month.submit()
    month.do(transitions.cancel, job_id, TENANT)
    # Of each of a month's days 40 jobs that are kept for another hour.
    month.execute("UPDATE jobs SET expires_at = statement_timestamp() + interval '1 hour'")
    month.execute("""
        INSERT INTO jobs SELECT (jsonb_populate_record(
            jobs, jsonb_build_object('id', uuidv7(make_interval(
                days => -(number % 30), secs => -number * 0.001
            )))
        )).* FROM jobs, generate_series(1, 1200) AS number
    """)
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
    assert rows_read <= 10 * expired
