"""The database that an operator's commands work on: the one that is named, or of what is up."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import SecretStr
from sqlalchemy import Connection, Engine

from smart_filter_deploy.cli.connection import stack_up
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
    stack = stack_up(or_name="SMART_FILTER_DATABASE_URL")
    return DatabaseSettings(url=SecretStr(stack.servers.database_url))
