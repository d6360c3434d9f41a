"""Endpoints for a tenant's daily usage and its security log."""

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Query

from smart_filter_api.auth.api_keys import TENANT_PATTERN
from smart_filter_api.http.documents import render_as
from smart_filter_api.problems.problem import describe_responses
from smart_filter_api.routes.access.keys import resolve_tenant
from smart_filter_api.schemas.parameters import Day
from smart_filter_api.services.callers import Administrator, Reader
from smart_filter_api.services.container import OpenServices
from smart_filter_shared.errors import MalformedRequest
from smart_filter_shared.tenants import audit_log, usage
from smart_filter_wire.tenants import AuditPage, AuditRecord, DayUsage, UsagePage

router = APIRouter(tags=["tenants"])

_DEFAULT_DAYS = 30
_MAX_DAYS = 366


@router.get(
    "/v1/usage",
    summary="List daily usage",
    description="A job counts on the day in UTC on which it ends, and appears within a few "
    f"seconds. The range includes both days and has at most {_MAX_DAYS} days.",
    responses=describe_responses("malformed_request"),
)
async def get_usage(
    services: OpenServices,
    caller: Reader,
    *,
    first: Annotated[
        Day | None, Query(alias="from", description=f"First day; default {_DEFAULT_DAYS} days ago")
    ] = None,
    last: Annotated[Day | None, Query(alias="to", description="Last day; default today")] = None,
) -> UsagePage:
    """Return the days on which jobs of the caller's tenant ended, and their usage."""
    until = last or dt.datetime.now(dt.UTC).date()
    since = first or max(dt.date.min + dt.timedelta(_DEFAULT_DAYS), until) - dt.timedelta(
        _DEFAULT_DAYS
    )
    if not 0 <= (until - since).days < _MAX_DAYS:
        raise MalformedRequest(
            f"`from` to `to` is not a range of 1 to {_MAX_DAYS} days", pointer="/from"
        )
    days = await services.database.query(usage.list_days, caller.tenant, since, until)
    return UsagePage(
        items=tuple(
            render_as(DayUsage, day.whole, day=day.day, by_state=day.by_state) for day in days
        ),
        record_seconds=services.settings.keep.record_seconds or None,
    )


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
