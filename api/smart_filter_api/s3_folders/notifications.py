"""Parse notifications of object stores: S3's `Records`, as MinIO posts them too, and EventBridge.

Source: Amazon S3 User Guide, "Event message structure" and "Using EventBridge".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_plus

from smart_filter_api.http import strict_json
from smart_filter_shared.errors import MalformedRequest

# Each record costs requests to the store; a store that collects events sends them in parts.
_MAX_RECORDS: Final = 100


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
