"""Endpoints for tenants: their settings and who may change them, usage, and the security log."""

import datetime as dt
from dataclasses import replace
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from sqlalchemy import Connection

from smart_filter_api.auth import api_keys, security_log
from smart_filter_api.auth.api_keys import TENANT_PATTERN, Caller
from smart_filter_api.http.documents import render_as
from smart_filter_api.intake import json_document
from smart_filter_api.problems.problem import describe_responses
from smart_filter_api.routes.keys import resolve_tenant
from smart_filter_api.schemas.operating import TenantChange
from smart_filter_api.schemas.parameters import Day
from smart_filter_api.services.callers import Administrator, Reader, RecentAdministrator
from smart_filter_api.services.container import OpenServices
from smart_filter_api.submission import recipe_parser
from smart_filter_shared.artifacts.retention import RetentionPolicy
from smart_filter_shared.errors import InsufficientScope, MalformedRequest, NotFound
from smart_filter_shared.ids import OPERATOR, Tenant
from smart_filter_shared.security.outbound_rules import OutboundRules
from smart_filter_shared.tenants import audit_log, settings, usage
from smart_filter_shared.tenants.audit_log import Actor, AuditEvent
from smart_filter_shared.tenants.settings import TenantOverrides
from smart_filter_wire.tenants import AuditPage, AuditRecord, DayUsage, TenantSettings, UsagePage

router = APIRouter(tags=["tenants"])

_TENANT = "/v1/tenants/{tenant}"
_DEFAULT_DAYS = 30
_MAX_DAYS = 366
_MAX_PAGE_SIZE = 200

_LIMITS: Final = (
    *("requests_per_minute", "jobs_waiting", "megapixels_per_day", "stored_bytes", "pictures"),
)


@router.get(
    _TENANT,
    summary="Get a tenant",
    responses=describe_responses("not_found"),
)
async def get_tenant(tenant: str, services: OpenServices, caller: Administrator) -> TenantSettings:
    """Return the overrides of the caller's tenant; the operator may name another tenant."""
    name = _resolve_tenant(caller, tenant)

    def look(connection: Connection) -> TenantOverrides:
        if not settings.is_known(connection, name):
            raise NotFound(f"there is no tenant {name}")
        return settings.read_overrides(connection, name)

    overrides = await services.database.query(look)
    return render_tenant(name, overrides)


@router.patch(
    _TENANT,
    summary="Change a tenant",
    description="Omitted fields stay; null restores the server's setting. Changes apply within a "
    "second; existing jobs keep the retention they were submitted with. Only the operator can "
    "change limits, or set a retention longer than the server's.",
    openapi_extra=json_document.describe_body(TenantChange),
    responses=describe_responses(
        *("malformed_request", "unsupported_media", "invalid_request", "invalid_recipe"),
        *("contradiction", "not_available", "sign_in_again", "not_found"),
    ),
)
async def update_tenant(
    tenant: str, request: Request, services: OpenServices, caller: RecentAdministrator
) -> TenantSettings:
    """Change the overrides of the caller's tenant; the operator may name another tenant."""
    name = _resolve_tenant(caller, tenant)
    payload = json_document.parse_document(TenantChange, await json_document.read_body(request))
    refuse_unauthorized(caller, payload, services.retention)

    overrides = await services.database.transact(
        apply_change,
        name,
        payload,
        pools=services.settings.engine.pools,
        outbound=services.outbound,
        actor=security_log.actor_of(request, caller),
    )
    services.caches.callers.forget_all()
    return render_tenant(name, overrides)


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


def _resolve_tenant(caller: Caller, name: str) -> Tenant:
    """Return the tenant that a path names.

    Raises the same NotFound for an invalid name and for another tenant, whether it exists or not.
    """
    is_own = name == caller.tenant
    if not is_own and (caller.tenant != OPERATOR or not api_keys.is_tenant_name(name)):
        raise NotFound(f"there is no tenant {name}")
    return Tenant(name)


def refuse_unauthorized(caller: Caller, change: TenantChange, usual: RetentionPolicy) -> None:
    """Check that a caller may make this change to its own tenant; the operator may make any.

    usual: the retention of tenants without overrides.
    Raises InsufficientScope for limits, and for a retention longer than the usual one.
    """
    if caller.tenant == OPERATOR:
        return
    limited = [name for name in _LIMITS if name in change.model_fields_set]
    if limited:
        raise InsufficientScope(f"{', '.join(limited)}: only the operator can change limits")
    for name, wanted, most in (
        ("keep_input_seconds", change.keep_input_seconds, usual.input_seconds),
        ("keep_result_seconds", change.keep_result_seconds, usual.result_seconds),
    ):
        if wanted is not None and wanted > most:
            raise InsufficientScope(f"{name}: only the operator can set more than {most:g} seconds")


def apply_change(
    connection: Connection,
    tenant: Tenant,
    change: TenantChange,
    *,
    pools: tuple[str, ...],
    outbound: OutboundRules | None,
    actor: Actor,
) -> TenantOverrides:
    """Change a tenant's overrides in this transaction and return the new ones.

    pools: capabilities that are declared to have workers.
    outbound: refuses backgrounds at URLs that can never be fetched; None: a worker decides.
    actor: whose line the log gets.
    Raises InvalidRecipe or a subclass for an invalid default recipe.
    """
    before = settings.lock_overrides(connection, tenant)
    wanted = change.model_dump(include=change.model_fields_set)
    overrides = TenantOverrides(
        replace(before.limits, **{name: wanted[name] for name in _LIMITS if name in wanted}),
        replace(
            before.retention,
            **{
                name: wanted[f"keep_{name}"]
                for name in ("input_seconds", "result_seconds")
                if f"keep_{name}" in wanted
            },
            nothing=bool(wanted.get("keep_nothing", before.retention.nothing)),
        ),
        (wanted["recipe"] or {}) if "recipe" in wanted else before.recipe,
        wanted.get("link_seconds", before.link_seconds),
        wanted.get("emotions", before.emotions),
    )
    if wanted.get("recipe"):
        recipe_parser.validate_stored(
            connection,
            tenant,
            overrides.recipe,
            pools=pools,
            outbound=outbound,
            with_emotions=overrides.emotions is not False,
        )
    settings.write_overrides(connection, tenant, overrides)
    audit_log.record(connection, actor, AuditEvent.TENANT_CHANGED, tenant, tenant=tenant)
    return overrides


def render_tenant(tenant: Tenant, overrides: TenantOverrides) -> TenantSettings:
    """Return the answer for a tenant."""
    return render_as(
        TenantSettings,
        overrides.limits,
        tenant=tenant,
        keep_input_seconds=overrides.retention.input_seconds,
        keep_result_seconds=overrides.retention.result_seconds,
        keep_nothing=overrides.retention.nothing,
        recipe=dict(overrides.recipe),
        link_seconds=overrides.link_seconds,
        emotions=overrides.emotions,
    )
