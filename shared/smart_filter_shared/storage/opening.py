"""Open the object store that the settings name."""

import importlib

from smart_filter_shared.config.settings import StorageSettings
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.extras import install_hint
from smart_filter_shared.storage.folder import FolderStore
from smart_filter_shared.storage.objects import ObjectStore


def open_store(settings: StorageSettings, *, connections: int) -> ObjectStore:
    """Return the store of the settings, without a request to it.  Raises SetupFailed.

    connections: of a server, kept open for reuse.
    """
    if settings.folder is not None:
        return FolderStore(settings.folder, settings.bucket)
    ensure_s3_installed()
    # Imported here: with its library, which is an extra, 5 MB that a folder does not need.
    from smart_filter_shared.storage.s3 import S3Store  # noqa: PLC0415

    return S3Store(settings, connections=connections)


def ensure_s3_installed() -> None:
    """Raise SetupFailed, with the command that installs it, when the library of S3 is missing."""
    try:
        importlib.import_module("minio")
    except ImportError as error:
        raise SetupFailed(f"S3 needs minio: {install_hint('s3')}") from error
