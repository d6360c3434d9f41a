"""Endpoint of the security log."""

from typing import Annotated

from fastapi import APIRouter, Query

from smart_filter_api.auth.api_keys import TENANT_PATTERN
from smart_filter_api.http.documents import render_as
from smart_filter_api.problems.problem import describe_responses
from smart_filter_api.routes.access.keys import resolve_tenant
from smart_filter_api.services.callers import Administrator
from smart_filter_api.services.container import OpenServices
from smart_filter_shared.tenants import audit_log
from smart_filter_wire.tenants import AuditPage, AuditRecord

router = APIRouter(tags=["tenants"])

_MAX_PAGE_SIZE = 200


@router.get(
    "/v1/audit",
    summary="List security events, newest first",
    description="Sign-ins, keys, webhooks and settings of a tenant that were changed, and requests "
    "that were refused for their key, scope or origin. Refused requests are counted for a minute. "
    "The operator's tenant also has those whose tenant is not known.",
    responses=describe_responses("malformed_request"),
)
async def list_audit_events(
    services: OpenServices,
    caller: Administrator,
    *,
    tenant: Annotated[str | None, Query(pattern=TENANT_PATTERN)] = None,
    limit: Annotated[int, Query(ge=1, le=_MAX_PAGE_SIZE)] = 50,
    cursor: Annotated[str | None, Query(pattern="^[0-9]{1,18}$")] = None,
) -> AuditPage:
    """Return a page of the log of the caller's tenant; the operator may name another tenant."""
    whose = resolve_tenant(caller, tenant)
    await services.refusals.write_due(services.database.engine)
    rows = await services.database.query(
        audit_log.list_events,
        whose,
        before=None if cursor is None else int(cursor),
        limit=limit + 1,  # one more row shows whether there is another page
    )
    return AuditPage(
        items=tuple(render_as(AuditRecord, row.entry, at=row.at) for row in rows[:limit]),
        next_cursor=str(rows[limit - 1].number) if len(rows) > limit else None,
    )
