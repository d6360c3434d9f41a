"""Opens the database and object store of an operator's command."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from smart_filter_deploy.cli.server import database
from smart_filter_deploy.cli.server.connection import require_running_stack
from smart_filter_shared.artifacts.backends import Backends
from smart_filter_shared.config import settings
from smart_filter_shared.config.settings import StorageSettings
from smart_filter_shared.storage.opening import open_store

_VARIABLES = "SMART_FILTER_DATABASE_URL and SMART_FILTER_STORAGE_URL"


@contextmanager
def open_backends() -> Iterator[Backends]:
    """Open the database and object store in SMART_FILTER_*_URL, else the local stack's.

    Ends the command when there is neither.
    """
    storage = find_storage()
    with database.open_engine() as engine:
        yield Backends(engine, open_store(storage, connections=1))


def find_storage() -> StorageSettings:
    """Return the settings of that object store."""
    if os.environ.get("SMART_FILTER_DATABASE_URL"):
        return settings.load_backends()[1]
    return StorageSettings(url=require_running_stack(or_name=_VARIABLES).servers.storage_url)
