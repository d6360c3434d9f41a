"""The database that an operator's commands work on: the one that is named, or of what is up."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import SecretStr
from sqlalchemy import Connection, Engine

from smart_filter_deploy.cli.endings import NO_SERVER, Ending
from smart_filter_deploy.embedded.folder import running_stack
from smart_filter_shared import settings
from smart_filter_shared.db import sessions
from smart_filter_shared.settings import DatabaseSettings


@contextmanager
def opened() -> Iterator[Engine]:
    """Open what SMART_FILTER_DATABASE_URL names; else the database of the stack that is up.

    Ends the command when there is neither.
    """
    engine = sessions.engine(_settings(), connections=1)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def transaction() -> Iterator[Connection]:
    """Open a transaction there."""
    with opened() as engine, sessions.transaction(engine) as connection:
        yield connection


def _settings() -> DatabaseSettings:
    if os.environ.get("SMART_FILTER_DATABASE_URL"):
        return settings.database()
    stack = running_stack()
    if stack is None:
        raise Ending(
            "no database is up here: start one with `smart-filter up`, or name another with"
            " SMART_FILTER_DATABASE_URL",
            NO_SERVER,
        )
    return DatabaseSettings(url=SecretStr(stack.servers.database_url))
