"""Endpoints for saved recipes: list, get, save and delete them."""

from typing import Final

from fastapi import APIRouter, Request, Response, status
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection

from smart_filter_api.auth import security_log
from smart_filter_api.http.documents import render_as
from smart_filter_api.intake import json_document
from smart_filter_api.problems.problem import describe_responses
from smart_filter_api.schemas.recipe import RecipeFields
from smart_filter_api.services.callers import Reader, RecentAdministrator
from smart_filter_api.services.container import OpenServices
from smart_filter_api.submission import recipe_parser
from smart_filter_shared import stock
from smart_filter_shared.catalog.scalars import quote_value
from smart_filter_shared.errors import FieldError, InvalidRequest, NotFound
from smart_filter_shared.tenants import saved_recipes
from smart_filter_shared.tenants.audit_log import AuditEvent
from smart_filter_shared.tenants.saved_recipes import BuiltInRecipe, SavedRecipe, built_in_recipes
from smart_filter_wire import catalog as wire
from smart_filter_wire.catalog import SavedRecipePage


class SaveRecipeRequest(BaseModel):
    """A recipe to save."""

    model_config = ConfigDict(extra="forbid")

    recipe: RecipeFields


router = APIRouter(prefix="/v1/recipes", tags=["recipes"])

_TOO_MANY: Final = (
    f"would be one more than {saved_recipes.MAX_RECIPES} recipes; delete one that is not used"
)


@router.get("", summary="List the saved recipes", responses=describe_responses())
async def list_recipes(services: OpenServices, caller: Reader) -> SavedRecipePage:
    """Return the recipes that the caller's submissions can name: its tenant's and built-in ones."""
    saved = await services.database.query(saved_recipes.list_recipes, caller.tenant)
    names = {recipe.name for recipe in saved}
    built_in = [
        _render_built_in(name, recipe)
        for name, recipe in built_in_recipes().items()
        if name not in names
    ]
    return SavedRecipePage(
        items=(*map(_render_saved, saved), *built_in),
        logos=tuple(stock.logos_of(await services.pictures(caller.tenant))),
    )


@router.get(
    "/{recipe_name}",
    summary="Get a saved recipe",
    responses=describe_responses("not_found"),
)
async def get_recipe(recipe_name: str, services: OpenServices, caller: Reader) -> wire.SavedRecipe:
    """Return a recipe of the caller's tenant, else the built-in one of that name."""
    saved = None
    if saved_recipes.is_name(recipe_name):
        saved = await services.database.query(saved_recipes.find_recipe, caller.tenant, recipe_name)
    if saved is not None:
        return _render_saved(saved)
    if recipe_name not in built_in_recipes():
        raise _missing_recipe(recipe_name)
    return _render_built_in(recipe_name, built_in_recipes()[recipe_name])


@router.put(
    "/{recipe_name}",
    summary="Save a recipe",
    description="Creates or replaces a recipe of the caller's tenant. A tenant's recipe takes "
    "precedence over a built-in one of the same name. Existing jobs keep their fields.",
    openapi_extra=json_document.describe_body(SaveRecipeRequest),
    responses=describe_responses(
        *("malformed_request", "unsupported_media", "invalid_request", "invalid_recipe"),
        *("contradiction", "not_available", "sign_in_again"),
    ),
)
async def update_recipe(
    recipe_name: str, request: Request, services: OpenServices, caller: RecentAdministrator
) -> wire.SavedRecipe:
    """Check a recipe by the rules of a submission, and save it under this name."""
    fields = json_document.parse_document(
        SaveRecipeRequest, await json_document.read_body(request)
    ).recipe
    if fault := saved_recipes.describe_name_fault(recipe_name):
        raise InvalidRequest([FieldError("/name", fault)])

    def write(connection: Connection) -> SavedRecipe:
        recipe_parser.validate_stored(
            connection,
            caller.tenant,
            fields,
            pools=services.settings.engine.pools,
            outbound=services.outbound,
            with_emotions=caller.emotions is not False,
        )
        recipe_parser.check_stored_size(fields, most=saved_recipes.MAX_BYTES)
        saved = saved_recipes.write_recipe(connection, caller.tenant, recipe_name, fields)
        if saved is None:
            raise InvalidRequest([FieldError("/name", _TOO_MANY)])
        security_log.record(connection, request, caller, AuditEvent.RECIPE_SAVED, recipe_name)
        return saved

    try:
        return _render_saved(await services.database.transact(write))
    finally:  # also when the outcome is unknown
        services.caches.saved_recipes.forget((caller.tenant, recipe_name))


@router.delete(
    "/{recipe_name}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Delete a saved recipe",
    responses=describe_responses("not_found", "sign_in_again"),
)
async def delete_recipe(
    recipe_name: str, request: Request, services: OpenServices, caller: RecentAdministrator
) -> Response:
    """Delete a recipe of the caller's tenant; jobs that used it are unchanged."""

    def delete(connection: Connection) -> None:
        if not saved_recipes.is_name(recipe_name) or not saved_recipes.delete_recipe(
            connection, caller.tenant, recipe_name
        ):
            raise _missing_recipe(recipe_name)
        security_log.record(connection, request, caller, AuditEvent.RECIPE_DELETED, recipe_name)

    try:
        await services.database.transact(delete)
    finally:  # also when the outcome is unknown
        services.caches.saved_recipes.forget((caller.tenant, recipe_name))
    return Response(status_code=status.HTTP_204_NO_CONTENT)


def _missing_recipe(name: str) -> NotFound:
    return NotFound(f"you have no saved recipe named {quote_value(name)}")


def _render_saved(saved: SavedRecipe) -> wire.SavedRecipe:
    of_built_in = dict.fromkeys(("title", "source", "checked"))
    return render_as(wire.SavedRecipe, saved, recipe=saved.fields, built_in=False, **of_built_in)


def _render_built_in(name: str, recipe: BuiltInRecipe) -> wire.SavedRecipe:
    return render_as(
        wire.SavedRecipe,
        recipe,
        name=name,
        recipe=recipe.fields,
        built_in=True,
        changed_at=None,
    )
