"""A query that is repeated at short intervals, such as a poll: as cheap as the driver allows."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from psycopg.errors import InvalidSqlStatementName, error_from_result
from psycopg.generators import execute
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult
from sqlalchemy import Connection, Engine

from smart_filter_shared.db import sessions
from smart_filter_shared.db.bounded_connections import BoundedConnection

# For how long a RepeatedQuery holds a connection: after a failover the pool may have replaced it.
_HOLD_SECONDS: Final = 10.0
# Limit of the wait for its answer: after a freeze nothing is polled for until then.
_REPEATED_SECONDS: Final = 5.0


class RepeatedQuery:
    """A query that is repeated at short intervals, such as a poll; prepared on the driver.

    It holds a connection of the pool: checking one out, and the driver's cursor, take more than
    half of the time of a short query. Safe for threads, one at a time.

    source: an engine of `single_statements`.  query: returns one value; its placeholders are $1
    and so on.  name: of the prepared statement.  clock: monotonic seconds.
    """

    def __init__(
        self, source: Engine, query: str, *, name: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self._query = query
        self._name = name
        self._clock = clock
        self._held: Connection | None = None
        self._held_until = -math.inf
        self._lock = threading.Lock()

    def fetch_value(self, *values: str) -> str | None:
        """Run the query with these values; return its answer as PostgreSQL writes it.

        Raises DatabaseUnavailable.
        """
        with self._lock, sessions.translate_errors(sessions.Sending()):
            if self._held is None or self._clock() > self._held_until:
                self._release()
                self._held = self._source.connect()
                self._held_until = self._clock() + _HOLD_SECONDS
            try:
                with sessions.handle_driver_errors(self._held, self._query):
                    return self._execute(self._held, values)
            except BaseException:
                self._held.invalidate()  # whether the statement is still prepared is not known
                self._release()
                raise

    def close(self) -> None:
        """Give the connection back."""
        with self._lock:
            self._release()

    def _release(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.close()

    def _execute(self, held: Connection, values: Sequence[str]) -> str | None:
        driver: Any = held.connection.driver_connection  # a BoundedConnection
        driver.wait_seconds = _REPEATED_SECONDS
        name, query = self._name.encode(), self._query.encode()
        sent = [value.encode() for value in values]
        if driver.prepare_threshold is None:  # a pooler may run the statement on another session
            driver.pgconn.send_query_params(query, sent)
        else:
            if self._name not in held.info:  # of this connection
                self._prepare(held, driver)
            driver.pgconn.send_query_prepared(name, sent)
        try:
            received = _receive(driver, ExecStatus.TUPLES_OK)
        except InvalidSqlStatementName:
            # Another user of the pooled connection rolled back: the driver then deallocates all.
            self._prepare(held, driver)
            driver.pgconn.send_query_prepared(name, sent)
            received = _receive(driver, ExecStatus.TUPLES_OK)
        answer = received.get_value(0, 0)
        return None if answer is None else answer.decode()

    def _prepare(self, held: Connection, driver: BoundedConnection) -> None:
        driver.pgconn.send_prepare(self._name.encode(), self._query.encode())
        _receive(driver, ExecStatus.COMMAND_OK)
        held.info[self._name] = True


def _receive(driver: BoundedConnection, expected: ExecStatus) -> PGresult:
    """Return the result of the sent statement.  Raises the driver's errors."""
    results: list[PGresult] = driver.wait(execute(driver.pgconn))
    (result,) = results
    if result.status != expected:
        raise error_from_result(result)
    return result
