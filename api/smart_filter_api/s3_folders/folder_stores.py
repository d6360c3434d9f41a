"""The buckets of S3 folders, and the names of their objects."""

import datetime as dt
import re
from typing import Final

from smart_filter_shared.config.settings import Settings
from smart_filter_shared.config.values import S3Folder
from smart_filter_shared.storage.objects import ObjectStore, StoredObject
from smart_filter_shared.storage.opening import open_store

REPORT_SUFFIX: Final = ".error.json"
# Source: Amazon S3 User Guide, "Naming Amazon S3 objects".
_MAX_KEY_BYTES: Final = 1024
_CONNECTIONS: Final = 8
# Lists of objects are XML 1.0, which has none of these.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffe\uffff]")
_DOTS: Final = frozenset({".", ".."})


class FolderStores:
    """The buckets of all S3 folders, opened when they are first used.

    Raises SetupFailed, as `S3FolderSettings.server` does.
    """

    def __init__(self, settings: Settings) -> None:
        self._server = settings.s3_folders.server(settings.storage)
        self._stores: dict[str, ObjectStore] = {}

    def __getitem__(self, bucket: str) -> ObjectStore:
        """Return a bucket."""
        if bucket not in self._stores:
            server = self._server.model_copy(update={"bucket": bucket})
            self._stores[bucket] = open_store(server, connections=_CONNECTIONS)
        return self._stores[bucket]


def version_of(stored: StoredObject) -> str:
    """Return a text that changes when an object is put again, even with the same bytes."""
    # Lists of objects and headers differ in fractions of a second.
    return f"{stored.etag} {stored.written_at.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S}"


def is_inside(folder: S3Folder, bucket: str, key: str) -> bool:
    """Whether an object is a file of a folder's source; keys with / at the end are folders."""
    its_bucket, prefix = folder.source_prefix
    return bucket == its_bucket and key.startswith(prefix) and not key.endswith("/")


def target_of(folder: S3Folder, key: str) -> str:
    """Return the bucket and the key of an object's result, joined by a slash."""
    bucket, prefix = folder.target_prefix
    return f"{bucket}/{prefix}{key.removeprefix(folder.source_prefix[1])}"


def describe_bad_key(key: str, target: str) -> str | None:
    """Return why an object with this key cannot be read, or its result not written."""
    if _DOTS.intersection(key.split("/")):
        # HTTP libraries resolve these, and would read or write another object.
        return "a part of the key is . or .."
    if _CONTROL.search(key) is not None:
        return "the key has control characters"
    longest = len(f"{target.partition('/')[2]}{REPORT_SUFFIX}".encode())
    return (
        f"the key of the result is over {_MAX_KEY_BYTES} bytes"
        if longest > _MAX_KEY_BYTES
        else None
    )
