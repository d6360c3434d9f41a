"""What can be asked next with what an answer tells: OpenAPI's links between operations.

Source: OpenAPI 3.1.0, 4.8.20 (Link Object) and 4.8.20.3 (Runtime Expressions).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_BODY = "$response.body#"
_JOB = {"job_id": f"{_BODY}/id"}
_WEBHOOK = {"webhook_id": f"{_BODY}/id"}
_SAME_WEBHOOK = {"webhook_id": "$request.path.webhook_id"}


@dataclass(frozen=True, slots=True)
class Link:
    """Operations that follow one, by their operationIds.

    parameters: what each of them is given, as runtime expressions.
    """

    after: str
    statuses: Sequence[int]
    to: Sequence[str]
    parameters: Mapping[str, str]


_OF_JOBS = tuple("jobs_show jobs_follow jobs_cancel jobs_redrive outputs_fetch jobs_delete".split())

LINKS: Sequence[Link] = (
    Link("jobs_create", (200, 202), _OF_JOBS, _JOB),
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
# What paths name beside ids.
_FIXED: Mapping[str, Mapping[str, str]] = {"outputs_fetch": {"name": "image"}}


def add(operations: Mapping[str, dict[str, Any]]) -> None:
    """Write the links into operations, which are given by their operationIds."""
    for link in LINKS:
        for status in link.statuses:
            answer = operations[link.after]["responses"][str(status)]
            for to in link.to:
                answer.setdefault("links", {})[to] = {
                    "operationId": to,
                    "description": operations[to]["summary"],
                    "parameters": {**link.parameters, **_FIXED.get(to, {})},
                }
