"""Bring a database to the schema of this version."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text

from smart_filter_shared.db import schema, sessions

# Any constant serves: it only has to be the same in every process that migrates.
_ADVISORY_LOCK = 0x5F_F11_7E2


def upgrade(engine: Engine) -> None:
    """Apply every migration that the database lacks; several callers at once are safe.

    engine: with at least one free connection; the lock is held on it while others wait.
    Raises SetupFailed when a later version has left the database unfit for this one,
    DatabaseUnavailable.
    """
    config = _config()
    with sessions.transaction(engine) as connection:
        # Alembic reads its files while this one idles, which may take long on a busy machine.
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
        if schema.is_ahead(connection):
            return
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        schema.tell_served(connection)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
