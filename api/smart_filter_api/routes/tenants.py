"""Tenants: what is said of each, where not what the settings say holds."""

from fastapi import APIRouter, Request
from sqlalchemy import Connection

from smart_filter_api import documents, keys, tenant_changes
from smart_filter_api.deps import Administrator, OpenServices
from smart_filter_api.keys import Caller
from smart_filter_api.problems import documented
from smart_filter_api.schemas.defaults import TenantAnswer, TenantChange
from smart_filter_shared.errors import NotFound
from smart_filter_shared.ids import OPERATOR, Tenant
from smart_filter_shared.jobs import tenants
from smart_filter_shared.jobs.tenants import Own

router = APIRouter(prefix="/v1/tenants/{tenant}", tags=["tenants"])


@router.get(
    "",
    summary="Look at a tenant",
    responses=documented("unauthorized", "scope", "not_found", "unavailable"),
)
async def show(tenant: str, services: OpenServices, caller: Administrator) -> TenantAnswer:
    """Answer what is said of the caller's tenant, or, for the operator, of any."""
    name = _named(caller, tenant)

    def look(connection: Connection) -> Own:
        if not tenants.is_known(connection, name):
            raise NotFound(f"tenant {name}")
        return tenants.find(connection, name)

    async with services.reading() as connection:
        own = await connection.run_sync(look)
    return tenant_changes.shown(name, own)


@router.patch(
    "",
    summary="Change a tenant",
    description="What is left out stays; null: what the settings say. It holds within a "
    "second; what was submitted before is kept as long as was said then. Limits, and keeping "
    "things for longer than the settings say, are the operator's to change.",
    openapi_extra=documents.described(TenantChange),
    responses=documented(
        *("malformed_request", "unsupported_media", "invalid_request"),
        *("invalid_recipe", "contradiction"),
        *("not_available", "unauthorized", "scope", "not_found", "unavailable"),
    ),
)
async def change(
    tenant: str, request: Request, services: OpenServices, caller: Administrator
) -> TenantAnswer:
    """Say something of the caller's tenant, or, for the operator, of any."""
    name = _named(caller, tenant)
    wish = documents.parse(TenantChange, await documents.read(request))
    tenant_changes.refuse(caller, wish, services.keeping)
    async with services.transaction() as connection:
        own = await connection.run_sync(tenant_changes.make, name, wish, pools=services.pools)
    services.callers.forget_all()
    return tenant_changes.shown(name, own)


def _named(caller: Caller, name: str) -> Tenant:
    """Return the tenant that is meant.

    Raises NotFound, the same for what cannot be one, nobody and somebody else.
    """
    own = name == caller.tenant
    if not own and (caller.tenant != OPERATOR or not keys.is_tenant(name)):
        raise NotFound(f"tenant {name}")
    return Tenant(name)
