"""Whether this code and the database are of versions that go together: asked at every start.

A migration may run while processes of the version before still do, and while some of them start
again: it says which code works on what it leaves behind. Whoever is older is refused, and so is
code that is newer than the schema, whose statements would fail one by one.
"""

import time
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text

from smart_filter_shared.db import sessions
from smart_filter_shared.errors import SetupFailed, TryAgain
from smart_filter_shared.settings import DatabaseSettings

# The newest migration of the oldest code that works on this schema. Whoever takes away what
# older code uses raises it.
SERVED_FROM: Final = "0014"
# What brings a database here may be under way, as when all of a deployment starts at once.
_WAIT_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.05
_REMEDY: Final = "run `smart-filter prepare`, then start this again"


def newest_revision() -> str:
    """Return which migration this version brings a database to.

    By the files' names: to ask Alembic takes 0.2 s of every start.
    """
    folder = Path(__file__).parent / "migrations" / "versions"
    return max(file.name.partition("_")[0] for file in folder.glob("[0-9]*_*.py"))


def revision(connection: Connection) -> str | None:
    """Return which migration the database is at; None when it has none."""
    if connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return None
    found = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return None if found is None else str(found)


def lacking(connection: Connection) -> str | None:
    """Return what keeps a database from serving this code, or None.

    Raises SetupFailed when that is that this code is too old for it.
    """
    found, newest = revision(connection), newest_revision()
    if is_ahead(connection) or found == newest:
        return None
    where = "has no tables yet" if found is None else f"is at revision {found}"
    return f"the database {where}, and this version needs {newest}"


def ensure_fits(settings: DatabaseSettings, *, wait_seconds: float = _WAIT_SECONDS) -> None:
    """Return once the database has what this version needs; one that is away is not waited for.

    Raises SetupFailed, in one line that says what to run, when it has not by then, and at once
    when it is of a version that this code is too old for.
    """
    until = time.monotonic() + wait_seconds
    engine = sessions.engine(settings, connections=1)
    try:
        while True:
            with sessions.transaction(engine) as connection:
                wanting = lacking(connection)
            if wanting is None:
                return
            if time.monotonic() >= until:
                raise SetupFailed(f"{wanting}: {_REMEDY}")
            time.sleep(_LOOK_SECONDS)
    except TryAgain:
        # Every statement says so, and `/readyz`.
        return
    finally:
        engine.dispose()


def is_ahead(connection: Connection) -> bool:
    """Return whether a later version has brought the database further, and left it fit for this.

    Raises SetupFailed when it is not fit for this one.
    """
    found = revision(connection)
    newest = newest_revision()
    if found is None or found <= newest:
        return False
    served_from = connection.scalar(
        text("SELECT obj_description(to_regclass('alembic_version'), 'pg_class')")
    )
    if served_from is None or newest < served_from:
        raise SetupFailed(
            f"the database is at revision {found}, and this version ({newest}) is too old for it:"
            f" install a version that knows {served_from or found}, or restore the backup from"
            " before the upgrade"
        )
    return True


def tell_served(connection: Connection) -> None:
    """Write which code works on the schema where code that does not know it will look."""
    connection.execute(text(f"COMMENT ON TABLE alembic_version IS '{SERVED_FROM}'"))
