"""Report what callers do to the security log of their tenant and to the log of the process."""

from typing import Final

from fastapi import Request
from sqlalchemy import Connection
from starlette.types import Scope

from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.auth.refusal_log import RefusalLog
from smart_filter_shared.ids import OPERATOR, Tenant
from smart_filter_shared.security.client_network import client_network
from smart_filter_shared.tenants import audit_log
from smart_filter_shared.tenants.audit_log import Actor, AuditEntry, AuditEvent

_EVENT_OF_PROBLEM: Final = {
    "unauthorized": AuditEvent.KEY_REFUSED,
    "scope": AuditEvent.SCOPE_REFUSED,
    "csrf": AuditEvent.CSRF_REFUSED,
}
_KEY_HEADERS: Final = (b"authorization", b"x-api-key")
_SIGN_IN: Final = ("POST", "/v1/session")


def record(
    connection: Connection,
    request: Request,
    caller: Caller,
    event: AuditEvent,
    subject: object = None,
    *,
    tenant: Tenant | None = None,
    count: int = 1,
) -> None:
    """Log what a caller does, in the transaction that does it; others: as in `audit_log.record`."""
    audit_log.record(
        connection, actor_of(request, caller), event, subject, tenant=tenant, count=count
    )


def actor_of(request: Request, caller: Caller) -> Actor:
    """Return the actor that the log names for a request."""
    return Actor(caller.tenant, caller.key_id, client_network(request.scope))


def count_refusal(refusals: RefusalLog, scope: Scope, problem: str | None) -> None:
    """Count a request that was refused for its key, scope or origin; others are not counted.

    problem: the code of the answer; None for a request that was not refused.
    """
    event = None if problem is None else _EVENT_OF_PROBLEM.get(problem)
    if event is None:
        return
    if event is AuditEvent.KEY_REFUSED:
        if (scope["method"], scope["path"]) == _SIGN_IN:
            event = AuditEvent.SIGN_IN_FAILED
        elif not any(name in _KEY_HEADERS for name, _ in scope["headers"]):
            return  # a page that asks whether it is signed in
    caller: Caller | None = scope["state"]["caller"]
    refusals.count(
        AuditEntry(
            OPERATOR if caller is None else caller.tenant,
            event,
            key_id=None if caller is None else caller.key_id,
            network=client_network(scope),
        )
    )
