"""Connections to a real PostgreSQL: replaced when they died, asked only when they idled."""

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

import anyio
import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from smart_filter_shared.db import sessions
from smart_filter_shared.errors import DatabaseUnavailable
from smart_filter_tests.bench import Bench

BACKEND = text("SELECT pg_backend_pid()")
WRITE = text("INSERT INTO tenants (name, finish) VALUES ('a', 0)")
COUNT = text("SELECT count(*) FROM tenants")
# psycopg prepares a statement after five executions, PostgreSQL keeps its plan after five more.
PLANNED_AFTER = 12


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(bench: Bench, clock: Clock) -> Iterator[Engine]:
    engine = sessions.engine(bench.settings.database, connections=1, clock=clock)
    yield engine
    engine.dispose()


@contextlib.asynccontextmanager
async def loop_engine(
    bench: Bench, clock: Callable[[], float] = time.monotonic
) -> AsyncIterator[AsyncEngine]:
    """Open an engine of one connection for an event loop."""
    engine = sessions.async_engine(bench.settings.database, connections=1, clock=clock)
    try:
        yield engine
    finally:
        await engine.dispose()


def used(engine: Engine) -> int:
    """Use the engine's one connection; return its process on the server."""
    with sessions.transaction(engine) as connection:
        return int(connection.execute(BACKEND).scalar_one())


def write(engine: Engine) -> None:
    with sessions.transaction(engine) as connection:
        connection.execute(WRITE)


def kill(bench: Bench, backend: int) -> None:
    """End a connection's process on the server, and wait until it is gone."""
    bench.execute("SELECT pg_terminate_backend(:pid, 5000)", pid=backend)


def test_connection_that_died_while_idle_is_replaced_unnoticed(
    bench: Bench, engine: Engine, clock: Clock
) -> None:
    first = used(engine)
    kill(bench, first)
    clock.seconds += 2

    assert used(engine) != first


def test_connection_that_died_a_moment_ago_fails_once(bench: Bench, engine: Engine) -> None:
    first = used(engine)
    kill(bench, first)

    with pytest.raises(DatabaseUnavailable):
        used(engine)

    assert used(engine) != first


def test_connection_of_an_event_loop_is_replaced_too(bench: Bench, clock: Clock) -> None:
    async def look() -> tuple[int, int]:
        async with loop_engine(bench, clock) as engine:
            async with sessions.async_transaction(engine) as connection:
                first = (await connection.execute(BACKEND)).scalar_one()
            await anyio.to_thread.run_sync(kill, bench, first)
            clock.seconds += 2
            async with sessions.async_reading(sessions.reader(engine)) as connection:
                second = (await connection.execute(BACKEND)).scalar_one()
        return first, second

    first, second = anyio.run(look)

    assert first != second


def test_reader_leaves_the_connection_to_transactions_as_it_was(bench: Bench) -> None:
    async def look() -> int:
        async with loop_engine(bench) as engine:
            async with sessions.async_reading(sessions.reader(engine)) as connection:
                await connection.execute(BACKEND)
            with contextlib.suppress(RuntimeError):
                async with sessions.async_transaction(engine) as connection:
                    await connection.execute(WRITE)
                    raise RuntimeError
            async with sessions.async_reading(sessions.reader(engine)) as connection:
                return int((await connection.execute(COUNT)).scalar_one())

    assert anyio.run(look) == 0


@contextmanager
def read_only(bench: Bench) -> Iterator[None]:
    """Let connections that begin meanwhile be read-only for good, as those to a replica are."""
    url = bench.settings.database.url.get_secret_value().replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as outside:
        database = outside.info.dbname
        outside.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
        try:
            yield
        finally:
            outside.execute(f"ALTER DATABASE {database} RESET default_transaction_read_only")


def test_connections_leave_a_replica_after_a_failover(bench: Bench) -> None:
    engine = sessions.engine(bench.settings.database, connections=2)
    try:
        with (
            read_only(bench),
            sessions.transaction(engine) as other,
        ):
            others = other.execute(BACKEND).scalar_one()
            with pytest.raises(DatabaseUnavailable, match="read-only"):
                write(engine)

        backends = [used(engine), used(engine)]  # the pool hands out its connections in turn
        write(engine)
    finally:
        engine.dispose()
    assert others not in backends


def test_event_loop_leaves_a_replica_too(bench: Bench) -> None:
    async def write_twice() -> int:
        async with loop_engine(bench) as engine:
            with read_only(bench), pytest.raises(DatabaseUnavailable, match="read-only"):
                async with sessions.async_reading(sessions.reader(engine)) as connection:
                    await connection.execute(WRITE)
            async with sessions.async_transaction(engine) as connection:
                await connection.execute(WRITE)
            async with sessions.async_reading(sessions.reader(engine)) as connection:
                return int((await connection.execute(COUNT)).scalar_one())

    assert anyio.run(write_twice) == 1


@pytest.mark.usefixtures("bench")
def test_error_undoes_its_savepoint_or_its_transaction(engine: Engine) -> None:
    with sessions.transaction(engine) as connection:
        connection.execute(WRITE)
        with pytest.raises(IntegrityError), connection.begin_nested():
            connection.execute(WRITE)
    with pytest.raises(DBAPIError), sessions.transaction(engine) as connection:
        connection.execute(text("WITH gone AS (DELETE FROM tenants) SELECT CAST('no' AS int)"))

    with sessions.transaction(engine) as connection:
        assert connection.execute(COUNT).scalar_one() == 1


@pytest.mark.usefixtures("bench")
def test_statement_by_key_uses_no_plan_of_another_transaction(engine: Engine) -> None:
    shared = text("SELECT finish FROM tenants WHERE name = :name")
    scans = text("SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'tenants'")
    with sessions.transaction(engine) as connection:
        connection.execute(WRITE)
        connection.execute(text("ANALYZE tenants"))
    for _ in range(PLANNED_AFTER):
        with sessions.transaction(engine) as connection:
            connection.execute(shared, {"name": "a"})

    with sessions.transaction(sessions.by_key(engine)) as connection:
        before = connection.execute(scans).scalar_one()
        connection.execute(shared, {"name": "a"})
        after = connection.execute(scans).scalar_one()

    assert after == before


def test_idle_transaction_ends_unless_it_migrates(engine: Engine) -> None:
    idles = text("SELECT current_setting('idle_in_transaction_session_timeout')")

    with sessions.transaction(engine) as connection:
        assert connection.execute(idles).scalar_one() == "5s"
    with sessions.transaction(sessions.idling(engine)) as connection:
        assert connection.execute(idles).scalar_one() == "0"
