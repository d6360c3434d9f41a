"""Check the recipes of S3 folders, as far as no database is needed."""

from typing import Final

from smart_filter_api.submission.recipe_layers import RECIPE
from smart_filter_shared.config.settings import S3FolderSettings
from smart_filter_shared.config.values import S3Folder
from smart_filter_shared.errors import Contradiction, InvalidRecipe, NotAvailable, SetupFailed
from smart_filter_shared.recipe import CHOOSABLE_TASKS, Output
from smart_filter_shared.recipe import fields as recipe_fields

# Saved recipes, logos and models are added while the service runs.
_LATER: Final = frozenset({*CHOOSABLE_TASKS, RECIPE, "logo"})
_STORED: Final = ("tenant/", "site/")


def check_recipes(settings: S3FolderSettings) -> None:
    """Raise SetupFailed when a recipe has an unknown field, or a value that is never valid."""
    for folder in settings.folders:
        try:
            _check(folder)
        except (Contradiction, NotAvailable):
            continue  # the tenant's defaults decide
        except (InvalidRecipe, ValueError) as error:
            raise SetupFailed(
                f"SMART_FILTER_S3_FOLDERS: the recipe of {folder.source} is not valid: {error}"
            ) from None


def _check(folder: S3Folder) -> None:
    """Raise InvalidRecipe and its subclasses, and ValueError for what is no query of a URL."""
    given = folder.fields
    later = {*_LATER, *({"filters"} - given.keys())}
    if any(word in str(given.get("background")) for word in _STORED):
        later.add("background")
    recipe = recipe_fields.parse(recipe_fields.drop_replaced(given, later), offered={})
    if "outputs" in given and Output.IMAGE not in recipe.outputs:
        raise ValueError("it lacks the output image")
