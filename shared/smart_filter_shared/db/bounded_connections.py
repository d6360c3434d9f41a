"""Connections to PostgreSQL on which no wait for the server is endless.

A server whose packets are lost, or that is frozen behind a proxy which still acknowledges them,
sends nothing and closes nothing. TCP notices lost packets within `_TCP_SECONDS`. Each connection
also limits the wait for the outcome of a statement, because a proxy answers TCP in the server's
place.
"""

from collections.abc import Mapping, MutableMapping
from types import MappingProxyType
from typing import Any, Final, TypeVar

from psycopg import AsyncConnection, BaseConnection, Connection, OperationalError
from psycopg.abc import PQGen
from psycopg.errors import _WaitTimeout  # no public name; `wait` documents it

_Result = TypeVar("_Result")

_INTERVAL_SECONDS: Final = 0.1  # psycopg's default: how often it looks for a signal
_CONNECT_SECONDS: Final = 3
_TCP_SECONDS: Final = 15
# libpq's parameters; it ignores those of TCP for a Unix socket. The first probe follows after 5 s
# without data, and others every 5 s. `tcp_user_timeout` (ms) limits the time until data or a
# probe is acknowledged, and replaces the number of probes.
# Source: PostgreSQL, "Parameter Key Words"; tcp(7).
PARAMETERS: Final = MappingProxyType(
    {
        "connect_timeout": _CONNECT_SECONDS,
        "keepalives_idle": 5,
        "keepalives_interval": 5,
        "keepalives_count": 2,
        "tcp_user_timeout": 1000 * _TCP_SECONDS,
    }
)
# Limit of a wait while a connection is set up or checked: these statements read no table.
SET_UP_SECONDS: Final = 5.0


class _Bounds(BaseConnection[Any]):
    """The state of both kinds of connections.

    wait_seconds: the longest wait for the outcome of one statement.
    session_settings: the server's settings of the session; None behind a pooler, which shares it.
    begins: whether a transaction begins with the next statement.
    sending: of the transaction that `sessions.transaction` has opened last.
    statement_names: what `driver_queries` has prepared, by statement and types.
    """

    wait_seconds: float = SET_UP_SECONDS
    session_settings: Mapping[str, str] | None = None
    begins: bool = False
    sending: Any  # its module imports this one
    statement_names: MutableMapping[Any, bytes]

    def _deallocate(self, name: bytes | None) -> PQGen[None]:
        """Deallocate all statements after a rollback, as the driver does, or one of its own."""
        if name is None:
            self.statement_names.clear()
        return super()._deallocate(name)


class BoundedConnection(_Bounds, Connection[Any]):
    """A connection that closes when the server does not answer in time."""

    def wait(
        self,
        gen: PQGen[_Result],
        interval: float = _INTERVAL_SECONDS,
        timeout: float | None = None,
    ) -> _Result:
        """Run an operation of the driver.

        Raises OperationalError after `wait_seconds`. The connection is closed then: the statement
        may still take effect.
        """
        try:
            return super().wait(gen, interval, timeout or self.wait_seconds)
        except _WaitTimeout as error:
            self.pgconn.finish()  # sends nothing that could block
            raise _silence_error(self.wait_seconds) from error


class BoundedAsyncConnection(_Bounds, AsyncConnection[Any]):
    """The same for an event loop."""

    async def wait(
        self,
        gen: PQGen[_Result],
        interval: float = _INTERVAL_SECONDS,
        timeout: float | None = None,  # noqa: ASYNC109 - psycopg's own signature
    ) -> _Result:
        """Run an operation of the driver, as `BoundedConnection.wait` does."""
        try:
            return await super().wait(gen, interval, timeout or self.wait_seconds)
        except _WaitTimeout as error:
            self.pgconn.finish()
            raise _silence_error(self.wait_seconds) from error


def _silence_error(seconds: float) -> OperationalError:
    return OperationalError(f"the server has not answered for {seconds:g} s")
