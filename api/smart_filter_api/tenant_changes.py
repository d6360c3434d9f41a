"""Changes of what is said of a tenant: who may make which, and that they can be meant."""

from dataclasses import replace
from typing import Final

from sqlalchemy import Connection

from smart_filter_api import recipe_defaults
from smart_filter_api.keys import Caller
from smart_filter_api.schemas.defaults import TenantAnswer, TenantChange
from smart_filter_shared.errors import FieldError, InvalidRecipe, OutOfScope
from smart_filter_shared.ids import OPERATOR, Tenant
from smart_filter_shared.jobs import tenants
from smart_filter_shared.jobs.retention import Keeping
from smart_filter_shared.jobs.tenants import Own

_LIMITS: Final = ("requests_per_minute", "jobs_waiting", "megapixels_per_day")
_RECIPE: Final = "/recipe"


def refuse(caller: Caller, change: TenantChange, usual: Keeping) -> None:
    """See to it that a caller may change this of its own tenant; the operator may all.

    Raises OutOfScope for limits, and for keeping things longer than usual.
    """
    if caller.tenant == OPERATOR:
        return
    limited = [name for name in _LIMITS if name in change.model_fields_set]
    if limited:
        raise OutOfScope(f"{', '.join(limited)}: only the operator says how much a tenant may do")
    for name, wanted, most in (
        ("keep_input_seconds", change.keep_input_seconds, usual.input_seconds),
        ("keep_result_seconds", change.keep_result_seconds, usual.result_seconds),
    ):
        if wanted is not None and wanted > most:
            raise OutOfScope(
                f"{name}: only the operator has things kept for longer than {most:g} seconds"
            )


def make(
    connection: Connection, tenant: Tenant, change: TenantChange, *, pools: tuple[str, ...]
) -> Own:
    """Change what is said of a tenant, in this transaction; return what is said then.

    Raises InvalidRecipe and its kinds, for a recipe that cannot be.
    """
    before = tenants.hold(connection, tenant)
    wanted = change.model_dump(include=change.model_fields_set)
    own = Own(
        replace(before.limits, **{name: wanted[name] for name in _LIMITS if name in wanted}),
        replace(
            before.keeping,
            **{
                name: wanted[f"keep_{name}"]
                for name in ("input_seconds", "result_seconds", "nothing")
                if f"keep_{name}" in wanted
            },
        ),
        (wanted["recipe"] or {}) if "recipe" in wanted else before.recipe,
    )
    if wanted.get("recipe"):
        try:
            recipe_defaults.check(connection, tenant, own.recipe, pools=pools)
        except InvalidRecipe as error:
            raise type(error)([_within_recipe(one) for one in error.errors]) from None
    tenants.say(connection, tenant, own)
    return own


def shown(tenant: Tenant, own: Own) -> TenantAnswer:
    """Return the answer about a tenant."""
    return TenantAnswer(
        tenant=tenant,
        requests_per_minute=own.limits.requests_per_minute,
        jobs_waiting=own.limits.jobs_waiting,
        megapixels_per_day=own.limits.megapixels_per_day,
        keep_input_seconds=own.keeping.input_seconds,
        keep_result_seconds=own.keeping.result_seconds,
        keep_nothing=own.keeping.nothing,
        recipe=dict(own.recipe),
    )


def _within_recipe(error: FieldError) -> FieldError:
    inside = error.pointer.removeprefix(_RECIPE)
    return FieldError(_RECIPE + inside, error.detail)
