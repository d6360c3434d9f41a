"""A database without tables, and one with a month of daily partitions."""

import dataclasses
import datetime as dt
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pydantic import SecretStr
from sqlalchemy import Engine, text

from smart_filter_shared.config.settings import DatabaseSettings
from smart_filter_shared.db import migrate, partitions, sessions
from smart_filter_shared.db.process_roles import ProcessRole
from smart_filter_shared.ids import JobId
from smart_filter_tests.bench import Bench, as_role
from smart_filter_tests.databases import an_empty_database, connect

# The upper bound of the first partition.
WEEK: Final = dt.timedelta(days=7)
_MONTH: Final = 30
_DAYS_MADE_AT_ONCE: Final = 50
HALF_A_YEAR: Final = 180


@contextmanager
def unmigrated_database(bench: Bench, *, name: str = "days") -> Iterator[Engine]:
    """Provide a database without tables on the tests' server."""
    url = bench.settings.database.url.get_secret_value()
    with an_empty_database(url, name) as settings, connect(settings, connections=4) as engine:
        yield engine


@contextmanager
def bench_after_a_month(bench: Bench, engine: Engine, *, past: int = _MONTH) -> Iterator[Bench]:
    """Provide a bench on such a database, with empty past days."""
    migrate.upgrade(engine)
    # Thousands of statements: a busy machine may pause between two of them.
    patient = sessions.for_idle_transactions(engine)
    with patient.begin() as connection:
        today = partitions.today(connection)
        for table in partitions.TABLES:
            connection.execute(text(f"DROP TABLE {table}_{partitions.until_suffix(today + WEEK)}"))
    # Few days each: the locks of new tables last until the end of the transaction.
    for first in range(1, past + 1, _DAYS_MADE_AT_ONCE):
        with patient.begin() as connection:
            for back in range(first, min(first + _DAYS_MADE_AT_ONCE, past + 1)):
                partitions.create_day(connection, today - dt.timedelta(days=back))
            partitions.create_upcoming(connection)
            partitions.refresh_views(connection)
    with patient.begin() as connection:
        partitions.create_upcoming(connection)
        partitions.refresh_views(connection)
    url = SecretStr(engine.url.render_as_string(hide_password=False))
    settings = dataclasses.replace(bench.settings, database=DatabaseSettings(url=url))
    worker = as_role(settings, ProcessRole.WORKER).database
    with connect(worker, connections=4) as worker_engine:
        yield dataclasses.replace(
            bench, settings=settings, engine=engine, worker_engine=worker_engine
        )


def move_back(bench: Bench, job_id: JobId, *, back: int) -> JobId:
    """Move a job and the rows that name it `back` days into the past; return its new id."""
    moved = JobId(
        uuid.UUID(int=partitions.first_id(today_of(bench.engine) - dt.timedelta(back)).int + 1)
    )
    with bench.transaction() as connection:
        for table in ("stages", "events", "artifacts", "deliveries", "corrections"):
            connection.execute(
                text(f"UPDATE {table} SET job_id = :moved WHERE job_id = :job_id"),
                {"job_id": job_id, "moved": moved},
            )
        connection.execute(
            text("UPDATE jobs SET id = :moved WHERE id = :job_id"),
            {"job_id": job_id, "moved": moved},
        )
    return moved


def today_of(engine: Engine) -> dt.date:
    with engine.connect() as connection:
        return partitions.today(connection)
