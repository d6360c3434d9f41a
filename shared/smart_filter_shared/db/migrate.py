"""Bring a database to the schema of this version."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

# Any constant serves: it only has to be the same in every process that migrates.
_ADVISORY_LOCK = 0x5F_F11_7E2


def upgrade(engine: Engine) -> None:
    """Apply every migration that the database lacks; several callers at once are safe.

    engine: with at least one free connection; the lock is held on it while others wait.
    """
    config = _config()
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def revision(connection: Connection) -> str | None:
    """Return which migration the database is at; None when it has none."""
    return MigrationContext.configure(connection).get_current_revision()


def newest_revision() -> str:
    """Return which migration this version brings a database to."""
    newest = ScriptDirectory.from_config(_config()).get_current_head()
    if newest is None:
        raise RuntimeError("there are no migrations")
    return newest


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
