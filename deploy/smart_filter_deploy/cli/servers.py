"""Which database and object store an operator's commands work on: those that are named, or up."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pydantic import SecretStr

from smart_filter_deploy.cli.connection import stack_up
from smart_filter_shared import settings
from smart_filter_shared.db import sessions
from smart_filter_shared.servers import Servers
from smart_filter_shared.settings import DatabaseSettings, StorageSettings
from smart_filter_shared.storage.objects import ObjectStore

_NAMED_BY = "SMART_FILTER_DATABASE_URL, SMART_FILTER_STORAGE_URL, _ACCESS_KEY and _SECRET_KEY"


@dataclass(frozen=True, slots=True)
class Reached:
    """Database and object store, and the settings of the latter."""

    servers: Servers
    storage: StorageSettings


@contextmanager
def reached() -> Iterator[Reached]:
    """Give the servers that SMART_FILTER_DATABASE_URL and the like name; else those that are up.

    Ends the command when there are neither.
    """
    database, storage = _settings()
    engine = sessions.engine(database, connections=1)
    try:
        yield Reached(Servers(engine, ObjectStore(storage, connections=1)), storage)
    finally:
        engine.dispose()


def _settings() -> tuple[DatabaseSettings, StorageSettings]:
    if os.environ.get("SMART_FILTER_DATABASE_URL"):
        return settings.stores()
    servers = stack_up(or_name=_NAMED_BY).servers
    return (
        DatabaseSettings(url=SecretStr(servers.database_url)),
        StorageSettings(
            url=servers.storage_url,
            access_key=SecretStr(servers.storage_access_key),
            secret_key=SecretStr(servers.storage_secret_key),
        ),
    )
