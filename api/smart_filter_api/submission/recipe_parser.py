"""Parse the recipe of a request with saved recipes and defaults, and choose its models.

Fields of the request take precedence over saved recipes, and those over defaults. A `background`,
`filters` or a task's `model` of a layer also drops all weaker fields about the same subject, and a
field that contradicts a stronger layer is dropped. Stored fields are validated when they are set,
by the same rules as any recipe.
"""

import contextlib
import datetime as dt
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from sqlalchemy import Connection

from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.caches import ParsedRecipe, RecipeCacheKey, RecipeLayer
from smart_filter_api.intake import json_body
from smart_filter_api.services.container import Services
from smart_filter_shared import stock
from smart_filter_shared.catalog import emotions
from smart_filter_shared.catalog.scalars import Value, as_list, as_text, quote_value
from smart_filter_shared.errors import Contradiction, FieldError, InvalidRecipe
from smart_filter_shared.ids import Tenant
from smart_filter_shared.jobs import result_cache
from smart_filter_shared.model_registry import published_models, stage_plan
from smart_filter_shared.model_registry.published_models import PublishedModel
from smart_filter_shared.presets import PRESETS, Style, season_of
from smart_filter_shared.recipe import BackgroundKind, Recipe
from smart_filter_shared.recipe import fields as recipe_fields
from smart_filter_shared.recipe.declaration import json_pointer
from smart_filter_shared.recipe.fields import Fields
from smart_filter_shared.security.outbound_rules import OutboundRules
from smart_filter_shared.stock import Picture
from smart_filter_shared.suggestions import did_you_mean
from smart_filter_shared.tenants import saved_recipes
from smart_filter_shared.tenants.saved_recipes import built_in_recipes

# A photo is kept until its job ends, whatever the retention.
MAX_AHEAD_DAYS: Final = 30
# Saved recipes of one request: such as a brand, a place to post, and the size of a print.
_MAX_NAMES: Final = 4

# The field that names saved recipes.
RECIPE: Final = "recipe"
# Fields that cannot be stored for later requests, and why.
_NOT_ALLOWED = {
    "run_at": "is a point in time; omit it",
    RECIPE: "names a saved recipe, which stored fields cannot: write its fields here",
}
_NO_FILE = (
    "is a file, which is sent with a photo: add the picture with `smart-filter backgrounds add`, "
    "and name it with preset:tenant/NAME"
)
# NUL as JSON writes it: an odd number of backslashes. An even number is text.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


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
    recipe = merge_layers(
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


def merge_layers(
    layers: Sequence[RecipeLayer],
    sent: Fields,
    read: Callable[[Fields], Recipe],
    *,
    with_background_file: bool = False,
) -> Recipe:
    """Merge layers into the fields of a request and return the recipe.

    layers: the weakest first.  sent: fields of the request.  read: parses fields.
    with_background_file: whether the request has a background file, which drops other backgrounds.
    Raises the errors of `read`; their details mention when a layer is at fault.
    """
    replaced = {*sent, "background"} if with_background_file else {*sent}
    left: dict[str, Value] = {}
    hints: dict[str, str] = {}
    for layer in layers:
        fields = recipe_fields.drop_replaced(json_body.read_fields(layer.fields), replaced)
        left = {**recipe_fields.drop_replaced(left, fields), **fields}
        hints |= dict.fromkeys(fields, layer.hint)
    strength = [layer.hint for layer in layers]
    while True:
        try:
            return read({**left, **sent})
        except Contradiction as error:
            at_fault = _fields_at_fault(left, error)
            if not at_fault:
                raise
            weakest = min(strength.index(hints[name]) for name in at_fault)
            for name in at_fault:
                if hints[name] == strength[weakest]:
                    del left[name]
        except InvalidRecipe as error:
            ours = {json_pointer(name): hints[name] for name in _fields_at_fault(left, error)}
            raise type(error)(
                [
                    FieldError(fault.pointer, fault.detail + ours.get(fault.pointer, ""))
                    for fault in error.errors
                ]
            ) from None


def validate_stored(
    connection: Connection,
    tenant: Tenant,
    stored: object,
    *,
    pools: Collection[str],
    outbound: OutboundRules | None,
    with_emotions: bool,
) -> None:
    """Check that fields are valid as a tenant's defaults, or as a saved recipe.

    pools: capabilities that are declared to have workers.  outbound: as in `fields.parse`.
    with_emotions: whether the tenant allows models that read emotions.
    Raises InvalidRecipe and its subclasses, whose pointers begin with `/recipe`, MalformedRequest.
    """
    with _pointing_below_recipe():
        if not _can_be_stored(stored):
            raise InvalidRecipe([FieldError("", "contains NUL or lone surrogates; remove them")])
        published = published_models.list_models(connection, pools=pools)
        if not with_emotions:
            published = published_models.without_emotions(published, why=emotions.OFF_FOR_TENANT)
        fields = json_body.read_fields(stored)
        if isinstance(stored, dict):  # another value is refused, or null
            json_body.refuse_lists(stored)
        _refuse_unstorable(fields)
        pictures = stock.list_usable(connection, tenant)
        recipe_fields.parse(
            fields,
            offered=published_models.list_offered(published),
            faults=published_models.list_faults(published),
            presets=[*PRESETS, *stock.presets_of(pictures)],
            logos=stock.logos_of(pictures),
            outbound=outbound,
        )


def check_stored_size(stored: object, *, most: int) -> None:
    """Raise InvalidRecipe when stored fields have more than `most` bytes as JSON."""
    length = len(json.dumps(stored, ensure_ascii=False).encode())
    if length > most:
        raise InvalidRecipe([FieldError("/recipe", f"has {length} bytes; at most {most} fit")])


@contextlib.contextmanager
def _pointing_below_recipe() -> Iterator[None]:
    """Let the pointers of invalid fields begin with `/recipe`."""
    try:
        yield
    except InvalidRecipe as error:
        raise type(error)(
            [
                FieldError("/recipe" + fault.pointer.removeprefix("/recipe"), fault.detail)
                for fault in error.errors
            ]
        ) from None


def _refuse_unstorable(fields: Fields) -> None:
    never = [
        FieldError(json_pointer(name), why) for name, why in _NOT_ALLOWED.items() if name in fields
    ]
    if fields.get("background") == [str(BackgroundKind.FILE)]:
        never.append(FieldError("/background", _NO_FILE))
    if never:
        raise InvalidRecipe(never)


def _can_be_stored(stored: object) -> bool:
    """Return whether PostgreSQL can store a document: jsonb holds no NUL and no lone surrogate."""
    written = json.dumps(stored, ensure_ascii=False)
    try:
        written.encode()
    except UnicodeEncodeError:
        return False
    return _NUL.search(written) is None


def _fields_at_fault(fields: Fields, error: InvalidRecipe) -> list[str]:
    """Return the names of the fields that an error points to."""
    pointers = {fault.pointer for fault in error.errors}
    return [name for name in fields if json_pointer(name) in pointers]
