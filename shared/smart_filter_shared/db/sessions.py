"""Engines and transactions; errors of the driver are translated here.

Statements are SQLAlchemy Core or SQL text: on hot paths the ORM costs a third of the speed
(docs/measurements.md).

A connection carries no state from one transaction to the next, so that a pooler in transaction
mode may stand before the database. The driver sends no BEGIN of its own: the message that begins
a transaction also sets what holds in it, which costs no round trip.
"""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

from psycopg.errors import DuplicatePreparedStatement
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import DBAPIError, InterfaceError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from smart_filter_shared.errors import DatabaseUnavailable
from smart_filter_shared.settings import DatabaseSettings

_CONNECT_SECONDS = 3
_PING_AFTER_SECONDS = 1.0
_IDLE_SINCE = "idle_since"
_ENGINE_OPTIONS: Final[dict[str, Any]] = {
    "isolation_level": "AUTOCOMMIT",  # of the driver; `_begin` begins transactions
    "max_overflow": 0,
    "hide_parameters": True,  # logs would repeat addresses and secrets
    "connect_args": {"connect_timeout": _CONNECT_SECONDS},
}
# The execution option that holds what is set as a transaction begins.
_BEGIN_WITH: Final = "begin_with"
# For transactions that run the same few statements for every stage; each statement finds a few rows
# by their keys. They are planned once for each connection: planning took twice as long as running.
# Such a plan is kept until the tables are analysed again, which may be a minute after they have
# grown: so it must suit tables of any size, which is to say, look into indexes and nothing else.
_BY_KEY: Final = (
    "; SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL jit = off;"
    " SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off;"
    " SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"
)
# Ends each statement of such a transaction. A cached plan does not change with these settings, so
# the server must not share a prepared statement with transactions of another kind.
_BY_KEY_MARK: Final = " /* by key */"
_IDLING: Final = "; SET LOCAL idle_in_transaction_session_timeout = 0"
# deadlock_detected and serialization_failure: the same transaction may simply run again.
_RUN_AGAIN = frozenset({"40P01", "40001", "55P03"})
# read_only_sql_transaction: after a failover the name may still lead to a replica.
_READ_ONLY = "25006"
# What psycopg calls the statements that it prepares.
_PREPARED = "_pg3_"


def engine(
    settings: DatabaseSettings, *, connections: int, clock: Callable[[], float] = time.monotonic
) -> Engine:
    """Return an engine for threads, holding at most `connections`.

    clock: monotonic seconds.
    """
    made = create_engine(settings.url.get_secret_value(), **_options(settings, connections))
    _listen(made, clock)
    return made


def by_key(source: Engine) -> Engine:
    """Return the same connections for what is done for every stage: it finds rows by their keys.

    Nothing that looks through many rows belongs here: it would be planned as if they were few.
    """
    return _beginning_with(source, _BY_KEY)


def idling(source: Engine) -> Engine:
    """Return the same connections for transactions that may idle: for migrations alone."""
    return _beginning_with(source, _IDLING)


def async_engine(
    settings: DatabaseSettings, *, connections: int, clock: Callable[[], float] = time.monotonic
) -> AsyncEngine:
    """Return an engine for an event loop, holding at most `connections`.

    clock: monotonic seconds.
    """
    made = create_async_engine(settings.url.get_secret_value(), **_options(settings, connections))
    _listen(made.sync_engine, clock)
    return made


def reader(source: AsyncEngine) -> AsyncEngine:
    """Return the same connections for reading: each statement is a transaction of its own.

    Beginning and committing cost two round trips, which is most of a look at a row.
    """
    return source.execution_options(isolation_level="AUTOCOMMIT")


@contextmanager
def transaction(source: Engine) -> Iterator[Connection]:
    """Open a transaction that commits when the block ends well, else rolls back.

    Raises DatabaseUnavailable when the database is away or asks to be asked again.
    """
    with _translated(), source.begin() as connection:
        yield connection


@contextmanager
def connection(source: Engine) -> Iterator[Connection]:
    """Open a connection on which the block begins transactions.  Raises DatabaseUnavailable."""
    with _translated(), source.connect() as opened:
        yield opened


