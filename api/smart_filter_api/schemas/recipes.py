"""Request and response models of saved recipes."""

import datetime as dt
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from smart_filter_api.schemas.moments import UtcDatetime
from smart_filter_api.schemas.recipe import RecipeFields


class SaveRecipeRequest(BaseModel):
    """A recipe to save."""

    model_config = ConfigDict(extra="forbid")

    recipe: RecipeFields


class SavedRecipe(BaseModel):
    """A recipe that submissions can name."""

    name: str
    title: str | None = Field(description="Of a built-in recipe")
    built_in: bool
    recipe: dict[str, Any] = Field(description="Its fields, as they were saved")
    changed_at: UtcDatetime | None = Field(description="null for a built-in recipe")
    source: str | None = Field(description="Page that states the figures of a built-in recipe")
    checked: dt.date | None = Field(description="Day on which `source` did")


class SavedRecipePage(BaseModel):
    """The recipes that the caller's submissions can name."""

    items: list[SavedRecipe]
    logos: list[str] = Field(description="Pictures that `logo` of a recipe can name")
    next_cursor: None = None
