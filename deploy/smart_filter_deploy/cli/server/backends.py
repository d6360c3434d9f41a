"""Opens the database and object store of an operator's command."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pydantic import SecretStr

from smart_filter_deploy.cli.server.connection import require_running_stack
from smart_filter_shared.artifacts.backends import Backends
from smart_filter_shared.config import settings
from smart_filter_shared.config.settings import DatabaseSettings, StorageSettings
from smart_filter_shared.db import sessions
from smart_filter_shared.storage.opening import open_store

_VARIABLES = "SMART_FILTER_DATABASE_URL and SMART_FILTER_STORAGE_URL"


@dataclass(frozen=True, slots=True)
class OperatorBackends:
    """Database and object store, and the settings of the object store."""

    servers: Backends
    storage: StorageSettings


@contextmanager
def open_backends() -> Iterator[OperatorBackends]:
    """Open the database and object store in SMART_FILTER_*_URL, else the local stack's.

    Ends the command when there is neither.
    """
    database, storage = _settings()
    engine = sessions.open_engine(database, connections=1)
    try:
        yield OperatorBackends(Backends(engine, open_store(storage, connections=1)), storage)
    finally:
        engine.dispose()


def _settings() -> tuple[DatabaseSettings, StorageSettings]:
    if os.environ.get("SMART_FILTER_DATABASE_URL"):
        return settings.load_backends()
    servers = require_running_stack(or_name=_VARIABLES).servers
    return (
        DatabaseSettings(url=SecretStr(servers.database_url)),
        StorageSettings(url=servers.storage_url),
    )
