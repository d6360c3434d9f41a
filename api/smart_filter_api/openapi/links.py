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
    "jobs_show jobs_follow jobs_cancel jobs_redrive photo_fetch outputs_fetch jobs_delete".split()
)
_DERIVE_OPERATIONS = ("derive_derive", "derive_correct", "derive_list_corrections")
_BATCH_OPERATIONS = ("batches_show", "batches_follow", "batches_cancel", "batches_delete")

LINKS: Sequence[Link] = (
    Link("jobs_create", (200, 202), _JOB_OPERATIONS, _JOB),
    Link("jobs_create", (200, 202), _DERIVE_OPERATIONS, _JOB),
    # These operations need an ended job, which is most likely when a client reads it.
    Link("jobs_show", (200,), _DERIVE_OPERATIONS, _JOB),
    Link(
        "derive_correct",
        (201,),
        ("derive_derive",),
        {"job_id": f"{_BODY}/job_id"},
        {"correction_id": f"{_BODY}/id"},
    ),
    Link("derive_correct", (201,), ("derive_list_corrections",), {"job_id": f"{_BODY}/job_id"}),
    Link("derive_derive", (200, 202), ("jobs_show", "outputs_fetch", "jobs_delete"), _JOB),
    Link("uploads_create", (201,), ("uploads_put",), {"upload_id": f"{_BODY}/upload_id"}),
    Link("uploads_create", (201,), ("jobs_create",), {}, {"upload_id": f"{_BODY}/upload_id"}),
    Link("batches_create", (200, 202), _BATCH_OPERATIONS, _BATCH),
    Link(
        "batches_create",
        (200, 202),
        ("jobs_show", "jobs_delete"),
        {"job_id": f"{_BODY}/items/0/job_id"},
    ),
    Link("batches_cancel", (200,), ("batches_show", "batches_delete"), _BATCH),
    Link("jobs_redrive", (202,), ("jobs_show", "jobs_cancel"), _JOB),
    Link("jobs_cancel", (200,), ("jobs_show", "jobs_delete"), _JOB),
    Link(
        "webhooks_create",
        (201,),
        (
            *("webhooks_show", "webhooks_change", "webhooks_rotate", "webhooks_delete"),
            *("deliveries_send_test", "deliveries_list", "deliveries_replay_failed"),
        ),
        _WEBHOOK,
    ),
    Link(
        "deliveries_send_test",
        (202,),
        ("deliveries_replay",),
        {**_SAME_WEBHOOK, "delivery_id": f"{_BODY}/id"},
    ),
    Link("deliveries_send_test", (202,), ("deliveries_list",), _SAME_WEBHOOK),
    Link("keys_issue", (201,), ("keys_revoke",), {"key_id": f"{_BODY}/key_id"}),
    Link("keys_issue_for_device", (201,), ("keys_revoke",), {"key_id": f"{_BODY}/key_id"}),
)
# Path parameters that are not ids.
_FIXED_PARAMETERS: Mapping[str, Mapping[str, str]] = {"outputs_fetch": {"name": "image"}}


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
