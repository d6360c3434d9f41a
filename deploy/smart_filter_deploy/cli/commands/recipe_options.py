"""The options of commands that send photos: a recipe."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import click

from smart_filter_client import Recipe, Stroke
from smart_filter_deploy.cli.commands import completion_values
from smart_filter_deploy.cli.server import submit_and_fetch


@dataclass(frozen=True, slots=True)
class RecipeOptions:
    """Recipe options from the command line, not yet validated; the server validates them.

    background_file: picture used as the background.  settings: as KEY=VALUE.
    """

    recipe_names: str | None
    background: str | None
    background_file: Path | None
    image_format: str | None
    outputs: str | None
    settings: Sequence[str]

    def recipe(self, *, outputs: str) -> Recipe:
        """Return the fields of the recipe.

        outputs: the default when neither the option nor a saved recipe was given; "" sets none.
        Raises click.BadParameter when a setting is not KEY=VALUE.
        """
        recipe: dict[str, list[str]] = {}
        options = {
            "recipe": self.recipe_names,
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
        if outputs and "recipe" not in recipe:  # its own outputs apply
            recipe.setdefault("outputs", [outputs])
        return cast("Recipe", recipe)


@dataclass(frozen=True, slots=True)
class Drawing:
    """What the user has drawn over one photo: a mask, or strokes."""

    mask_file: Path | None
    strokes: Sequence[Stroke]

    def refuse_for_many(self, photos: Sequence[Path]) -> None:
        """Raise click.BadParameter when there is not just one photo to draw over."""
        if (self.mask_file is not None or self.strokes) and len(photos) != 1:
            raise click.BadParameter(
                "a drawing belongs to one photo", param_hint="--mask/--strokes"
            )


# Any: arguments and result belong to the command.
def recipe_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the recipe options to a command, which receives them as `asked`."""

    @functools.wraps(command)
    def asking(
        *args: object,
        recipe_names: str | None,
        background: str | None,
        background_file: Path | None,
        image_format: str | None,
        outputs: str | None,
        settings: tuple[str, ...],
        **kwargs: object,
    ) -> object:
        asked = RecipeOptions(
            recipe_names, background, background_file, image_format, outputs, settings
        )
        return command(*args, asked=asked, **kwargs)

    for option in reversed(_OPTIONS):
        asking = option(asking)
    return asking


# Any: as above.
def drawing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --mask and --strokes to a command, which receives them as `drawn`."""

    @functools.wraps(command)
    def asking(
        *args: object, mask_file: Path | None, strokes: tuple[Stroke, ...], **kwargs: object
    ) -> object:
        return command(*args, drawn=Drawing(mask_file, strokes), **kwargs)

    for option in reversed(_DRAWING_OPTIONS):
        asking = option(asking)
    return asking


def _read_strokes(
    _context: click.Context, _parameter: click.Parameter, place: Path | None
) -> tuple[Stroke, ...]:
    try:
        return () if place is None else submit_and_fetch.read_strokes(place)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


_DRAWING_OPTIONS = (
    click.option(
        "--mask",
        "mask_file",
        type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
        metavar="FILE",
        help="Mask to use exactly: a gray PNG of the photo's size, white where people are.",
    ),
    click.option(
        "--strokes",
        type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
        callback=_read_strokes,
        metavar="FILE",
        help="Strokes that mark people or background, as a JSON list"
        ' of {"points", "width", "keep"}.',
    ),
)
_OPTIONS = (
    click.option(
        "--recipe",
        "recipe_names",
        metavar="NAME[,NAME]",
        shell_complete=completion_values.complete_recipes,
        help="Saved recipes (`smart-filter recipes list`); other options take precedence.",
    ),
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
        " regions, debug. Default: image, and the findings that are printed.",
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
