"""Built-in recipes that every tenant can name: sizes for social posts and marketplaces."""

import datetime as dt
import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any


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
