"""The options of commands that send photos: a recipe."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any, cast, get_args, get_type_hints

import click

from smart_filter_client import Recipe, Stroke
from smart_filter_deploy.cli.commands import completion_values
from smart_filter_deploy.cli.commands.options import EXISTING_FILE
from smart_filter_deploy.cli.server import submit_and_fetch


@dataclass(frozen=True, slots=True)
class RecipeOptions:
    """Recipe options from the command line, not yet validated; the server validates them.

    fields: the options that were given, by the name of the field.
    background_file: picture used as the background.  settings: as KEY=VALUE.
    """

    fields: Mapping[str, str]
    background_file: Path | None = None
    settings: Sequence[str] = ()

    def recipe(self, *, outputs: str) -> Recipe:
        """Return the fields of the recipe.

        outputs: the default when neither the option nor a saved recipe was given; "" sets none.
        Raises click.BadParameter when a setting is not KEY=VALUE.
        """
        recipe = {name: [value] for name, value in self.fields.items()}
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
        background_file: Path | None,
        settings: tuple[str, ...],
        **kwargs: Any,  # noqa: ANN401 - each option's
    ) -> object:
        given = {name: kwargs.pop(_PREFIX + name) for name in _FIELDS}
        fields = {name: value for name, value in given.items() if value is not None}
        return command(*args, asked=RecipeOptions(fields, background_file, settings), **kwargs)

    for option in reversed((*map(_field_option, _FIELDS), *_OPTIONS)):
        asking = option(asking)
    return asking


def _field_option(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the option of a field, with the field's own words as its help."""
    kind, text = _FIELDS[name]
    kinds = [part for part in get_args(kind) if part is not NoneType]
    if len(kinds) == 1:
        kind = kinds[0]
    complete = _COMPLETERS.get(name) or completion_values.from_words(*map(str, get_args(kind)))
    return click.option(
        f"--{name.replace('_', '-')}",
        _PREFIX + name,
        metavar=_METAVARS.get(name) or _METAVARS.get(kind, name.upper()),
        shell_complete=complete,
        help=text.replace("`", "") + ".",
    )


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
        type=EXISTING_FILE,
        metavar="FILE",
        help="Mask to use exactly: a gray PNG of the photo's size, white where people are.",
    ),
    click.option(
        "--strokes",
        type=EXISTING_FILE,
        callback=_read_strokes,
        metavar="FILE",
        help="Strokes that mark people or background, as a JSON list"
        ' of {"points", "width", "keep"}.',
    ),
)
# Fields that --set alone gives: those with names below them, and one whose option is a file.
_WITHOUT_OPTION = {"face", "eyes", "metadata", "segmentation", "smile", "mask"}
# The type and the meaning of each field with an option.
_FIELDS = {
    name: get_args(kind)
    for name, kind in get_type_hints(Recipe, include_extras=True).items()
    if "." not in name and name not in _WITHOUT_OPTION
}
_PREFIX = "field_"
_COMPLETERS = {
    "recipe": completion_values.complete_recipes,
    "background": completion_values.complete_backgrounds,
}
# The placeholders of options, by name or type; else the name.
_METAVARS = {
    "recipe": "NAME[,NAME]",
    "background": "SPEC",
    "outputs": "A,B",
    "filters": "A,B",
    bool: "true|false",
    int: "INTEGER",
}
_OPTIONS = (
    click.option(
        "--background-file",
        type=EXISTING_FILE,
        metavar="FILE",
        help="Picture to use as the background.",
    ),
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="Any recipe field, such as segmentation.model=people, metadata.order=17 or"
        " mask=upload.",
    ),
)
