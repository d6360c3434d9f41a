"""Pressure on a database from outside the service, while a `with` block lasts.

The forms are those of docs/method.md in
https://github.com/hardbyte/postgresql-job-queue-benchmarking.
"""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

import psycopg
from sqlalchemy import make_url

from smart_filter_tests.bench import Bench

IDLE_CONNECTIONS: Final = 300
READERS: Final = 4
# Marks the tests' own connections.
BENCH: Final = "bench"
_SCANS: Final = (
    "SELECT count(*) FROM jobs",
    "SELECT state, count(*) FROM stages GROUP BY state",
    "SELECT count(*) FROM events",
)

_TERMINATE: Final = """
    SELECT pg_terminate_backend(pid) FROM (
        SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND application_name <> %(spared)s
            AND backend_type = 'client backend'
        ORDER BY random() LIMIT %(most)s
    ) AS theirs
"""


@contextmanager
def idle_transaction(bench: Bench) -> Iterator[None]:
    """Hold a writing transaction open: nothing that ends meanwhile can be vacuumed."""
    # The server of `smart-filter up` ends idle transactions.
    options = "-c idle_in_transaction_session_timeout=0"
    with psycopg.connect(_url(bench), options=options) as connection:
        connection.execute("SELECT pg_current_xact_id()")
        yield
        connection.rollback()


@contextmanager
def active_readers(bench: Bench) -> Iterator[None]:
    """Scan the queue's tables again and again, each reader in one snapshot."""
    is_over = threading.Event()

    def scan() -> None:
        with psycopg.connect(_url(bench)) as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            while not is_over.is_set():
                for query in _SCANS:
                    connection.execute(query)

    readers = [threading.Thread(target=scan) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    try:
        yield
    finally:
        is_over.set()
        for reader in readers:
            reader.join()


@contextmanager
def exhausted_connections(bench: Bench) -> Iterator[int]:
    """Hold 300 idle connections, or all that the server grants; yield their number.

    The connections of the service are ended first, so that it has to get new ones.
    """
    with ExitStack() as held:
        administrator = held.enter_context(psycopg.connect(_url(bench), autocommit=True))
        granted = 0
        with suppress(psycopg.OperationalError):
            while granted < IDLE_CONNECTIONS:
                held.enter_context(psycopg.connect(_url(bench)))
                granted += 1
        administrator.execute(_TERMINATE, {"spared": BENCH, "most": None})
        yield granted


def end_connections(bench: Bench, *, most: int | None = None) -> None:
    """End connections of the service: all, or at most `most`, at random."""
    with psycopg.connect(_url(bench), autocommit=True) as connection:
        connection.execute(_TERMINATE, {"spared": BENCH, "most": most})


def _url(bench: Bench) -> str:
    url = make_url(bench.settings.database.url.get_secret_value()).set(drivername="postgresql")
    return url.render_as_string(hide_password=False)
