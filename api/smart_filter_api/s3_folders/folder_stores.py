"""The buckets of S3 folders, the names of their objects, events about these, and their recipes.

Events are S3's `Records`, as MinIO posts them too, and those of EventBridge.
Source: Amazon S3 User Guide, "Event message structure" and "Using EventBridge".
"""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_plus

from smart_filter_api.http import strict_json
from smart_filter_api.submission.recipe_parser import RECIPE
from smart_filter_shared.config.settings import S3FolderSettings, Settings
from smart_filter_shared.config.values import S3Folder
from smart_filter_shared.errors import (
    Contradiction,
    InvalidRecipe,
    MalformedRequest,
    NotAvailable,
    SetupFailed,
)
from smart_filter_shared.recipe import CHOOSABLE_TASKS, Output
from smart_filter_shared.recipe import fields as recipe_fields
from smart_filter_shared.storage.objects import ObjectStore, StoredObject
from smart_filter_shared.storage.opening import open_store

REPORT_SUFFIX: Final = ".error.json"
# Source: Amazon S3 User Guide, "Naming Amazon S3 objects".
_MAX_KEY_BYTES: Final = 1024
_CONNECTIONS: Final = 8
# Lists of objects are XML 1.0, which has none of these.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffe\uffff]")
_DOTS: Final = frozenset({".", ".."})

# Saved recipes, logos and models are added while the service runs.
_LATER: Final = frozenset({*CHOOSABLE_TASKS, RECIPE, "logo"})
_STORED: Final = ("tenant/", "site/")

# Each record costs requests to the store; a store that collects events sends them in parts.
_MAX_RECORDS: Final = 100


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


def check_recipes(settings: S3FolderSettings) -> None:
    """Raise SetupFailed when a recipe has an unknown field, or a value that is never valid."""
    for folder in settings.folders:
        try:
            _check(folder)
        except (Contradiction, NotAvailable):
            continue  # the tenant's defaults decide
        except (InvalidRecipe, ValueError) as error:
            raise SetupFailed(
                f"SMART_FILTER_S3_FOLDERS: the recipe of {folder.source} is not valid: {error}"
            ) from None


def _check(folder: S3Folder) -> None:
    """Raise InvalidRecipe and its subclasses, and ValueError for what is no query of a URL."""
    given = folder.fields
    later = {*_LATER, *({"filters"} - given.keys())}
    if any(word in str(given.get("background")) for word in _STORED):
        later.add("background")
    recipe = recipe_fields.parse(recipe_fields.drop_replaced(given, later), offered={})
    if "outputs" in given and Output.IMAGE not in recipe.outputs:
        raise ValueError("it lacks the output image")


@dataclass(frozen=True, slots=True)
class ChangedObject:
    """An object that was put or removed.  key: decoded."""

    bucket: str
    key: str


def parse_notification(body: bytes) -> list[ChangedObject]:
    """Return the objects that a notification names; none for a test message.

    Nothing else is read: the object itself shows its size and its version.
    Raises MalformedRequest.
    """
    document = strict_json.read_object(body)
    detail = document.get("detail")
    if isinstance(detail, dict):
        return [_changed_object(detail, is_encoded=False)]
    records = document.get("Records", [])
    if not isinstance(records, list) or len(records) > _MAX_RECORDS:
        raise MalformedRequest(f"Records is not a list of at most {_MAX_RECORDS}")
    return [
        _changed_object(record.get("s3") if isinstance(record, dict) else None, is_encoded=True)
        for record in records
    ]


def _changed_object(entry: object, *, is_encoded: bool) -> ChangedObject:
    bucket, key = _text(entry, "bucket", "name"), _text(entry, "object", "key")
    if is_encoded:
        try:
            key = unquote_plus(key, errors="strict")
        except UnicodeDecodeError:
            raise MalformedRequest("an object's key is not UTF-8") from None
    return ChangedObject(bucket, key)


def _text(entry: object, part: str, name: str) -> str:
    within: Mapping[str, Any] = entry if isinstance(entry, dict) else {}
    inner = within.get(part)
    value = inner.get(name) if isinstance(inner, dict) else None
    if not isinstance(value, str):
        raise MalformedRequest(f"a record has no {part}.{name}; send notifications of S3 unchanged")
    return value
