"""Whether a database is far enough for this version, asked without what migrates it.

One that is further is well: migrations only add (docs/operating.md), so that the version before
goes on serving while the next one takes over.
"""

from pathlib import Path
from typing import Final

from sqlalchemy import Engine, text

from smart_filter_shared.db import sessions
from smart_filter_shared.errors import SetupFailed

_MIGRATIONS: Final = Path(__file__).parent / "migrations" / "versions"


def check(engine: Engine) -> None:
    """Return when the database has what this version needs.

    Raises SetupFailed when it has not, DatabaseUnavailable.
    """
    needed, found = _needed(), _found(engine)
    if found < needed:
        raise SetupFailed(
            f"the database is at migration {found or 'none'} and this version needs {needed}:"
            " run `smart-filter prepare` with these settings, then start this again"
        )


def _needed() -> str:
    # Their files are called by their numbers, which sort as they follow each other.
    return max(path.name.partition("_")[0] for path in _MIGRATIONS.glob("[0-9]*.py"))


def _found(engine: Engine) -> str:
    with sessions.transaction(engine) as connection:
        known = connection.execute(text("SELECT to_regclass('alembic_version')")).scalar_one()
        if known is None:
            return ""
        found = connection.execute(text("SELECT version_num FROM alembic_version"))
        return str(found.scalar_one())
