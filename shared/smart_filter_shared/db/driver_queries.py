"""Run statements on the driver, for those that run for every stage and every request.

SQLAlchemy's execution and the driver's cursors take many times the time of libpq. A connection
prepares each statement when it first runs it. The listeners and the treatment of errors are
SQLAlchemy's.
"""

import itertools
from collections.abc import Generator, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias

from psycopg import adapt
from psycopg.abc import Transformer
from psycopg.adapt import PyFormat
from psycopg.errors import error_from_result
from psycopg.generators import fetch_many, send
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult
from sqlalchemy import Connection, TextClause
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.util import await_only

from smart_filter_shared.db.bounded_connections import BoundedAsyncConnection
from smart_filter_shared.db.sessions import BEGIN, COMMIT, handle_driver_errors

# A statement, and its parameters by name.
Query: TypeAlias = tuple[TextClause, Mapping[str, object]]

# Writes placeholders as PostgreSQL does: $1.
_NUMBERING: Final = PGDialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
_NUMBERS: Final = itertools.count()  # of the names of prepared statements
_FAILED: Final = frozenset({ExecStatus.FATAL_ERROR, ExecStatus.PIPELINE_ABORTED})


def fetch_rows(
    connection: Connection,
    statement: TextClause,
    parameters: Mapping[str, object],
    *,
    commits: bool = False,
) -> list[tuple[Any, ...]]:
    """Run a statement that returns rows on the driver, as `fetch_all` does; return them."""
    (rows,) = fetch_all(connection, (statement, parameters), commits=commits)
    return rows


def fetch_all(
    connection: Connection, *queries: Query, commits: bool = False
) -> list[list[tuple[Any, ...]]]:
    """Run statements with their parameters on the driver; return the rows of each.

    They are sent together, the first ones of a transaction with its BEGIN: on a busy machine a
    round trip takes as long as a statement.

    commits: send the COMMIT with them, in a transaction of `sessions.transaction`; each later
        statement of the block is then a transaction of its own.
    """
    driver: Any = connection.connection.driver_connection  # a bounded one, sync or async
    transformer: Transformer = adapt.Transformer(driver)
    begins, driver.begins = driver.begins, False
    sent: list[tuple[str, Any]] = [(BEGIN, ())] if begins else []
    try:
        for statement, parameters in queries:
            query, names = _compile(statement)
            values: Any = [parameters[name] for name in names]
            for listener in connection.dispatch.before_cursor_execute:
                query, values = listener(connection, None, query, values, None, False)
            sent.append((query, values))
    except BaseException:
        driver.begins = begins
        raise
    if commits:
        sent.append((COMMIT, ()))
        driver.sending.may_commit = True
    with handle_driver_errors(connection, sent[-1][0]):
        waiting = driver.wait(_exchange(driver, transformer, sent))
        results: list[PGresult] = (
            await_only(waiting) if isinstance(driver, BoundedAsyncConnection) else waiting
        )
    return [_read_rows(transformer, result) for result in results[begins : begins + len(queries)]]


def array_text(values: Iterable[object]) -> str:
    """Return an SQL array of values that need no quotes: the driver is slow to convert a list."""
    return f"{{{','.join(map(str, values))}}}"


def _exchange(
    driver: Any,  # noqa: ANN401 - a bounded connection, sync or async
    transformer: Transformer,
    sent: Sequence[tuple[str, Any]],
) -> Generator[Any, Any, list[PGresult]]:
    """Send statements in one message; return the result of each.  Raises the driver's errors."""
    dumped = []
    for query, values in sent:
        encoded = transformer.dump_sequence(values, [PyFormat.AUTO] * len(values))
        dumped.append((query, encoded, transformer.types, transformer.formats))
    libpq, names = driver.pgconn, driver.statement_names
    libpq.enter_pipeline_mode()
    new: list[tuple[str, Any]] = []
    results: list[PGresult] = []
    places: list[int] = []  # of the statements' results
    for query, encoded, types, formats in dumped:
        # BEGIN and COMMIT have no plan; a pooler may run a statement in another session.
        if not encoded or driver.prepare_threshold is None:
            libpq.send_query_params(query.encode(), encoded, types, formats)
        else:
            if (query, types) not in names:
                names[query, types] = f"driver_{next(_NUMBERS)}".encode()
                new.append((query, types))
                libpq.send_prepare(names[query, types], query.encode(), types)
            libpq.send_query_prepared(names[query, types], encoded, formats)
        places.append(len(places) + len(new))
    libpq.pipeline_sync()
    try:
        yield from send(libpq)
        while len(results) <= len(sent) + len(new):  # the last one is of the sync
            results += yield from fetch_many(libpq)
        libpq.exit_pipeline_mode()
        _require_success(results)
    except BaseException:
        for key in new:
            names.pop(key, None)
        raise
    return [results[place] for place in places]


def _require_success(results: Sequence[PGresult]) -> None:
    for result in results:
        if result.status in _FAILED:
            raise error_from_result(result)


def _read_rows(transformer: Transformer, result: PGresult) -> list[tuple[Any, ...]]:
    transformer.set_pgresult(result)
    return transformer.load_rows(0, result.ntuples, tuple)


@lru_cache
def _compile(statement: TextClause) -> tuple[str, Sequence[str]]:
    """Return a statement with numbered placeholders, and the parameters' names in this order."""
    compiled = statement.compile(dialect=_NUMBERING)
    return str(compiled), compiled.positiontup or ()
