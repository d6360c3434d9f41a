"""The options that make a recipe."""

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from smart_filter_deploy.cli.commands.pictures.run import run
from smart_filter_deploy.cli.commands.recipe_options import RecipeOptions, recipe_options
from smart_filter_shared.recipe import CHOOSABLE_TASKS
from smart_filter_shared.recipe.recipe import declared_fields

# Names stand below these, or another option has the name.
WITHOUT_OPTION = {*CHOOSABLE_TASKS, "metadata", "mask"}


def options(recipe_names: str | None = None, *settings: str) -> RecipeOptions:
    return RecipeOptions({"recipe": recipe_names} if recipe_names else {}, settings=settings)


def test_outputs_are_those_of_the_saved_recipe_unless_an_option_says_others() -> None:
    assert options("shop").recipe(outputs="image,faces") == {"recipe": ["shop"]}
    assert options(None).recipe(outputs="image,faces") == {"outputs": ["image,faces"]}
    assert options("shop", "outputs=cutout").recipe(outputs="image,faces") == {
        "recipe": ["shop"],
        "outputs": ["cutout"],
    }


def test_every_field_is_an_option_with_the_words_of_its_declaration() -> None:
    told = {
        parameter.opts[0]: parameter.help
        for parameter in run.params
        if isinstance(parameter, click.Option)
    }

    for name, field in declared_fields().items():
        if name not in WITHOUT_OPTION:
            assert told[f"--{name.replace('_', '-')}"] == field.help.replace("`", "") + "."


@pytest.mark.parametrize(
    ("typed", "recipe"),
    [
        ("--light-wrap 0.5 --crop faces", {"light_wrap": ["0.5"], "crop": ["faces"]}),
        ("--edge best --set edge=fast", {"edge": ["best", "fast"]}),
    ],
)
def test_option_is_sent_as_the_field_of_its_name(typed: str, recipe: dict[str, list[str]]) -> None:
    sent = []

    @click.command
    @recipe_options
    def send(asked: RecipeOptions) -> None:
        sent.append(asked.recipe(outputs=""))

    CliRunner().invoke(send, typed.split(), catch_exceptions=False)

    assert sent == [recipe]


def test_words_of_a_field_are_completed() -> None:
    shell = ShellComplete(run, {}, "run", "")

    assert [completion.value for completion in shell.get_completions(["--edge"], "b")] == [
        "balanced",
        "best",
    ]
