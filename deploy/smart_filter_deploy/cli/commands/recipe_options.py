"""The options of commands that send photos: a recipe."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import click

from smart_filter_client import Recipe
from smart_filter_deploy.cli.commands import completion_values


@dataclass(frozen=True, slots=True)
class RecipeOptions:
    """Recipe options from the command line, not yet validated; the server validates them.

    background_file: picture used as the background.  settings: as KEY=VALUE.
    """

    background: str | None
    background_file: Path | None
    image_format: str | None
    outputs: str | None
    settings: Sequence[str]

    def recipe(self, *, outputs: str) -> Recipe:
        """Return the fields of the recipe.

        outputs: the default when the option was not given; "" sets none.
        Raises click.BadParameter when a setting is not KEY=VALUE.
        """
        recipe: dict[str, list[str]] = {}
        options = {
            "background": self.background,
            "format": self.image_format,
            "outputs": self.outputs,
        }
        for name, option in options.items():
            if option is not None:
                recipe[name] = [option]
        for setting in self.settings:
            name, equals, value = setting.partition("=")
            if not (name and equals):
                raise click.BadParameter(f"{setting!r} is not KEY=VALUE", param_hint="--set")
            recipe.setdefault(name, []).append(value)
        if outputs:
            recipe.setdefault("outputs", [outputs])
        return cast("Recipe", recipe)


# Any: arguments and result belong to the command.
def recipe_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the recipe options to a command, which receives them as `asked`."""

    @functools.wraps(command)
    def asking(
        *args: object,
        background: str | None,
        background_file: Path | None,
        image_format: str | None,
        outputs: str | None,
        settings: tuple[str, ...],
        **kwargs: object,
    ) -> object:
        asked = RecipeOptions(background, background_file, image_format, outputs, settings)
        return command(*args, asked=asked, **kwargs)

    for option in reversed(_OPTIONS):
        asking = option(asking)
    return asking


_OPTIONS = (
    click.option(
        "--background",
        metavar="SPEC",
        shell_complete=completion_values.complete_backgrounds,
        help="auto, keep, transparent, color:CSS-COLOR, blur:0..1, preset:NAME,"
        " keywords:WORD,WORD or url:https://HOST/PATH.",
    ),
    click.option(
        "--background-file",
        type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
        metavar="FILE",
        help="Picture to use as the background.",
    ),
    click.option(
        "--format",
        "image_format",
        metavar="FORMAT",
        shell_complete=completion_values.from_words("auto", "png", "webp", "jpg", "avif"),
        help="auto, png, webp, jpg or avif.",
    ),
    click.option(
        "--outputs",
        metavar="A,B",
        help="Any of image, cutout, matte, persons, zip, thumbnail, faces, rating, printability,"
        " debug. Default: image, and the findings that are printed.",
    ),
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="Any other recipe field, such as edge=best, crop=faces, size=print:10x15 or"
        " quality=95.",
    ),
)
