"""Parse the recipe of a request with saved recipes and defaults, and choose its models."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.caches import ParsedRecipe, RecipeCacheKey, RecipeLayer
from smart_filter_api.services.container import Services
from smart_filter_api.submission import recipe_layers
from smart_filter_api.submission.recipe_layers import RECIPE
from smart_filter_shared import stock
from smart_filter_shared.catalog import emotions
from smart_filter_shared.catalog.scalars import as_list, as_text, quote_value
from smart_filter_shared.errors import FieldError, InvalidRecipe
from smart_filter_shared.ids import Tenant
from smart_filter_shared.jobs import result_cache
from smart_filter_shared.model_registry import published_models, stage_plan
from smart_filter_shared.model_registry.published_models import PublishedModel
from smart_filter_shared.presets import PRESETS, Style, season_of
from smart_filter_shared.recipe import fields as recipe_fields
from smart_filter_shared.recipe.built_in import built_in_recipes
from smart_filter_shared.recipe.fields import Fields
from smart_filter_shared.recipe.words import json_pointer
from smart_filter_shared.security.outbound_rules import OutboundRules
from smart_filter_shared.stock import Picture
from smart_filter_shared.suggestions import did_you_mean
from smart_filter_shared.tenants import saved_recipes

# A photo is kept until its job ends, whatever the retention.
MAX_AHEAD_DAYS: Final = 30
# Saved recipes of one request: such as a brand, a place to post, and the size of a print.
_MAX_NAMES: Final = 4


async def read_recipe(
    services: Services,
    caller: Caller,
    fields: Fields,
    *,
    layers: Sequence[RecipeLayer],
    with_background_file: bool,
    may_reload: bool = True,
) -> ParsedRecipe:
    """Parse a recipe and choose its models.  Raises InvalidRecipe and its subclasses.

    fields: `recipe` among them names saved recipes.
    layers: fields that are weaker than the saved recipes, the weakest first.
    may_reload: whether an invalid recipe is parsed again with the newest models and pictures.
    """
    saved = await saved_layers(services, caller.tenant, fields, may_reload=may_reload)
    published, pictures = await _read_snapshot(services, caller.tenant)
    asked = RecipeCacheKey(
        caller.tenant,
        {name: value for name, value in fields.items() if name != RECIPE},
        [*layers, *saved],
        with_background_file,
        published,
        pictures,
        why_emotions_off(services, caller),
        season_of(dt.datetime.now(dt.UTC).date()),
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


async def saved_layers(
    services: Services, tenant: Tenant, fields: Fields, *, may_reload: bool = True
) -> list[RecipeLayer]:
    """Return the saved recipes that a request names, the weakest first.

    may_reload: whether an unknown name is looked up again.  Raises InvalidRecipe.
    """
    texts = [as_text(value) for value in as_list(fields.get(RECIPE, ()))]
    names = [name for text in texts for part in text.split(",") if (name := part.strip())]
    if len(names) > _MAX_NAMES:
        detail = f"is {len(names)} names; at most {_MAX_NAMES} saved recipes are allowed"
        raise InvalidRecipe([FieldError(json_pointer(RECIPE), detail)])
    layers = []
    for name in dict.fromkeys(names):
        saved = await _find_saved(services, tenant, name)
        if saved is None and may_reload:
            services.caches.saved_recipes.forget((tenant, name))
            saved = await _find_saved(services, tenant, name)
        if saved is None:
            raise await _unknown_name(services, tenant, name)
        layers.append(RecipeLayer(saved, f" (this is from the saved recipe {name})"))
    return layers


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
        presets=[*PRESETS, *stock.presets_of(asked.pictures)],
        logos=stock.logos_of(asked.pictures),
        with_background_file=asked.with_background_file,
        outbound=outbound,
        signs=signs,
    )
    recipe = recipe_layers.merge_layers(
        asked.layers, asked.fields, parse, with_background_file=asked.with_background_file
    )
    if recipe.style == Style.SEASONAL:
        recipe = replace(recipe, style=asked.season)
    plans = stage_plan.plan_stages(published, recipe)
    cache_keys = result_cache.cache_keys(recipe, plans, published, asked.pictures)
    return ParsedRecipe(recipe, plans, cache_keys, published, asked.pictures)


async def _find_saved(services: Services, tenant: Tenant, name: str) -> Mapping[str, object] | None:
    """Return the fields of a tenant's saved recipe, else of the built-in one of that name."""

    async def ask() -> Mapping[str, object] | None:
        saved = await services.database.query(saved_recipes.find_recipe, tenant, name)
        return None if saved is None else saved.fields

    if not saved_recipes.is_name(name):
        return None
    fields = await services.caches.saved_recipes.get((tenant, name), ask)
    built_in = built_in_recipes().get(name)
    return built_in.fields if fields is None and built_in is not None else fields


async def _unknown_name(services: Services, tenant: Tenant, name: str) -> InvalidRecipe:
    names = await services.database.query(saved_recipes.list_names, tenant)
    near = did_you_mean(name, [*names, *built_in_recipes()])
    detail = f"{quote_value(name)} is not a saved recipe that GET /v1/recipes lists{near}"
    return InvalidRecipe([FieldError(json_pointer(RECIPE), detail)])


async def _read_models(services: Services) -> list[PublishedModel]:
    return await services.database.query(
        published_models.list_models, pools=services.settings.engine.pools
    )
