"""A database before there were days, and one after a month of them."""

import dataclasses
import datetime as dt
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from alembic import command
from pydantic import SecretStr
from sqlalchemy import Engine, text

from smart_filter_shared.db import days, migrate
from smart_filter_shared.ids import JobId
from smart_filter_shared.settings import DatabaseSettings
from smart_filter_tests.bench import Bench
from smart_filter_tests.databases import an_empty_database, connected

BEFORE: Final = "0017"
# How far the first partition reaches.
WEEK: Final = dt.timedelta(days=7)
_MONTH: Final = 30
# Records are kept forever by default: half a year of them.
HALF_A_YEAR: Final = 180


@contextmanager
def before(bench: Bench, *, name: str = "days") -> Iterator[Engine]:
    """Give a database of its own on the tests' server, of the revision before days."""
    url = bench.settings.database.url.get_secret_value()
    with an_empty_database(url, name) as settings, connected(settings, connections=4) as engine:
        bring(engine, BEFORE)
        yield engine


def after_a_month(bench: Bench, engine: Engine, *, past: int = _MONTH) -> Bench:
    """Return a bench on such a database, with past days that hold nothing."""
    migrate.upgrade(engine)
    with engine.begin() as connection:
        today = days.today(connection)
        for table in days.TABLES:
            connection.execute(text(f"DROP TABLE {table}_{days.until(today + WEEK)}"))
        for back in range(1, past + 1):
            days.make(connection, today - dt.timedelta(days=back))
        days.make_ahead(connection)
        days.look(connection)
    url = SecretStr(engine.url.render_as_string(hide_password=False))
    settings = dataclasses.replace(bench.settings, database=DatabaseSettings(url=url))
    return dataclasses.replace(bench, settings=settings, engine=engine)


def move_back(bench: Bench, job_id: JobId, *, back: int) -> JobId:
    """Let a job, and what names it, be of a day so many days ago; return its id there."""
    moved = JobId(uuid.UUID(int=days.first_id(today_of(bench.engine) - dt.timedelta(back)).int + 1))
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


def bring(engine: Engine, revision: str) -> None:
    """Bring a database to a migration, or back to it."""
    config = migrate._config()  # noqa: SLF001 - no caller of ours stops half-way
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        (command.downgrade if have_come(engine) else command.upgrade)(config, revision)


def have_come(engine: Engine) -> bool:
    with engine.connect() as connection:
        return connection.scalar(text("SELECT to_regclass('open_jobs')")) is not None


def today_of(engine: Engine) -> dt.date:
    with engine.connect() as connection:
        return days.today(connection)
