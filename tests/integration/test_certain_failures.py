"""Errors of PostgreSQL that prove that nothing was committed, and errors that do not."""

import anyio
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from smart_filter_shared.db import sessions
from smart_filter_shared.errors import DatabaseUnavailable, OutcomeUnknown
from smart_filter_tests.bench import Bench


def raising(code: str) -> str:
    return f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$"


TERMINATED = "SELECT pg_terminate_backend(pg_backend_pid())"
CANCELED = "SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(60)"
DUPLICATE = """
    CREATE TEMP TABLE numbers (n int UNIQUE DEFERRABLE INITIALLY DEFERRED) ON COMMIT DROP;
    INSERT INTO numbers VALUES (1), (1)
"""


@pytest.mark.parametrize(
    ("statement", "is_certain"),
    [
        *((raising(code), True) for code in ("40001", "55P03", "25006", "42501", "P0001")),
        *((raising(code), False) for code in ("40003", "08006", "57P01")),
        (CANCELED, False),
        (TERMINATED, False),
    ],
)
def test_statement_that_commits_itself_has_failed_only_by_proof(
    bench: Bench, statement: str, *, is_certain: bool
) -> None:
    async def fail() -> None:
        engine = sessions.open_async_engine(bench.settings.database, connections=1)
        try:
            await sessions.async_query(
                sessions.reader(engine), lambda opened: opened.execute(text(statement))
            )
        finally:
            await engine.dispose()

    with pytest.raises((DatabaseUnavailable, DBAPIError)) as raised:
        anyio.run(fail)

    assert sessions.has_certainly_failed(raised.value) == is_certain
    assert isinstance(raised.value, OutcomeUnknown) == (not is_certain)


@pytest.mark.parametrize("statement", [raising("08006"), CANCELED, TERMINATED, DUPLICATE])
def test_transaction_that_was_not_asked_to_commit_has_failed(bench: Bench, statement: str) -> None:
    engine = sessions.open_engine(bench.settings.database, connections=1)

    with (
        pytest.raises((DatabaseUnavailable, DBAPIError)) as raised,
        sessions.transaction(engine) as connection,
    ):
        connection.execute(text(statement))  # the duplicate is refused at the COMMIT
    engine.dispose()

    assert sessions.has_certainly_failed(raised.value)
