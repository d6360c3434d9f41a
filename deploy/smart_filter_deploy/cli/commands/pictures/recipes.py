"""`smart-filter recipes`: lists, saves, deletes, exports and imports saved recipes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from smart_filter_client import Client
from smart_filter_client import errors as client_errors
from smart_filter_deploy.cli.commands import completion_values, recipe_file
from smart_filter_deploy.cli.commands.options import EXISTING_FILE, FILE, json_option
from smart_filter_deploy.cli.commands.recipe_file import EmbeddedPicture, RecipeFile
from smart_filter_deploy.cli.commands.recipe_options import RecipeOptions, recipe_options
from smart_filter_deploy.cli.server.backends import open_backends
from smart_filter_deploy.cli.server.connection import open_client
from smart_filter_deploy.cli.server.pictures import RestPictures
from smart_filter_deploy.cli.terminal.console import print_columns
from smart_filter_deploy.cli.terminal.exit_codes import (
    ALL_SUCCEEDED,
    PHOTO_FAILED,
    CommandError,
    print_error,
)
from smart_filter_deploy.cli.terminal.text import examples, print_json, print_line
from smart_filter_shared.errors import PictureRefused
from smart_filter_shared.ids import Tenant
from smart_filter_shared.tenants import saved_recipes

_names_argument = click.argument(
    "names", nargs=-1, metavar="[NAME]...", shell_complete=completion_values.complete_recipes
)
_tenant_option = click.option(
    "--tenant", metavar="NAME", help="Owner of the pictures. Default: the API key's tenant."
)


@click.group(
    epilog=examples(
        "smart-filter recipes save our-brand --background preset:linen --set logo=tenant/acme",
        "smart-filter batch holiday/ --recipe our-brand",
        "smart-filter recipes export brand.yaml our-brand --pictures",
    )
)
def recipes() -> None:
    """List, save, delete, export and import recipes that photos can be processed with.

    Chooses the server as `smart-filter run` does.
    """


@recipes.command("list", epilog=examples("smart-filter recipes list"))
@json_option
def list_(*, as_json: bool) -> None:
    """List your saved recipes and the built-in ones."""
    with open_client() as client:
        listed = client.recipes()
    if as_json:
        shown = [
            {"name": entry.name, "built_in": entry.built_in, "recipe": dict(entry.recipe)}
            for entry in listed
        ]
        print_json({"items": shown})
        return
    rows = [
        (
            entry.name,
            "built in" if entry.built_in else "yours",
            ", ".join(f"{name}={value}" for name, value in entry.recipe.items()),
        )
        for entry in listed
    ]
    print_columns(("name", "owner", "fields"), rows, wrapped=("fields",))


@recipes.command(
    epilog=examples(
        "smart-filter recipes save our-brand --background preset:linen --format jpg",
        "smart-filter recipes save story-dark --recipe story --background color:#111",
    )
)
@click.argument("name", metavar="NAME")
@recipe_options
def save(name: str, *, asked: RecipeOptions) -> None:
    """Save the options as a recipe; one of that name is replaced.

    --recipe copies the fields of other recipes.
    """
    _check_name(name)
    if asked.background_file is not None:
        raise CommandError(
            "a recipe names stored pictures: add yours with `smart-filter backgrounds add`, and"
            " name it with --background preset:…"
        )
    fields: dict[str, object] = {}
    options: dict[str, Any] = dict(asked.recipe(outputs=""))  # lists of texts
    given = {name: texts[0] if len(texts) == 1 else texts for name, texts in options.items()}
    copied = given.pop("recipe", None)
    if copied is None and not given:
        raise CommandError("an empty recipe changes nothing: give options to save")
    with open_client() as client:
        recipes_by_name = {entry.name: entry for entry in client.recipes()}
        for source in copied.split(",") if copied else ():
            if source not in recipes_by_name:
                raise CommandError(f"there is no saved recipe {source}")
            fields |= recipes_by_name[source].recipe
        client.save_recipe(name, {**fields, **given})  # type: ignore[typeddict-item]  # checked there
    hides = name in recipes_by_name and recipes_by_name[name].built_in
    hidden = f"; it hides the built-in {name} until you delete it" if hides else ""
    print_line(f"saved {name}; use it with --recipe {name}{hidden}")


@recipes.command(epilog=examples("smart-filter recipes delete our-brand"))
@click.argument("name", metavar="NAME", shell_complete=completion_values.complete_recipes)
def delete(name: str) -> None:
    """Delete a saved recipe; pictures made with it are unchanged."""
    _check_name(name)
    with open_client() as client:
        client.delete_recipe(name)
    print_line(f"deleted {name}")


@recipes.command(
    epilog=examples(
        "smart-filter recipes export brand.yaml",
        "smart-filter recipes export brand.yaml our-brand --pictures",
    )
)
@click.argument("file", metavar="FILE", type=FILE)
@_names_argument
@click.option(
    "--pictures",
    "with_pictures",
    is_flag=True,
    help="Embed your own backgrounds and logos, which are otherwise only named.",
)
@_tenant_option
def export(file: Path, names: tuple[str, ...], *, with_pictures: bool, tenant: str | None) -> None:
    """Write your saved recipes, or the named ones, to a YAML file.

    --pictures reads original files, which REST does not give: it needs the server's own
    SMART_FILTER_DATABASE_URL and SMART_FILTER_STORAGE_URL, or a local stack.
    """
    with open_client() as client:
        saved = {entry.name: entry.recipe for entry in client.recipes() if not entry.built_in}
    unknown = [name for name in names if name not in saved]
    if unknown:
        raise CommandError(f"you have no saved recipe {', '.join(unknown)}")
    chosen = {name: saved[name] for name in names or saved}
    try:
        pictures = _read_pictures(tenant, chosen) if with_pictures else {}
        text = recipe_file.write_yaml(RecipeFile(chosen, pictures))
        file.write_text(text, encoding="utf-8")
    except PictureRefused as error:
        raise CommandError(str(error), PHOTO_FAILED) from error
    except OSError as error:
        raise CommandError(f"cannot write {file} ({error.strerror})") from error
    print_line(f"wrote {', '.join([*chosen, *pictures]) or 'no recipe'} to {file}")


@recipes.command("import", epilog=examples("smart-filter recipes import brand.yaml"))
@click.argument("file", metavar="FILE", type=EXISTING_FILE)
@click.option(
    "--replace", "may_replace", is_flag=True, help="Replace recipes and pictures of these names."
)
def import_(file: Path, *, may_replace: bool) -> int:
    """Save the recipes of a YAML file, and add the pictures that it holds.

    The server checks each recipe as it checks a submission. If one is refused, the others are
    saved and the exit status is 1.
    """
    try:
        content = recipe_file.read_yaml(file)
    except (OSError, ValueError) as error:
        raise CommandError(f"{file}: {error}") from error
    failed = False
    with open_client() as client:
        pictures = RestPictures(client)
        for name, picture in content.pictures.items():
            try:
                added = pictures.add(
                    picture.content,
                    recipe_file.describe_embedded(name, picture),
                    is_logo=picture.is_logo,
                    may_replace=may_replace,
                )
                print_line(f"{added.outcome} {name}")
            except PictureRefused as error:
                failed = True
                print_error(f"{name}: {error}")
        failed |= _save_all(client, content, may_replace=may_replace)
    return PHOTO_FAILED if failed else ALL_SUCCEEDED


def _check_name(name: str) -> None:
    """End the command for a text that is no name, which could be a path of another endpoint."""
    if fault := saved_recipes.describe_name_fault(name):
        raise CommandError(f"name: {fault}")


def _read_pictures(
    tenant: str | None, chosen: Mapping[str, Mapping[str, object]]
) -> dict[str, EmbeddedPicture]:
    """Return the tenant's own pictures that recipes name.  Raises PictureRefused."""
    owner = _find_owner(tenant)
    try:
        with open_backends() as there:
            return recipe_file.read_pictures(there, owner, chosen.values())
    except CommandError as ending:
        raise CommandError(
            f"--pictures needs the server's database: {ending.message}", ending.status
        ) from ending


def _find_owner(tenant: str | None) -> Tenant:
    """Return the tenant that an option names, else that of the API key."""
    if tenant is not None:
        return Tenant(tenant)
    with open_client() as client:
        try:
            return Tenant(next(client.keys()).tenant)
        except (client_errors.Forbidden, StopIteration):
            raise CommandError(
                "this API key does not show its tenant: name it with --tenant"
            ) from None


def _save_all(client: Client, content: RecipeFile, *, may_replace: bool) -> bool:
    """Save recipes; return whether one was refused."""
    failed = False
    saved = {entry.name: entry.recipe for entry in client.recipes() if not entry.built_in}
    for name, fields in content.recipes.items():
        if name in saved and saved[name] != fields and not may_replace:
            failed = True
            print_error(f"{name}: you have another recipe of this name: rename it, or --replace")
            continue
        if fault := saved_recipes.describe_name_fault(name):
            failed = True
            print_error(f"name: {fault}")
            continue
        try:
            client.save_recipe(name, fields)  # type: ignore[arg-type]  # the server checks it
        except client_errors.Refused as error:
            failed = True
            print_error(f"{name}: {error}")
        else:
            print_line(f"saved {name}")
    return failed
