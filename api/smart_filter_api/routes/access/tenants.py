"""Endpoints for tenants: read and change the overrides of the default settings."""

from fastapi import APIRouter, Request
from sqlalchemy import Connection

from smart_filter_api.auth import api_keys, security_log
from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.intake import json_document
from smart_filter_api.problems.problem import describe_responses
from smart_filter_api.routes.access import tenant_changes
from smart_filter_api.schemas.tenants import TenantChange
from smart_filter_api.services.callers import Administrator, RecentAdministrator
from smart_filter_api.services.container import OpenServices
from smart_filter_shared.errors import NotFound
from smart_filter_shared.ids import OPERATOR, Tenant
from smart_filter_shared.tenants import settings
from smart_filter_shared.tenants.settings import TenantOverrides
from smart_filter_wire.tenants import TenantSettings

router = APIRouter(prefix="/v1/tenants/{tenant}", tags=["tenants"])


@router.get(
    "",
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
    return tenant_changes.render_tenant(name, overrides)


@router.patch(
    "",
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
    tenant_changes.refuse_unauthorized(caller, payload, services.retention)

    overrides = await services.database.transact(
        tenant_changes.apply_change,
        name,
        payload,
        pools=services.settings.engine.pools,
        outbound=services.outbound,
        actor=security_log.actor_of(request, caller),
    )
    services.caches.callers.forget_all()
    return tenant_changes.render_tenant(name, overrides)


def _resolve_tenant(caller: Caller, name: str) -> Tenant:
    """Return the tenant that a path names.

    Raises the same NotFound for an invalid name and for another tenant, whether it exists or not.
    """
    is_own = name == caller.tenant
    if not is_own and (caller.tenant != OPERATOR or not api_keys.is_tenant_name(name)):
        raise NotFound(f"there is no tenant {name}")
    return Tenant(name)
