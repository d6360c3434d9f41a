"""What cannot be meant together, though each value alone is right; all of it in one answer.

Every field of a contradiction is told the same sentence, which names what it is about.
"""

from collections.abc import Iterator, Sequence

from smart_filter_shared.cards import ModelCard, TaskName
from smart_filter_shared.errors import Contradiction, FieldError
from smart_filter_shared.parameters import Parameters
from smart_filter_shared.recipe import framing
from smart_filter_shared.recipe.files import Files
from smart_filter_shared.recipe.framing import Crop, Framing
from smart_filter_shared.recipe.look import ShadowKind
from smart_filter_shared.recipe.recipe import (
    PICTURES,
    BackgroundKind,
    Format,
    Output,
    Recipe,
    Whom,
    has_alpha,
)
from smart_filter_shared.recipe.words import AUTO, pointer


def refuse(recipe: Recipe, *, segmenters: Sequence[ModelCard], background_file: str | None) -> None:
    """Raise Contradiction when a recipe contradicts itself, every field at fault named.

    segmenters: the models that are offered for cutting out.  background_file: the name of the
    part that a background came as, when one did.
    """
    found = [
        *_background(recipe, background_file),
        *_framing(recipe.framing),
        *_kept(recipe),
        *_filters(recipe),
        *_files(recipe),
        *_shrunk(recipe),
        *_model(recipe, segmenters),
    ]
    if found:
        raise Contradiction(found)


def card_of(cards: Sequence[ModelCard], name: str) -> ModelCard | None:
    """Return the card that a recipe means by `auto` or a name."""
    return next(
        (card for card in cards if (card.default if name == AUTO else card.name == name)), None
    )


def _each(remedy: str, *names: str) -> list[FieldError]:
    return [FieldError(pointer(name), remedy) for name in names]


def _background(recipe: Recipe, background_file: str | None) -> Iterator[FieldError]:
    background = recipe.background
    if background_file is not None and background.kind != BackgroundKind.FILE:
        remedy = f"the background is to be {background}, and a file came along: send one of both"
        yield from _each(remedy, "background", background_file)
    if _is_transparent(recipe) and recipe.format == Format.JPG and Output.IMAGE in recipe.outputs:
        remedy = "jpg cannot hold transparency: ask for png, or for an opaque background"
        yield from _each(remedy, "format", "background")


def _is_transparent(recipe: Recipe) -> bool:
    background = recipe.background
    return background.kind == BackgroundKind.TRANSPARENT or (
        background.kind == BackgroundKind.COLOR
        and background.value is not None
        and has_alpha(background.value)
    )


def _framing(asked: Framing) -> Iterator[FieldError]:
    if asked.crop == Crop.NONE and any(side.value for side in asked.margin):
        remedy = "a margin is around what is cropped: ask for crop=true or faces, or for no margin"
        yield from _each(remedy, "margin", "crop")
    if not framing.agree(asked.size, asked.aspect):
        remedy = f"{asked.size} is not of the shape {asked.as_json()['aspect']}: leave one out"
        yield from _each(remedy, "size", "aspect")


def _kept(recipe: Recipe) -> Iterator[FieldError]:
    if recipe.background.kind != BackgroundKind.KEEP:
        return
    look = recipe.look
    without_effect = {
        "shadow": look.shadow.kind in {ShadowKind.DROP, ShadowKind.CONTACT},
        "outline": look.outline is not None,
        "light_wrap": bool(look.light_wrap),
        "harmonise": bool(look.harmonise),
        "scale": recipe.framing.scale is not None,
        "position": recipe.framing.position is not None,
    }
    names = [name for name, is_set in without_effect.items() if is_set]
    if names:
        need = "needs" if len(names) == 1 else "need"
        remedy = (
            f"{_listed(names)} {need} a new background behind the people, and keep leaves the "
            f"photo's own: ask for another background, or leave {_listed(names)} out"
        )
        yield from _each(remedy, *names, "background")


