"""Engines and transactions; errors of the driver are translated here.

Statements are SQLAlchemy Core or SQL text: on hot paths the ORM costs a third of the speed
(docs/measurements.md).
"""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, InterfaceError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from smart_filter_shared.errors import DatabaseUnavailable
from smart_filter_shared.settings import DatabaseSettings

_CONNECT_SECONDS = 3
_PING_AFTER_SECONDS = 1.0
_IDLE_SINCE = "idle_since"
_POOL_WAIT_SECONDS = 5
# A transaction that idles holds locks and keeps dead rows alive; none of ours may.
_SESSION_OPTIONS = "-c idle_in_transaction_session_timeout=5000 -c lock_timeout=10000"
# Of sessions that run the same few statements for every stage, each of which finds a few rows by
# their keys. They are planned once for each connection: planning took twice as long as running.
# Such a plan is kept until the tables are analysed again, which may be a minute after they have
# grown: so it must suit tables of any size, which is to say, look into indexes and nothing else.
_BY_KEY_OPTIONS = (
    "-c plan_cache_mode=force_generic_plan -c jit=off -c enable_seqscan=off"
    " -c enable_bitmapscan=off -c enable_hashjoin=off -c enable_mergejoin=off"
)
# deadlock_detected and serialization_failure: the same transaction may simply run again.
_RUN_AGAIN = frozenset({"40P01", "40001", "55P03"})


def engine(
    settings: DatabaseSettings,
    *,
    connections: int,
    options: str = "",
    clock: Callable[[], float] = time.monotonic,
) -> Engine:
    """Return an engine for threads, holding at most `connections`.

    options: of its sessions, beside those that all have.  clock: monotonic seconds.
    """
    made = create_engine(
        settings.url.get_secret_value(),
        pool_size=connections,
        max_overflow=0,
        pool_timeout=_POOL_WAIT_SECONDS,
        hide_parameters=True,  # logs would repeat addresses and secrets
        connect_args={
            "connect_timeout": _CONNECT_SECONDS,
            "options": f"{_SESSION_OPTIONS} {options}",
        },
    )
    _ping_after_idling(made, clock)
    return made


def by_key(settings: DatabaseSettings, *, connections: int) -> Engine:
    """Return an engine for what is done for every stage: it finds a few rows by their keys.

    Nothing that looks through many rows belongs here: it would be planned as if they were few.
    """
    return engine(settings, connections=connections, options=_BY_KEY_OPTIONS)


def async_engine(
    settings: DatabaseSettings,
    *,
    connections: int,
    options: str = "",
    clock: Callable[[], float] = time.monotonic,
) -> AsyncEngine:
    """Return an engine for an event loop, holding at most `connections`.

    options: of its sessions, beside those that all have.  clock: monotonic seconds.
    """
    made = create_async_engine(
        settings.url.get_secret_value(),
        pool_size=connections,
        max_overflow=0,
        pool_timeout=_POOL_WAIT_SECONDS,
        hide_parameters=True,  # logs would repeat addresses and secrets
        connect_args={
            "connect_timeout": _CONNECT_SECONDS,
            "options": f"{_SESSION_OPTIONS} {options}",
        },
    )
    _ping_after_idling(made.sync_engine, clock)
    return made


def hasty(settings: DatabaseSettings, *, connections: int) -> AsyncEngine:
    """Return an engine whose statements are transactions that do not wait for the disk.

    For what may be lost when the database's machine dies.
    """
    return reader(
        async_engine(settings, connections=connections, options="-c synchronous_commit=off")
    )


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
def alone(source: Engine) -> Iterator[Connection]:
    """Open a session for long work, which begins its own transactions and may idle in them.

    It ends with the block, and what it holds with it.  Raises DatabaseUnavailable.
    """
    with _translated(), source.connect() as connection:
        try:
            connection.execute(text("SET idle_in_transaction_session_timeout = 0"))
            connection.commit()
            yield connection
        finally:
            connection.invalidate()


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
