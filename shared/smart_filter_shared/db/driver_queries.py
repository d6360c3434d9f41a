"""Run statements on the driver, for those that run for every stage and every request.

SQLAlchemy's execution and result objects take twice the driver's own time, and its driver parses
the placeholders of a long statement at every execution. The listeners and the treatment of errors
are SQLAlchemy's.
"""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from psycopg import AsyncConnection as AsyncDriverConnection
from psycopg import AsyncRawCursor, RawCursor
from sqlalchemy import Connection, TextClause
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.util import await_only

from smart_filter_shared.db.sessions import BEGIN, handle_driver_errors

# Writes placeholders as PostgreSQL does: $1.
_NUMBERING: Final = PGDialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


def fetch_rows(
    connection: Connection, statement: TextClause, parameters: Mapping[str, object]
) -> list[tuple[Any, ...]]:
    """Run a statement that returns rows on the driver, as `fetch_all` does; return them."""
    (rows,) = fetch_all(connection, (statement, parameters))
    return rows


def fetch_all(
    connection: Connection, *queries: tuple[TextClause, Mapping[str, object]]
) -> list[list[tuple[Any, ...]]]:
    """Run statements with their parameters on the driver; return the rows of each.

    They are sent together, the first ones of a transaction with its BEGIN: on a busy machine a
    round trip takes as long as a statement.
    """
    driver: Any = connection.connection.driver_connection  # a bounded one, sync or async
    make_cursor: Any = AsyncRawCursor if isinstance(driver, AsyncDriverConnection) else RawCursor
    begins, driver.begins = driver.begins, False
    sent: list[tuple[Any, str, Any]] = [(make_cursor(driver), BEGIN, None)] if begins else []
    try:
        for statement, parameters in queries:
            query, names = _compile(statement)
            values: Any = [parameters[name] for name in names]
            cursor = make_cursor(driver)
            for listener in connection.dispatch.before_cursor_execute:
                query, values = listener(connection, cursor, query, values, None, False)
            sent.append((cursor, query, values))
    except BaseException:
        driver.begins = begins
        raise
    with handle_driver_errors(connection, sent[-1][1]):
        if make_cursor is AsyncRawCursor:
            rows: list[list[tuple[Any, ...]]] = await_only(
                _fetch_async(driver, sent, last=len(queries))
            )
        else:
            with contextlib.nullcontext() if len(sent) == 1 else driver.pipeline():
                for cursor, query, values in sent:
                    cursor.execute(query, values)
            rows = [cursor.fetchall() for cursor, *_ in sent[-len(queries) :]]
    return rows


def array_text(values: Iterable[object]) -> str:
    """Return an SQL array of values that need no quotes: the driver is slow to convert a list."""
    return f"{{{','.join(map(str, values))}}}"


async def _fetch_async(
    driver: AsyncDriverConnection[Any], sent: Sequence[tuple[Any, str, Any]], *, last: int
) -> list[list[tuple[Any, ...]]]:
    async with contextlib.nullcontext() if len(sent) == 1 else driver.pipeline():
        for cursor, query, values in sent:
            await cursor.execute(query, values)
    return [await cursor.fetchall() for cursor, *_ in sent[-last:]]


@lru_cache
def _compile(statement: TextClause) -> tuple[str, Sequence[str]]:
    """Return a statement with numbered placeholders, and the parameters' names in this order."""
    compiled = statement.compile(dialect=_NUMBERING)
    return str(compiled), compiled.positiontup or ()
