"""Engines and transactions; errors of the driver are translated here.

Statements are SQLAlchemy Core or SQL text: on hot paths the ORM costs a third of the speed
(docs/measurements.md).
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from smart_filter_shared.errors import DatabaseUnavailable
from smart_filter_shared.settings import DatabaseSettings

_CONNECT_SECONDS = 3
_POOL_WAIT_SECONDS = 5
# A transaction that idles holds locks and keeps dead rows alive; none of ours may.
_SESSION_OPTIONS = "-c idle_in_transaction_session_timeout=5000 -c lock_timeout=10000"
# deadlock_detected and serialization_failure: the same transaction may simply run again.
_RUN_AGAIN = frozenset({"40P01", "40001", "55P03"})


def engine(settings: DatabaseSettings, *, connections: int) -> Engine:
    """Return an engine for threads, holding at most `connections`."""
    return create_engine(
        settings.url.get_secret_value(),
        pool_size=connections,
        max_overflow=0,
        pool_timeout=_POOL_WAIT_SECONDS,
        pool_pre_ping=True,
        connect_args={"connect_timeout": _CONNECT_SECONDS, "options": _SESSION_OPTIONS},
    )


def async_engine(settings: DatabaseSettings, *, connections: int) -> AsyncEngine:
    """Return an engine for an event loop, holding at most `connections`."""
    return create_async_engine(
        settings.url.get_secret_value(),
        pool_size=connections,
        max_overflow=0,
        pool_timeout=_POOL_WAIT_SECONDS,
        pool_pre_ping=True,
        connect_args={"connect_timeout": _CONNECT_SECONDS, "options": _SESSION_OPTIONS},
    )


@contextmanager
def transaction(source: Engine) -> Iterator[Connection]:
    """Open a transaction that commits when the block ends well, else rolls back.

    Raises DatabaseUnavailable when the database is away or asks to be asked again.
    """
    with _translated(), source.begin() as connection:
        yield connection


@asynccontextmanager
async def async_transaction(source: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Open a transaction as `transaction` does, for an event loop."""
    with _translated():
        async with source.begin() as connection:
            yield connection


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
