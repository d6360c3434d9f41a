"""Upgrade a database to the schema of this version."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import ProgrammingError

from smart_filter_shared.db import grants, schema, sessions
from smart_filter_shared.errors import SetupFailed

# Rows per transaction of a reset; bounds how long its locks are held.
_RESET_ROWS = 10_000
# A table, column, function or index is missing, or is there already.
# Source: PostgreSQL, Appendix A, class 42.
_OTHER_TABLES: Final = frozenset(
    {"42P01", "42703", "42883", "42704", "42P07", "42701", "42723", "42710"}
)


def upgrade(engine: Engine) -> None:
    """Apply every migration that the database lacks; concurrent callers are safe.

    Each migration is one or more transactions. The next call continues an interrupted migration.
    engine: with at least two free connections; one holds the lock while the other migrates.
    Raises SetupFailed when a later version has made the database incompatible with this one, or
    when its tables are not those of its revision; DatabaseUnavailable.
    """
    config = _config()
    idling = sessions.for_idle_transactions(engine)
    # A transaction-level lock, as a pooler may share sessions.
    with sessions.transaction(idling) as holder, sessions.connection(idling) as connection:
        holder.execute(text("SET LOCAL lock_timeout = 0"))  # a migration may take long
        holder.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": schema.MIGRATION_LOCK})
        is_ahead = schema.is_ahead(connection)
        connection.commit()
        if is_ahead:
            return
        config.attributes["connection"] = connection
        with _refuse_other_tables():
            command.upgrade(config, "head")
            schema.record_compatibility(connection)
            grants.apply(connection)
            connection.commit()
            _reset_restored_ids(connection)


@contextmanager
def _refuse_other_tables() -> Iterator[None]:
    """Raise SetupFailed in place of an error that says that the tables are not those expected."""
    try:
        yield
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) not in _OTHER_TABLES:
            raise
        reason = str(error.orig).partition("\n")[0]
        raise SetupFailed(
            f"the database has the tables of a version between releases ({reason}): name another"
            " database, or another data folder with SMART_FILTER_DATA, or start the version that"
            " wrote it"
        ) from error


def _reset_restored_ids(connection: Connection) -> None:
    """Set transaction ids that this cluster has not reached to 0, `_RESET_ROWS` at a time.

    `pg_restore` copies such ids from another cluster. Pollers would report their rows as new once
    this cluster's ids catch up. Rows of this cluster never match: a visible row has an id below
    `xmax` of the same snapshot. Without restored rows this costs one index probe of each table.
    """
    for table in ("events", "tombstones"):
        reset = text(f"""
            UPDATE {table} SET written_in = 0 WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM {table} WHERE written_in >=
                    CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint)
                LIMIT {_RESET_ROWS}
            ))
        """)  # noqa: S608 - constant names
        while connection.execute(reset).rowcount:
            connection.commit()
        connection.commit()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
