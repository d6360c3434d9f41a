"""Recipe fields under a name that submissions can use: saved by a tenant, or built in."""

import datetime as dt
import functools
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from smart_filter_shared.catalog.scalars import quote_value
from smart_filter_shared.ids import Tenant
from smart_filter_shared.tenants import settings

NAME_PATTERN: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
MAX_NAME_CHARACTERS: Final = 64
MAX_RECIPES: Final = 100
# Size limit of a recipe as JSON text. The longest metadata takes a quarter of this in ASCII.
MAX_BYTES: Final = 16_384

_FIND = text("SELECT name, recipe, changed_at FROM recipes WHERE tenant = :tenant AND name = :name")
_LIST = text("SELECT name, recipe, changed_at FROM recipes WHERE tenant = :tenant ORDER BY name")
_LIST_NAMES = text("SELECT name FROM recipes WHERE tenant = :tenant ORDER BY name")
_COUNT = text("SELECT count(*) FROM recipes WHERE tenant = :tenant")
_WRITE = text("""
    INSERT INTO recipes (tenant, name, recipe, changed_at)
    VALUES (:tenant, :name, CAST(:recipe AS jsonb), statement_timestamp())
    ON CONFLICT (tenant, name) DO UPDATE
        SET recipe = excluded.recipe, changed_at = excluded.changed_at
    RETURNING name, recipe, changed_at
""")
_DELETE = text("DELETE FROM recipes WHERE tenant = :tenant AND name = :name RETURNING name")


@dataclass(frozen=True, slots=True)
class SavedRecipe:
    """Recipe fields under a name, in the JSON form of request bodies."""

    name: str
    fields: Mapping[str, Any]  # JSON of any shape
    changed_at: dt.datetime


def is_name(text_: str) -> bool:
    """Return whether a text can be the name of a recipe: words of a-z and 0-9, joined by `-`."""
    return len(text_) <= MAX_NAME_CHARACTERS and NAME_PATTERN.fullmatch(text_) is not None


def describe_name_fault(name: str) -> str | None:
    """Return why a text cannot be the name of a recipe, None when it can."""
    if is_name(name):
        return None
    return (
        f"{quote_value(name)} is not a name of 1 to {MAX_NAME_CHARACTERS} characters: a-z, 0-9,"
        " and - between them, such as spring-shop"
    )


def find_recipe(connection: Connection, tenant: Tenant, name: str) -> SavedRecipe | None:
    """Return a tenant's recipe of this name, or None."""
    row = connection.execute(_FIND, {"tenant": tenant, "name": name}).one_or_none()
    return None if row is None else _read_row(row)


def list_recipes(connection: Connection, tenant: Tenant) -> list[SavedRecipe]:
    """Return a tenant's recipes, by name."""
    return [_read_row(row) for row in connection.execute(_LIST, {"tenant": tenant})]


def list_names(connection: Connection, tenant: Tenant) -> list[str]:
    """Return the names of a tenant's recipes, without their fields."""
    return list(connection.execute(_LIST_NAMES, {"tenant": tenant}).scalars())


def write_recipe(
    connection: Connection, tenant: Tenant, name: str, fields: Mapping[str, object]
) -> SavedRecipe | None:
    """Insert or replace a recipe and return it; None, without a change, at MAX_RECIPES."""
    # Locks the tenant's row, so that concurrent requests cannot exceed the limit.
    settings.lock_overrides(connection, tenant)
    if (
        find_recipe(connection, tenant, name) is None
        and connection.execute(_COUNT, {"tenant": tenant}).scalar_one() >= MAX_RECIPES
    ):
        return None
    values = {"tenant": tenant, "name": name, "recipe": json.dumps(fields)}
    return _read_row(connection.execute(_WRITE, values).one())


def delete_recipe(connection: Connection, tenant: Tenant, name: str) -> bool:
    """Delete a recipe; return whether it existed."""
    deleted = connection.execute(_DELETE, {"tenant": tenant, "name": name})
    return deleted.one_or_none() is not None


def _read_row(row: Row[Any]) -> SavedRecipe:
    return SavedRecipe(row.name, row.recipe, row.changed_at)


@dataclass(frozen=True, slots=True)
class BuiltInRecipe:
    """Recipe fields under a name, as in a JSON body.

    source: address of the page that states the figures.  checked: the day on which it did.
    """

    title: str
    source: str
    checked: dt.date
    fields: Mapping[str, Any]  # JSON of any shape


@functools.cache
def built_in_recipes() -> Mapping[str, BuiltInRecipe]:
    """Return the recipes of built_in.toml by name."""
    file = resources.files("smart_filter_shared.recipe") / "built_in.toml"
    return {
        name: BuiltInRecipe(entry["title"], entry["source"], entry["checked"], entry["recipe"])
        for name, entry in tomllib.loads(file.read_text("utf-8")).items()
    }
