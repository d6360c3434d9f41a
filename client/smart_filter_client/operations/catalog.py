"""The models, backgrounds, filters and saved recipes of a server, and a tenant's own pictures."""

from collections.abc import Sequence
from pathlib import Path

from smart_filter_client.errors import NotFinishedInTime
from smart_filter_client.http import exchange
from smart_filter_client.http.connection import Connection, Request, path
from smart_filter_client.http.exchange import fetch_list
from smart_filter_client.models import Model, Output
from smart_filter_client.operations.outputs import fetch_file
from smart_filter_client.operations.photos import Picture, make_resendable
from smart_filter_client.operations.polling import MAX_PAUSE_SECONDS
from smart_filter_client.reading import read_answer
from smart_filter_client.recipe import Recipe
from smart_filter_wire.catalog import Background, Filter, Keyword, SavedRecipe, TenantPicture
from smart_filter_wire.words import PictureState

# Keywords of a picture.
Tags = Sequence[str]

_FOLDER = "tenant"
# A worker reads a picture within seconds; more mean that none is running.
_MAX_SECONDS = 60.0


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


async def add_picture(
    client: Connection,
    name: str,
    picture: Picture,
    *,
    logo: bool = False,
    title: str = "",
    tags: Tags = (),
) -> TenantPicture:
    """Add or replace your own picture; return it once it is read, a refused one too.

    name: such as `lobby`, or a file's; its words are the default of title and tags.
    Raises NotFinishedInTime after a minute, and OSError.
    """
    sent = await make_resendable(client, picture)
    words = {"title": title, "tags": ",".join(tags)}
    request = Request(
        method="PUT",
        path=path("backgrounds", _FOLDER, name),
        params={
            "use": "logo" if logo else "background",
            **{field: text for field, text in words.items() if text},
        },
        file=sent if isinstance(sent, Path) else None,
        content=sent if isinstance(sent, bytes) else None,
    )
    until = client.clock() + _MAX_SECONDS
    added = read_answer(TenantPicture, await exchange.ask_json(client, request))
    while added.state == PictureState.PENDING:
        if client.clock() >= until:
            raise NotFinishedInTime([added.name], _MAX_SECONDS)
        await client.backend.sleep(MAX_PAUSE_SECONDS)
        added = await _read_picture(client, added.name)
    return added


async def own_pictures(client: Connection) -> list[TenantPicture]:
    """Return the backgrounds and logos of your tenant, by name."""
    return await fetch_list(client, path("backgrounds", _FOLDER), TenantPicture)


async def delete_picture(client: Connection, name: str) -> None:
    """Delete your own picture, such as `lobby`; unfinished jobs that name it fail."""
    await exchange.ask(client, Request(method="DELETE", path=_path(name)))


async def _read_picture(client: Connection, name: str) -> TenantPicture:
    request = Request(method="GET", path=_path(name))
    return read_answer(TenantPicture, await exchange.ask_json(client, request))


def _path(name: str) -> str:
    return path("backgrounds", _FOLDER, name.removeprefix(f"{_FOLDER}/"))
