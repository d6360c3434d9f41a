"""Add OpenAPI links: which operations can follow a response, with values from its body.

Source: OpenAPI 3.1.0, 4.8.20 (Link Object) and 4.8.20.3 (Runtime Expressions).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_BODY = "$response.body#"
_JOB = {"job_id": f"{_BODY}/id"}
_BATCH = {"batch_id": f"{_BODY}/id"}
_WEBHOOK = {"webhook_id": f"{_BODY}/id"}
_SAME_WEBHOOK = {"webhook_id": "$request.path.webhook_id"}


@dataclass(frozen=True, slots=True)
class Link:
    """Links from the responses of one operation to others, all by operationId.

    parameters, body: values for the linked operations, as runtime expressions.
    """

    after: str
    statuses: Sequence[int]
    to: Sequence[str]
    parameters: Mapping[str, str]
    body: Mapping[str, str] | None = None


_JOB_OPERATIONS = tuple(
    "getJob streamJobEvents cancelJob redriveJob getPhoto getOutput deleteJob".split()
)
_DERIVE_OPERATIONS = ("deriveJob", "createCorrection", "listCorrections")
_BATCH_OPERATIONS = ("getBatch", "streamBatchEvents", "cancelBatch", "deleteBatch")

LINKS: Sequence[Link] = (
    Link("submitJob", (200, 202), _JOB_OPERATIONS, _JOB),
    Link("submitJob", (200, 202), _DERIVE_OPERATIONS, _JOB),
    # These operations need an ended job, which is most likely when a client reads it.
    Link("getJob", (200,), _DERIVE_OPERATIONS, _JOB),
    Link(
        "createCorrection",
        (201,),
        ("deriveJob",),
        {"job_id": f"{_BODY}/job_id"},
        {"correction_id": f"{_BODY}/id"},
    ),
    Link("createCorrection", (201,), ("listCorrections",), {"job_id": f"{_BODY}/job_id"}),
    Link("deriveJob", (200, 202), ("getJob", "getOutput", "deleteJob"), _JOB),
    Link("createUpload", (201,), ("uploadPhoto",), {"upload_id": f"{_BODY}/upload_id"}),
    Link("createUpload", (201,), ("submitJob",), {}, {"upload_id": f"{_BODY}/upload_id"}),
    Link("createBatch", (200, 202), _BATCH_OPERATIONS, _BATCH),
    Link(
        "createBatch",
        (200, 202),
        ("getJob", "deleteJob"),
        {"job_id": f"{_BODY}/items/0/job_id"},
    ),
    Link("cancelBatch", (200,), ("getBatch", "deleteBatch"), _BATCH),
    Link("redriveJob", (202,), ("getJob", "cancelJob"), _JOB),
    Link("cancelJob", (200,), ("getJob", "deleteJob"), _JOB),
    Link(
        "createWebhook",
        (201,),
        (
            *("getWebhook", "updateWebhook", "rotateWebhookSecret", "deleteWebhook"),
            *("sendTestEvent", "listDeliveries", "replayFailedDeliveries"),
        ),
        _WEBHOOK,
    ),
    Link(
        "sendTestEvent",
        (202,),
        ("replayDelivery",),
        {**_SAME_WEBHOOK, "delivery_id": f"{_BODY}/id"},
    ),
    Link("sendTestEvent", (202,), ("listDeliveries",), _SAME_WEBHOOK),
    Link("createKey", (201,), ("revokeKey",), {"key_id": f"{_BODY}/key_id"}),
    Link("createToken", (201,), ("revokeKey",), {"key_id": f"{_BODY}/key_id"}),
)
# Path parameters that are not ids.
_FIXED_PARAMETERS: Mapping[str, Mapping[str, str]] = {"getOutput": {"name": "image"}}


def add_links(operations: Mapping[str, dict[str, Any]]) -> None:
    """Add the links to operations, which are keyed by operationId."""
    for link in LINKS:
        for status in link.statuses:
            answer = operations[link.after]["responses"][str(status)]
            for to in link.to:
                answer.setdefault("links", {})[to] = {
                    "operationId": to,
                    "description": operations[to]["summary"],
                    "parameters": {**link.parameters, **_FIXED_PARAMETERS.get(to, {})},
                    **({} if link.body is None else {"requestBody": dict(link.body)}),
                }
