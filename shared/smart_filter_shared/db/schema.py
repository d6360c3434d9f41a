"""Check at every start that this code and the database schema are compatible.

A migration can run while processes of the previous version run or restart, so it records the
oldest code that works on the new schema. Older code does not start. Code that is newer than the
schema does not start either, as its statements would fail one by one.
"""

import time
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text

from smart_filter_shared.config.settings import DatabaseSettings
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import DatabaseMisconfigured, SetupFailed, TryAgain

# Newest migration of the oldest code that works on this schema. Raise it with a migration that
# removes something that older code uses.
OLDEST_COMPATIBLE_REVISION: Final = "0001"
# Held by the process that migrates, until all rights are granted; the same in every version.
MIGRATION_LOCK: Final = 0x5F_F11_7E2
# How long a starting process waits for a migration: all of a deployment may start at once.
_WAIT_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.05
_TRY_LOCK: Final = text("SELECT pg_try_advisory_xact_lock_shared(:lock)")
_REMEDY: Final = "run `smart-filter prepare`, then start this again"


def newest_revision() -> str:
    """Return the migration that this version upgrades a database to.

    Read from the file names: asking Alembic would add 0.2 s to every start.
    """
    folder = Path(__file__).parent / "migrations" / "versions"
    return max(file.name.partition("_")[0] for file in folder.glob("[0-9]*_*.py"))


def revision(connection: Connection) -> str | None:
    """Return the migration that the database is at; None when it has none."""
    if connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return None
    number = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return None if number is None else str(number)


def explain_mismatch(connection: Connection) -> str | None:
    """Return why the database cannot serve this code, or None when it can.

    Raises SetupFailed when this code is too old for the database.
    """
    current, newest = revision(connection), newest_revision()
    if is_ahead(connection) or current == newest:
        return None
    state = "has no tables yet" if current is None else f"is at revision {current}"
    return f"the database {state}, and this version needs {newest}"


def ensure_compatible(settings: DatabaseSettings, *, wait_seconds: float = _WAIT_SECONDS) -> None:
    """Wait until the database has the schema that this version needs, and nothing migrates it.

    The rights of the processes are granted after the last migration: a process that read the schema
    before that would be refused. Returns at once when the database is down, and after
    `wait_seconds` of a migration by which the schema fits.
    Raises SetupFailed, with a one-line remedy, when the schema is still missing after
    `wait_seconds`, and at once when this code is too old for the database, or when the database
    rejects the user, the password or the name.
    """
    until = time.monotonic() + wait_seconds
    engine = sessions.open_engine(settings, connections=1)
    try:
        while True:
            with sessions.transaction(engine) as connection:
                is_last = time.monotonic() >= until
                # Held until the schema has been read: no migration begins in between.
                is_still = connection.scalar(_TRY_LOCK, {"lock": MIGRATION_LOCK})
                mismatch = explain_mismatch(connection) if is_still or is_last else ""
            if mismatch is None:
                return
            if is_last:
                raise SetupFailed(f"{mismatch}: {_REMEDY}")
            time.sleep(_LOOK_SECONDS)
    except DatabaseMisconfigured as error:
        raise SetupFailed(
            f"the database rejects this process ({error}); correct SMART_FILTER_DATABASE_URL"
        ) from error
    except TryAgain:
        # Every later statement reports it, and so does `/readyz`.
        return
    finally:
        engine.dispose()


def connect(settings: DatabaseSettings) -> None:
    """Connect once to the database.

    Raises DatabaseUnavailable; SetupFailed when it does not store text as UTF-8.
    """
    engine = sessions.open_engine(settings, connections=1)
    try:
        with sessions.connection(engine):
            pass
    finally:
        engine.dispose()


def is_ahead(connection: Connection) -> bool:
    """Return whether the database is newer than this code and still compatible with it.

    Raises SetupFailed when it is newer and not compatible.
    """
    current = revision(connection)
    newest = newest_revision()
    if current is None or current <= newest:
        return False
    served_from = connection.scalar(
        text("SELECT obj_description(to_regclass('alembic_version'), 'pg_class')")
    )
    if served_from is None or newest < served_from:
        raise SetupFailed(
            f"the database is at revision {current}, and this version ({newest}) is too old for it:"
            f" install a version that knows {served_from or current}, or restore the backup from"
            " before the upgrade"
        )
    return True


def record_compatibility(connection: Connection) -> None:
    """Record the oldest compatible code in the database, where older code will read it."""
    connection.execute(text(f"COMMENT ON TABLE alembic_version IS '{OLDEST_COMPATIBLE_REVISION}'"))
