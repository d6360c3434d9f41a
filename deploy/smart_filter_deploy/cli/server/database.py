"""Opens the database of an operator's command."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import SecretStr
from sqlalchemy import Connection, Engine

from smart_filter_shared.config import settings
from smart_filter_shared.config.settings import DatabaseSettings
from smart_filter_shared.db import sessions


@contextmanager
def open_engine() -> Iterator[Engine]:
    """Open the database in SMART_FILTER_DATABASE_URL, else the local stack's.

    Ends the command when there is neither.
    """
    engine = sessions.open_engine(
        _settings(), connections=1, statement_seconds=sessions.COMMAND_SECONDS
    )
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def transaction() -> Iterator[Connection]:
    """Open a transaction on that database."""
    with open_engine() as engine, sessions.transaction(engine) as connection:
        yield connection


def _settings() -> DatabaseSettings:
    if os.environ.get("SMART_FILTER_DATABASE_URL"):
        return settings.load_database()
    # Containers never get here; it imports the client, which takes as long as all others.
    from smart_filter_deploy.cli.server.connection import require_running_stack  # noqa: PLC0415

    stack = require_running_stack(or_name="SMART_FILTER_DATABASE_URL")
    return DatabaseSettings(url=SecretStr(stack.servers.database_url))
