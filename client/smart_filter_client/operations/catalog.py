"""The models, backgrounds, filters and saved recipes of a server."""

from smart_filter_client.http import exchange
from smart_filter_client.http.connection import Connection
from smart_filter_client.models import Model, Output
from smart_filter_client.operations.outputs import fetch_file
from smart_filter_client.operations.pagination import fetch_list
from smart_filter_client.recipe import Recipe
from smart_filter_client.requests import path
from smart_filter_wire.catalog import Background, Filter, Keyword, SavedRecipe


async def models(client: Connection, *, every: bool = False) -> list[Model]:
    """Return the offered models, or with `every` all known ones."""
    return await fetch_list(client, path("models"), Model, {"all": "true"} if every else {})


async def backgrounds(client: Connection) -> list[Background]:
    """Return the backgrounds that `preset:NAME` can name."""
    return await fetch_list(client, path("backgrounds"), Background)


async def thumbnail(client: Connection, name: str) -> Output:
    """Return the thumbnail of a background such as `sunrise` or `site/lobby`."""
    # Some proxies refuse a slash in a name as %2F, so it stays a path separator.
    return await fetch_file(client, path("backgrounds", *name.split("/"), "thumbnail"))


async def background_keywords(client: Connection) -> list[Keyword]:
    """Return the words that `keywords:WORD` understands."""
    return await fetch_list(client, path("backgrounds", "keywords"), Keyword)


async def filters(client: Connection) -> list[Filter]:
    """Return the filters that `filters` of a recipe can name."""
    return await fetch_list(client, path("filters"), Filter)


async def recipes(client: Connection) -> list[SavedRecipe]:
    """Return the recipes that `recipe` can name: your tenant's, then built-in ones."""
    return await fetch_list(client, path("recipes"), SavedRecipe)


async def save_recipe(client: Connection, name: str, recipe: Recipe) -> SavedRecipe:
    """Save a recipe of your tenant under a name; one of that name is replaced."""
    return await exchange.send(client, SavedRecipe, "PUT", "recipes", name, json={"recipe": recipe})


async def delete_recipe(client: Connection, name: str) -> None:
    """Delete a saved recipe of your tenant; jobs that used it are unchanged."""
    await exchange.delete(client, "recipes", name)
