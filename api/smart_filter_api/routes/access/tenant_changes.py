"""Authorize, validate and apply changes of a tenant's settings."""

from dataclasses import replace
from typing import Final

from sqlalchemy import Connection

from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.http.documents import render_as
from smart_filter_api.schemas.tenants import TenantChange
from smart_filter_api.submission import recipe_layers
from smart_filter_shared.artifacts.retention import RetentionPolicy
from smart_filter_shared.errors import InsufficientScope
from smart_filter_shared.ids import OPERATOR, Tenant
from smart_filter_shared.security.outbound_rules import OutboundRules
from smart_filter_shared.tenants import audit_log, settings
from smart_filter_shared.tenants.audit_log import Actor, AuditEvent
from smart_filter_shared.tenants.settings import TenantOverrides
from smart_filter_wire.tenants import TenantSettings

_LIMITS: Final = (
    *("requests_per_minute", "jobs_waiting", "megapixels_per_day", "stored_bytes", "pictures"),
)


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
        recipe_layers.validate_stored(
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
