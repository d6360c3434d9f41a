"""Add OpenAPI links: which operations can follow a response, with values from its body.

Source: OpenAPI 3.1.0, 4.8.20 (Link Object) and 4.8.20.3 (Runtime Expressions).
"""

import re
from collections.abc import Mapping
from typing import Any

_DERIVING = "deriveJob createCorrection listCorrections"

# By operation: the parameter that its answer fills, and from where in its body, of operations that
# can follow. They get the parameters of its own path, too.
_FOLLOWING: Mapping[str, Mapping[str, str]] = {
    "submitJob": {
        "job_id=id": "getJob streamJobEvents cancelJob redriveJob getPhoto getOutput deleteJob "
        + _DERIVING
    },
    # These operations need an ended job, which is most likely when a client reads it.
    "getJob": {"job_id=id": _DERIVING},
    "createCorrection": {"job_id=job_id": "deriveJob listCorrections"},
    "deriveJob": {"job_id=id": "getJob getOutput deleteJob"},
    "createUpload": {"upload_id=upload_id": "uploadPhoto", "": "submitJob"},
    "createBatch": {
        "batch_id=id": "getBatch streamBatchEvents cancelBatch deleteBatch",
        "job_id=items/0/job_id": "getJob deleteJob",
    },
    "cancelBatch": {"batch_id=id": "getBatch deleteBatch"},
    "redriveJob": {"job_id=id": "getJob cancelJob"},
    "cancelJob": {"job_id=id": "getJob deleteJob"},
    "createWebhook": {
        "webhook_id=id": "getWebhook updateWebhook rotateWebhookSecret deleteWebhook sendTestEvent "
        "listDeliveries replayFailedDeliveries"
    },
    "sendTestEvent": {"delivery_id=id": "replayDelivery", "": "listDeliveries"},
    "createKey": {"key_id=key_id": "revokeKey"},
    "createToken": {"key_id=key_id": "revokeKey"},
}
# Fields of the following operation's body.
_BODIES = {
    ("createCorrection", "deriveJob"): "correction_id=id",
    ("createUpload", "submitJob"): "upload_id=upload_id",
}
# Path parameters that are not ids.
_FIXED_PARAMETERS = {"getOutput": {"name": "image"}}


def add_links(paths: Mapping[str, Mapping[str, dict[str, Any]]]) -> None:
    """Add the links to the operations of a document, by path and method."""
    operations = {
        operation["operationId"]: (set(re.findall(r"{(\w+)}", path)), operation)
        for path, methods in paths.items()
        for operation in methods.values()
    }
    for after, following in _FOLLOWING.items():
        placeholders, operation = operations[after]
        for source, names in following.items():
            for to in names.split():
                needed, linked = operations[to]
                link = {
                    "operationId": to,
                    "description": linked["summary"],
                    "parameters": {
                        **{name: f"$request.path.{name}" for name in placeholders & needed},
                        **_values(source),
                        **_FIXED_PARAMETERS.get(to, {}),
                    },
                }
                if body := _BODIES.get((after, to)):
                    link["requestBody"] = _values(body)
                for status, answer in operation["responses"].items():
                    if status in {"200", "201", "202"}:
                        answer.setdefault("links", {})[to] = link


def _values(source: str) -> dict[str, str]:
    name, _, place = source.partition("=")
    return {name: f"$response.body#/{place}"} if name else {}
