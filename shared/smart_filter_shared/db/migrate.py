"""Bring a database to the schema of this version."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from smart_filter_shared.db import days, schema, sessions

# Any constant serves: it only has to be the same in every process that migrates.
_ADVISORY_LOCK = 0x5F_F11_7E2
# Rows of one transaction of a reset; bounds how long its locks are held.
_RESET_ROWS = 10_000
# Each waits for its lock for 0.2 s (db/days.py).
_VIEW_TRIES = 300


def upgrade(engine: Engine) -> None:
    """Apply every migration that the database lacks; several callers at once are safe.

    Each is a transaction of its own, or several: one that breaks off is gone on with by the next
    call.
    engine: with at least two free connections; one holds the lock while the other migrates.
    Raises SetupFailed when a later version has left the database unfit for this one,
    DatabaseUnavailable.
    """
    config = _config()
    idling = sessions.idling(engine)
    # The lock ends with its transaction, not with its session: a pooler may share sessions.
    with sessions.transaction(idling) as alone, sessions.connection(idling) as connection:
        alone.execute(text("SET LOCAL lock_timeout = 0"))  # a migration may take its time
        alone.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
        is_ahead = schema.is_ahead(connection)
        connection.commit()
        if is_ahead:
            return
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        schema.tell_served(connection)
        days.make_ahead(connection)
        connection.commit()
        _renew_views(connection)
        _reset_restored_ids(connection)


def _renew_views(connection: Connection) -> None:
    """Make the views of open days again, for columns that have come to their tables.

    Busy workers may keep a view from being replaced for a moment: each step is tried for a minute.
    """
    for step in days.STEPS:
        for tries_left in reversed(range(_VIEW_TRIES)):
            try:
                with connection.begin():
                    step(connection)
                break
            except OperationalError:
                if not tries_left or connection.invalidated:
                    raise


def _reset_restored_ids(connection: Connection) -> None:
    """Set transaction ids that this cluster has not reached to 0, a page at a time.

    `pg_restore` brings them from another cluster. They would be news once the ids catch up.
    Rows of this cluster never match: a visible one has an id below `xmax` of the same snapshot.
    Without restored rows this is one index probe of each table.
    """
    for table in ("events", "tombstones"):
        reset = text(f"""
            UPDATE {table} SET written_in = 0 WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM {table} WHERE written_in >=
                    CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint)
                LIMIT {_RESET_ROWS}
            ))
        """)  # noqa: S608 - names of our own
        while connection.execute(reset).rowcount:
            connection.commit()
        connection.commit()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
