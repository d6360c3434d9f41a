"""Request model of saved recipes."""

from pydantic import BaseModel, ConfigDict

from smart_filter_api.schemas.recipe import RecipeFields


class SaveRecipeRequest(BaseModel):
    """A recipe to save."""

    model_config = ConfigDict(extra="forbid")

    recipe: RecipeFields
