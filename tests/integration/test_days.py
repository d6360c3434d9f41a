"""Partitions by day: what was there stays where it lies, and days are there before they come."""

import datetime as dt
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from smart_filter_shared.db import days, migrate
from smart_filter_tests import many_days
from smart_filter_tests.bench import Bench
from smart_filter_tests.many_days import BEFORE, WEEK, bring, have_come, today_of

OLD = dt.date(2020, 1, 1)
_JOB = text("""
    INSERT INTO jobs (id, tenant, recipe, seed, metadata, photo_key, created_at, estimated_seconds)
    VALUES (:id, 'tests', '{}', 1, '{}', 'k', now(), 1)
""")


@dataclass(frozen=True, slots=True)
class Moved:
    """A database that was brought to days.

    old: a job that was there before.  file: in which its table lay.
    indexes: their number and the sum of their files before.
    """

    engine: Engine
    old: uuid.UUID
    file: int
    indexes: tuple[int, int]


@pytest.fixture
def engine(bench: Bench) -> Iterator[Engine]:
    with many_days.before(bench) as engine:
        yield engine


@pytest.fixture(scope="module")
def moved(_bench: Bench) -> Iterator[Moved]:
    with many_days.before(_bench, name="moved_days") as engine:
        old = write(engine, OLD)
        _, file = where(engine, old)
        with engine.begin() as connection:
            connection.execute(text("CREATE ROLE days_reader"))
            connection.execute(text("GRANT SELECT (capability, state) ON stages TO days_reader"))
            connection.execute(text("GRANT SELECT ON jobs TO days_reader"))
        before = indexes(engine, "jobs", "stages")
        migrate.upgrade(engine)
        yield Moved(engine, old, file, before)
        with engine.begin() as connection:
            connection.execute(text("DROP OWNED BY days_reader"))
            connection.execute(text("DROP ROLE days_reader"))


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


def test_old_tables_become_the_first_partition_where_they_lie(moved: Moved) -> None:
    until = days.until(today_of(moved.engine) + WEEK)

    assert where(moved.engine, moved.old) == (f"jobs_{until}", moved.file)
    assert indexes(moved.engine, f"jobs_{until}", f"stages_{until}") == moved.indexes


def test_readers_of_the_old_tables_may_read_the_new_ones(moved: Moved) -> None:
    with moved.engine.connect() as connection:
        may = connection.execute(
            text("""
                SELECT has_column_privilege('days_reader', 'stages', 'state', 'SELECT'),
                    has_column_privilege('days_reader', 'stages', 'result', 'SELECT'),
                    has_table_privilege('days_reader', 'jobs', 'SELECT'),
                    has_table_privilege('days_reader', 'jobs', 'INSERT')
            """)
        ).one()

    assert tuple(may) == (True, False, True, False)


def test_days_that_were_not_made_take_no_jobs(moved: Moved) -> None:
    today = today_of(moved.engine)

    write(moved.engine, today)
    write(moved.engine, today + WEEK - dt.timedelta(days=1))
    with pytest.raises(IntegrityError, match="no partition"):
        write(moved.engine, today + WEEK)


@pytest.mark.slow  # The migration waits 2 s for its lock, and tries again a second later.
def test_migration_that_cannot_have_the_tables_lets_others_go_on(engine: Engine) -> None:
    waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    moving = threading.Thread(target=migrate.upgrade, args=[engine])
    with engine.connect() as holder, engine.connect() as other:
        holder.execute(text("SELECT count(*) FROM jobs"))  # and its transaction goes on
        moving.start()
        while not other.execute(waits).scalar_one():
            pass

        other.execute(text("SELECT count(*) FROM jobs"))  # comes behind the migration

        assert moving.is_alive()
    moving.join()
    assert have_come(engine)


def test_migration_can_be_taken_back_and_made_again(engine: Engine) -> None:
    old = write(engine, OLD)
    migrate.upgrade(engine)
    later = today_of(engine) + WEEK
    with engine.begin() as connection:
        days.make(connection, later)
    new = write(engine, later)

    bring(engine, BEFORE)
    names = {where(engine, one)[0] for one in (old, new)}
    migrate.upgrade(engine)

    assert names == {"jobs"}
    assert where(engine, new)[0] == f"jobs_{days.until(later + dt.timedelta(days=1))}"
