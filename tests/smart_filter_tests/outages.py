"""Database outages that no driver reports as a lost connection."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from smart_filter_tests.bench import Bench
from smart_filter_tests.patience import PATIENCE_SECONDS

_LOOK_SECONDS = 0.02


def wait_until(holds: Callable[[], bool], *, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until a condition holds; fail after `seconds`, which guard against hangs only."""
    gives_up_at = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < gives_up_at, "it did not happen"
        time.sleep(_LOOK_SECONDS)


@contextmanager
def read_only(bench: Bench) -> Iterator[None]:
    """Make the database read-only while the block lasts, as after a failover to a replica.

    The bench itself writes nothing meanwhile.
    """
    with _administrator(bench) as connection:
        _say(connection, "ALTER DATABASE {} SET default_transaction_read_only = on")
        _cut(connection)
        try:
            yield
        finally:
            _say(connection, "ALTER DATABASE {} RESET default_transaction_read_only")
            _cut(connection)
            bench.engine.dispose()


def point_name_at_primary(bench: Bench) -> None:
    """End `read_only` for new connections; existing ones stay read-only."""
    with _administrator(bench) as connection:
        _say(connection, "ALTER DATABASE {} RESET default_transaction_read_only")


@contextmanager
def without_table(bench: Bench, table: str) -> Iterator[None]:
    """Hide a table while the block lasts: a defect that no retry resolves."""
    away = sql.Identifier(f"{table}_away")
    with _administrator(bench) as connection:
        rename = sql.SQL("ALTER TABLE {} RENAME TO {}")
        connection.execute(rename.format(sql.Identifier(table), away))
        try:
            yield
        finally:
            connection.execute(rename.format(away, sql.Identifier(table)))


@contextmanager
def unreadable_table(bench: Bench, table: str) -> Iterator[Callable[[], int]]:
    """Make every statement that reads a table fail while the block lasts; also a defect.

    Yields a function that returns the number of failures. A sequence counts them, because a
    rollback does not undo it.
    """
    with _administrator(bench) as connection, without_table(bench, table):
        connection.execute("CREATE SEQUENCE refused")
        here, away = sql.Identifier(table), sql.Identifier(f"{table}_away")
        connection.execute(
            sql.SQL("""
                CREATE FUNCTION refuse() RETURNS SETOF {away}
                LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
                    PERFORM nextval('refused'); RAISE EXCEPTION 'refused';
                END $$;
                CREATE VIEW {here} AS SELECT * FROM {away} UNION ALL SELECT * FROM refuse();
                GRANT SELECT ON {here} TO PUBLIC
            """).format(here=here, away=away)
        )

        def refused() -> int:
            (row,) = connection.execute("SELECT last_value, is_called FROM refused").fetchall()
            return int(str(row[0])) if row[1] else 0

        try:
            yield refused
        finally:
            connection.execute(sql.SQL("DROP VIEW {}").format(here))
            connection.execute("DROP FUNCTION refuse; DROP SEQUENCE refused")


@contextmanager
def cut_off(bench: Bench) -> Iterator[None]:
    with _administrator(bench) as connection:
        _cut(connection)
        bench.engine.dispose()
        yield
        _cut(connection)
        bench.engine.dispose()


@contextmanager
def _administrator(bench: Bench) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    url = make_url(bench.settings.database.url.get_secret_value()).set(drivername="postgresql")
    with psycopg.connect(
        url.render_as_string(hide_password=False),
        options="-c default_transaction_read_only=off",
        autocommit=True,
    ) as connection:
        yield connection


def _say(connection: "psycopg.Connection[tuple[object, ...]]", command: str) -> None:
    database = sql.Identifier(connection.info.dbname)
    connection.execute(sql.SQL(command).format(database))


def _cut(connection: "psycopg.Connection[tuple[object, ...]]") -> None:
    connection.execute("""
        SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
            AND backend_type = 'client backend'
    """)
