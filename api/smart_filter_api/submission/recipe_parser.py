"""Parse the recipe of a request with the tenant's defaults, and choose its models."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.caches.recipe_cache import ParsedRecipe, RecipeCacheKey
from smart_filter_api.services.container import Services
from smart_filter_api.submission import tenant_defaults
from smart_filter_shared.catalog import emotions
from smart_filter_shared.errors import FieldError, InvalidRecipe
from smart_filter_shared.ids import Tenant
from smart_filter_shared.jobs import result_cache
from smart_filter_shared.model_registry import published_models, stage_plan
from smart_filter_shared.model_registry.published_models import PublishedModel
from smart_filter_shared.presets import PRESETS
from smart_filter_shared.recipe import fields as recipe_fields
from smart_filter_shared.recipe.fields import Fields
from smart_filter_shared.security.outbound_rules import OutboundRules
from smart_filter_shared.stock import Picture

# A photo is kept until its job ends, whatever the retention.
MAX_AHEAD_DAYS: Final = 30


async def read_recipe(
    services: Services,
    caller: Caller,
    fields: Fields,
    *,
    defaults: Mapping[str, object],
    with_background_file: bool,
    may_reload: bool = True,
) -> ParsedRecipe:
    """Parse a recipe and choose its models.  Raises InvalidRecipe and its subclasses.

    defaults: the tenant's defaults for fields that are not given (see tenant_defaults.py).
    may_reload: whether an invalid recipe is parsed again with the newest models and pictures.
    """
    published, pictures = await _read_snapshot(services, caller.tenant)
    asked = RecipeCacheKey(
        caller.tenant,
        fields,
        defaults,
        with_background_file,
        published,
        pictures,
        why_emotions_off(services, caller),
    )
    signs = services.settings.provenance.certificate is not None
    parse = partial(_parse_fields, services.outbound, signs)
    try:
        return _check_start(services, services.caches.recipes.get(asked, parse))
    except InvalidRecipe:
        if not may_reload:
            raise
        # The requested model or picture may be newer than the cache: reload and try again.
        services.caches.models.forget()
        services.caches.stock.forget(caller.tenant)
    published, pictures = await _read_snapshot(services, caller.tenant)
    asked = replace(asked, published=published, pictures=pictures)
    return _check_start(services, services.caches.recipes.get(asked, parse))


def _check_start(services: Services, parsed_recipe: ParsedRecipe) -> ParsedRecipe:
    """Return the recipe.  Raises InvalidRecipe when its job would keep its photo for too long."""
    if services.eta.seconds_until(parsed_recipe.recipe.run_at) > MAX_AHEAD_DAYS * 24 * 3600:
        detail = f"is more than {MAX_AHEAD_DAYS} days ahead; submit the job later"
        raise InvalidRecipe([FieldError("/run_at", detail)])
    return parsed_recipe


async def list_known(services: Services) -> Sequence[PublishedModel]:
    """Return every published model, as it was some seconds ago."""
    return await services.caches.models.get(lambda: _read_models(services))


def why_emotions_off(services: Services, caller: Caller) -> str | None:
    """Return why models that read emotions are turned off for a caller; None: they are not."""
    if not services.settings.engine.emotions:
        return emotions.OFF
    return emotions.OFF_FOR_TENANT if caller.emotions is False else None


async def _read_snapshot(
    services: Services, tenant: Tenant
) -> tuple[Sequence[PublishedModel], Sequence[Picture]]:
    """Return every published model and the pictures that a tenant may use."""
    return await list_known(services), await services.pictures(tenant)


def _parse_fields(
    outbound: OutboundRules,
    signs: bool,  # noqa: FBT001 - partial
    asked: RecipeCacheKey,
) -> ParsedRecipe:
    published = asked.published
    if asked.emotions_off is not None:
        published = published_models.without_emotions(published, why=asked.emotions_off)
    parse = partial(
        recipe_fields.parse,
        offered=published_models.list_offered(published),
        faults=published_models.list_faults(published),
        presets=[*PRESETS, *(picture.preset for picture in asked.pictures)],
        with_background_file=asked.with_background_file,
        outbound=outbound,
        signs=signs,
    )
    recipe = tenant_defaults.apply_defaults(
        asked.defaults, asked.fields, parse, with_background_file=asked.with_background_file
    )
    plans = stage_plan.plan_stages(published, recipe)
    cache_keys = result_cache.cache_keys(recipe, plans, published, asked.pictures)
    return ParsedRecipe(recipe, plans, cache_keys, published, asked.pictures)


async def _read_models(services: Services) -> list[PublishedModel]:
    async with services.database.reading() as connection:
        return await connection.run_sync(
            published_models.list_models, pools=services.settings.engine.pools
        )
