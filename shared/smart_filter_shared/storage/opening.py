"""Open the object store that the settings name."""

from smart_filter_shared.config.settings import StorageSettings
from smart_filter_shared.storage.folder import FolderStore
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_shared.storage.s3 import S3Store


def open_store(settings: StorageSettings, *, connections: int) -> ObjectStore:
    """Return the store of the settings, without a request to it.

    connections: of a server, kept open for reuse.
    """
    if settings.folder is not None:
        return FolderStore(settings.folder, settings.bucket)
    return S3Store(settings, connections=connections)
