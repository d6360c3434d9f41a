"""Connections to a real PostgreSQL: replaced when they died, asked only when they idled."""

import contextlib
from collections.abc import Iterator

import anyio
import pytest
from sqlalchemy import Engine, text

from smart_filter_shared.db import sessions
from smart_filter_shared.errors import DatabaseUnavailable
from smart_filter_tests.bench import Bench

BACKEND = text("SELECT pg_backend_pid()")


class Clock:
    """Seconds that pass when told."""

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


def used(engine: Engine) -> int:
    """Use the engine's one connection; return its process on the server."""
    with sessions.transaction(engine) as connection:
        return int(connection.execute(BACKEND).scalar_one())


def kill(bench: Bench, backend: int) -> None:
    """End a connection's process on the server, and wait until it is gone."""
    with bench.transaction() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": backend})


def test_connection_that_died_while_it_idled_is_replaced_unnoticed(
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
        engine = sessions.async_engine(bench.settings.database, connections=1, clock=clock)
        try:
            async with sessions.async_transaction(engine) as connection:
                first = (await connection.execute(BACKEND)).scalar_one()
            await anyio.to_thread.run_sync(kill, bench, first)
            clock.seconds += 2
            async with sessions.async_reading(sessions.reader(engine)) as connection:
                second = (await connection.execute(BACKEND)).scalar_one()
        finally:
            await engine.dispose()
        return first, second

    first, second = anyio.run(look)

    assert first != second


def test_reader_leaves_the_connection_to_transactions_as_it_was(bench: Bench) -> None:
    async def look() -> int:
        engine = sessions.async_engine(bench.settings.database, connections=1)
        try:
            async with sessions.async_reading(sessions.reader(engine)) as connection:
                await connection.execute(BACKEND)
            with contextlib.suppress(RuntimeError):
                async with sessions.async_transaction(engine) as connection:
                    await connection.execute(
                        text("INSERT INTO tenants (name, finish) VALUES ('a', 0)")
                    )
                    raise RuntimeError
            async with sessions.async_reading(sessions.reader(engine)) as connection:
                found = await connection.execute(text("SELECT count(*) FROM tenants"))
                return int(found.scalar_one())
        finally:
            await engine.dispose()

    assert anyio.run(look) == 0