def _filters(recipe: Recipe) -> Iterator[FieldError]:
    if recipe.filters and not PICTURES & set(recipe.outputs):
        remedy = "filters are drawn on the image, which is not asked for: add it, or leave them out"
        yield from _each(remedy, "filters", "outputs")


def _files(recipe: Recipe) -> Iterator[FieldError]:
    files, asked = recipe.files, set(recipe.outputs)
    if files.matte_bits != Files().matte_bits and Output.MATTE not in asked:
        remedy = (
            "matte_bits is of the matte, which is not asked for: add matte to outputs, or leave "
            "matte_bits out"
        )
        yield from _each(remedy, "matte_bits", "outputs")
    names = [name for name in ("max_bytes", "keep_metadata") if getattr(files, name)]
    if names and not {Output.IMAGE, Output.CUTOUT} & asked:
        verb = "is" if len(names) == 1 else "are"
        remedy = (
            f"{_listed(names)} {verb} of image and cutout, and neither is asked for: add one to "
            f"outputs, or leave {_listed(names)} out"
        )
        yield from _each(remedy, *names, "outputs")


def _shrunk(recipe: Recipe) -> Iterator[FieldError]:
    """Yield what a png's size in bytes and in pixels contradict each other in."""
    size = recipe.framing.size
    if recipe.files.max_bytes is None or (size.exact is None and size.paper is None):
        return
    is_png = {
        # As the files are written: what shows something through is a png unless told otherwise.
        Output.IMAGE: recipe.format == Format.PNG
        or (recipe.format == Format.AUTO and _is_transparent(recipe)),
        Output.CUTOUT: recipe.format in {Format.PNG, Format.AUTO, Format.JPG},
    }
    shrunk = [output for output in recipe.outputs if is_png.get(output, False)]
    if shrunk:
        shows_through = Output.CUTOUT in shrunk or _is_transparent(recipe)
        others = "webp or avif" if shows_through else "jpg, webp or avif"
        remedy = (
            f"to be of at most {recipe.files.max_bytes} bytes a png shrinks, and size={size} is "
            f"exact: ask for {others}, which have quality to lower, or leave max_bytes or size out"
        )
        yield from _each(remedy, "max_bytes", "size", "format")


def _listed(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _model(recipe: Recipe, cards: Sequence[ModelCard]) -> Iterator[FieldError]:
    card = card_of(cards, recipe.models[TaskName.SEGMENTATION])
    if card is None:
        return
    yield from _descending(card, recipe.params.get(TaskName.SEGMENTATION, {}))
    if recipe.persons != Whom.ALL and not card.instances:
        able = [one.name for one in cards if one.instances]
        yield from _unable(card, "persons", "does not tell persons apart", able)
    if Output.PERSONS in recipe.outputs and not card.instances:
        able = [one.name for one in cards if one.instances]
        yield from _unable(card, "outputs", "does not tell persons apart", able)
    if Output.DEBUG in recipe.outputs and not card.explains:
        able = [one.name for one in cards if one.explains]
        yield from _unable(card, "outputs", "has no steps to show as debug", able)


def _descending(card: ModelCard, given: Parameters) -> Iterator[FieldError]:
    values = card.completed(given)
    for low, high in card.ascending:
        # Both are numbers: a card that said so of others would be wrong for every recipe.
        if float(values[low]) > float(values[high]):
            remedy = f"{low} is {values[low]}, more than {high}, which is {values[high]}"
            yield from _each(remedy, *(f"{card.task}.params.{name}" for name in (low, high)))


def _unable(card: ModelCard, name: str, what: str, able: Sequence[str]) -> Iterator[FieldError]:
    remedy = f"{card.name} {what}; these models can: {', '.join(able) or 'none that is offered'}"
    yield from _each(remedy, name, f"{card.task}.model")
