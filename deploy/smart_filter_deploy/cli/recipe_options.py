"""The options that say what is to be made of photos, the same for every command that sends some."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from smart_filter_deploy.cli import completing


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for on the command line; the server judges it.

    background_file: a picture to stand behind the people.  settings: as KEY=VALUE.
    """

    background: str | None
    background_file: Path | None
    image_format: str | None
    outputs: str | None
    settings: Sequence[str]

    def recipe(self, *, image_format: str | None = None, outputs: str) -> dict[str, list[str]]:
        """Return the fields of the recipe.

        image_format, outputs: when nothing else was asked for; outputs of "" leave it open.
        Raises click.BadParameter when a setting is none.
        """
        recipe: dict[str, list[str]] = {}
        options = {
            "background": self.background,
            "format": self.image_format or image_format,
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
        return recipe


# Any: a command's own arguments and what it returns are its own.
def recipe_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command these options; it is called with `asked`."""

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
        asked = Asked(background, background_file, image_format, outputs, settings)
        return command(*args, asked=asked, **kwargs)

    for option in reversed(_OPTIONS):
        asking = option(asking)
    return asking


_OPTIONS = (
    click.option(
        "--background",
        metavar="SPEC",
        shell_complete=completing.backgrounds,
        help="auto, keep, transparent, color:CSS-COLOUR, blur:0..1, preset:NAME,"
        " keywords:WORD,WORD or url:https://HOST/PATH.",
    ),
    click.option(
        "--background-file",
        type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
        metavar="FILE",
        help="A picture to stand behind the people.",
    ),
    click.option(
        "--format",
        "image_format",
        metavar="FORMAT",
        shell_complete=completing.of("auto", "png", "webp", "jpg", "avif"),
        help="auto, png, webp, jpg or avif.",
    ),
    click.option(
        "--outputs",
        metavar="A,B",
        help="Any of image, cutout, matte, persons, zip, thumbnail, faces, rating, printability,"
        " debug; else image, and what is told to people.",
    ),
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="Any other field of the recipe, such as edge=best, crop=faces, size=print:10x15 or"
        " quality=95.",
    ),
)
