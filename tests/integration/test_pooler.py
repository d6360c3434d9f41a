"""Sessions through PgBouncer in transaction mode: nothing holds beyond a transaction."""

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import anyio
import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from smart_filter_shared.db import migrate, schema, sessions
from smart_filter_shared.settings import DatabaseSettings
from smart_filter_tests import pooling, races
from smart_filter_tests.bench import Bench
from smart_filter_tests.databases import an_empty_database, connected

SETTINGS = text("""
    SELECT current_setting('lock_timeout'),
        current_setting('idle_in_transaction_session_timeout'),
        current_setting('plan_cache_mode'), current_setting('enable_seqscan')
""")
DEPLOYING = Path(__file__).parents[2] / "docs" / "deploying.md"
# More often than psycopg runs a statement before it prepares it.
OFTEN = 12


@contextmanager
def behind(url: str, *, connections: int, prepared: int | None) -> Iterator[DatabaseSettings]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with pooling.pgbouncer(
            url, Path(folder), connections=connections, prepared_statements=prepared
        ) as pooled:
            yield DatabaseSettings(url=SecretStr(pooled))


@pytest.fixture(params=[False, True], ids=["forgets statements", "knows statements"])
def pooled(request: pytest.FixtureRequest, bench: Bench) -> Iterator[DatabaseSettings]:
    """The bench's database behind two connections that all clients share."""
    can_know = pooling.keeps_track_of_prepared_statements()
    if request.param and not can_know:
        pytest.skip("this PgBouncer keeps no track of prepared statements: install 1.22 or newer")
    prepared = (100 if request.param else 0) if can_know else None
    url = bench.settings.database.url.get_secret_value()
    with behind(url, connections=2, prepared=prepared) as settings:
        yield settings


def test_configuration_of_the_docs_starts(bench: Bench) -> None:
    url = bench.settings.database.url.get_secret_value()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with (
            pooling.documented_pgbouncer(DEPLOYING, url, Path(folder)) as pooled,
            connected(DatabaseSettings(url=SecretStr(pooled))) as engine,
            sessions.transaction(engine) as connection,
        ):
            assert connection.scalar(text("SELECT 1")) == 1


def test_settings_hold_in_a_transaction_and_no_longer(pooled: DatabaseSettings) -> None:
    with connected(pooled) as engine:
        with sessions.transaction(engine) as connection:
            usual = tuple(connection.execute(SETTINGS).one())
        with sessions.transaction(sessions.by_key(engine)) as connection:
            by_key = tuple(connection.execute(SETTINGS).one())
        url = pooled.url.get_secret_value().replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True) as other:
            left = other.execute("SHOW lock_timeout").fetchone()

    assert usual == ("10s", "5s", "auto", "on")
    assert by_key == ("10s", "5s", "force_generic_plan", "off")
    assert left == ("0",)


def test_statements_run_often_by_many_at_once(pooled: DatabaseSettings) -> None:
    def run(_: int) -> object:
        with sessions.transaction(sessions.by_key(engine)) as connection:
            return connection.scalar(text("SELECT CAST(:a AS int)"), {"a": 7})

    with connected(pooled, connections=4) as engine, ThreadPoolExecutor(4) as threads:
        assert set(threads.map(run, range(OFTEN * 8))) == {7}


def test_readers_and_transactions_of_an_event_loop_work(pooled: DatabaseSettings) -> None:
    async def run() -> list[int]:
        engine = sessions.async_engine(pooled, connections=3)
        reader = sessions.reader(engine)
        found: list[int] = []

        async def read() -> None:
            for number in range(OFTEN):
                async with sessions.async_reading(reader) as connection:
                    row = await connection.execute(text("SELECT CAST(:a AS int)"), {"a": number})
                    found.append(int(row.scalar_one()))
                async with sessions.async_transaction(engine) as connection:
                    row = await connection.execute(text("SELECT CAST(:a AS int)"), {"a": number})
                    found.append(int(row.scalar_one()))

        try:
            async with anyio.create_task_group() as readers:
                for _ in range(3):
                    readers.start_soon(read)
        finally:
            await engine.dispose()
        return found

    assert sorted(anyio.run(run)) == sorted(list(range(OFTEN)) * 6)


def test_statements_are_prepared_where_they_last(
    pooled: DatabaseSettings, bench: Bench, request: pytest.FixtureRequest
) -> None:
    def threshold(settings: DatabaseSettings) -> int | None:
        with connected(settings, connections=1) as engine, engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
            return driver.prepare_threshold

    knows = "knows" in request.node.name
    assert threshold(pooled) == (5 if knows else None)
    assert threshold(bench.settings.database) == 5


def test_database_is_prepared_through_it_by_two_at_once(bench: Bench) -> None:
    url = bench.settings.database.url.get_secret_value()
    with (
        an_empty_database(url, "behind_pooler") as own,
        behind(own.url.get_secret_value(), connections=4, prepared=None) as settings,
        connected(settings, connections=4) as engine,
    ):
        races.at_once([lambda: migrate.upgrade(engine)] * 2)

        with sessions.transaction(engine) as connection:
            assert schema.revision(connection) == schema.newest_revision()
