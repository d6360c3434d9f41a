"""A query that is repeated at short intervals, such as a poll, on a connection that it holds."""

import math
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection, Engine, TextClause

from smart_filter_shared.db import driver_queries, sessions

# For how long a RepeatedQuery holds a connection: after a failover the pool may have replaced it.
_HOLD_SECONDS: Final = 10.0
# Limit of the wait for its answer: after a freeze nothing is polled for until then.
_REPEATED_SECONDS: Final = 5.0


class RepeatedQuery:
    """A query that is repeated at short intervals, such as a poll.

    It holds a connection of the pool: checking one out takes more than half of the time of a short
    query. Safe for threads, one at a time.

    source: an engine of `reader`.  query: returns one value.  clock: monotonic seconds.
    """

    def __init__(
        self, source: Engine, query: TextClause, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self._query = query
        self._clock = clock
        self._held: Connection | None = None
        self._held_until = -math.inf
        self._lock = threading.Lock()

    def fetch_value(self, **parameters: object) -> object:
        """Run the query with these parameters; return its answer.  Raises DatabaseUnavailable."""
        with self._lock, sessions.translate_errors(sessions.Sending()):
            if self._held is None or self._clock() > self._held_until:
                self._release()
                self._held = self._source.connect()
                self._held_until = self._clock() + _HOLD_SECONDS
            driver: Any = self._held.connection.driver_connection  # a BoundedConnection
            driver.wait_seconds, driver.begins = _REPEATED_SECONDS, False
            try:
                [(value,)] = driver_queries.fetch_rows(self._held, self._query, parameters)
            except BaseException:
                self._held.invalidate()
                self._release()
                raise
            return value

    def close(self) -> None:
        """Give the connection back."""
        with self._lock:
            self._release()

    def _release(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.close()