@asynccontextmanager
async def async_transaction(source: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Open a transaction as `transaction` does, for an event loop."""
    with _translated():
        async with source.begin() as connection:
            yield connection


@asynccontextmanager
async def async_reading(source: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Open a connection of a reader, without a transaction.  Raises DatabaseUnavailable."""
    with _translated():
        async with source.connect() as connection:
            yield connection


def _options(settings: DatabaseSettings, connections: int) -> dict[str, Any]:
    # A transaction that idles holds locks and keeps dead rows alive; none of ours may.
    idle_ms = round(1000 * settings.patience_seconds)
    usual = (
        f"SET LOCAL idle_in_transaction_session_timeout = {idle_ms}; SET LOCAL lock_timeout = '10s'"
    )
    return {
        **_ENGINE_OPTIONS,
        "pool_size": connections,
        "pool_timeout": settings.patience_seconds,
        "execution_options": {_BEGIN_WITH: usual},
    }


def _beginning_with(source: Engine, more: str) -> Engine:
    usual = source.get_execution_options()[_BEGIN_WITH]
    return source.execution_options(**{_BEGIN_WITH: usual + more})


def _listen(source: Engine, clock: Callable[[], float]) -> None:
    event.listen(source, "begin", _begin)
    event.listen(source, "before_cursor_execute", _mark_by_key, retval=True)
    event.listen(source, "connect", _prepare_where_statements_last)
    event.listen(source, "handle_error", _leave_replica)
    _ping_after_idling(source, clock)


def _begin(connection: Connection) -> None:
    """Begin a transaction with its settings, unless each statement is one of its own.

    On a connection with another isolation level the driver sends the BEGIN. Alembic sets such a
    level once a migration has run statements outside of transactions.
    """
    options = connection.get_execution_options()
    level = options.get("isolation_level")
    if level == "AUTOCOMMIT":
        return
    settings = options[_BEGIN_WITH]
    connection.exec_driver_sql(f"BEGIN; {settings}" if level is None else settings)


def _mark_by_key(
    connection: Connection,
    _: DBAPICursor,
    statement: str,
    parameters: Any,  # noqa: ANN401 - of whatever form the statement takes
    *_more: object,
) -> tuple[str, Any]:
    """Return a statement with a text of its own where it is planned by keys."""
    if connection.get_execution_options()[_BEGIN_WITH].endswith(_BY_KEY):
        statement += _BY_KEY_MARK
    return statement, parameters


def _prepare_where_statements_last(
    connection: DBAPIConnection, record: ConnectionPoolEntry
) -> None:
    """Turn prepared statements off behind a pooler that does not keep track of them.

    A pooler makes up its own number for the server's process. One that keeps track of prepared
    statements also gives them names of its own, for another transaction may run at another
    server process, which lacks them.
    """
    driver: Any = record.driver_connection  # psycopg's own, for threads or for an event loop
    usual = driver.prepare_threshold
    cursor = connection.cursor()
    try:
        cursor.execute("SELECT pg_backend_pid()")
        if cursor.fetchall() == [(driver.info.backend_pid,)]:
            return
        cursor.execute("BEGIN")
        driver.prepare_threshold = 0
        try:
            cursor.execute("SELECT name FROM pg_prepared_statements")
        except DuplicatePreparedStatement:
            keeps_track = False
        else:
            keeps_track = not any(name.startswith(_PREPARED) for (name,) in cursor.fetchall())
        driver.prepare_threshold = usual if keeps_track else None
        connection.rollback()
    finally:
        cursor.close()


def _leave_replica(context: ExceptionContext) -> None:
    """Replace all connections once one turns out to be of a server that takes no writes."""
    if getattr(context.original_exception, "sqlstate", None) == _READ_ONLY:
        context.is_disconnect = True


def _ping_after_idling(source: Engine, clock: Callable[[], float]) -> None:
    """Ask a connection whether it lives only when it has idled: asking costs a round trip.

    One that died a moment ago fails its transaction, and with it all others of the pool are
    replaced.
    """

    def note(_: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        record.info[_IDLE_SINCE] = clock()

    def ping(
        connection: DBAPIConnection, record: ConnectionPoolEntry, _: PoolProxiedConnection
    ) -> None:
        since = record.info.get(_IDLE_SINCE)
        if since is None or clock() - since < _PING_AFTER_SECONDS:
            return
        try:
            source.dialect.do_ping(connection)
        except source.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error

    event.listen(source, "checkin", note)
    event.listen(source, "checkout", ping)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except PoolTimeout as error:
        raise DatabaseUnavailable("no connection of the pool came free") from error
    except DBAPIError as error:
        if _is_passing(error):
            raise DatabaseUnavailable(str(error.orig).strip()) from error
        raise


def _is_passing(error: DBAPIError) -> bool:
    return (
        error.connection_invalidated
        or isinstance(error, (OperationalError, InterfaceError))
        or getattr(error.orig, "sqlstate", None) in _RUN_AGAIN
    )
