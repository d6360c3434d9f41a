"""The options that make a recipe."""

from smart_filter_deploy.cli.commands.recipe_options import RecipeOptions


def options(recipe_names: str | None = None, *settings: str) -> RecipeOptions:
    return RecipeOptions(recipe_names, None, None, None, None, settings)


def test_outputs_are_those_of_the_saved_recipe_unless_an_option_says_others() -> None:
    assert options("shop").recipe(outputs="image,faces") == {"recipe": ["shop"]}
    assert options(None).recipe(outputs="image,faces") == {"outputs": ["image,faces"]}
    assert options("shop", "outputs=cutout").recipe(outputs="image,faces") == {
        "recipe": ["shop"],
        "outputs": ["cutout"],
    }
