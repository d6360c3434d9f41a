"""Find fields of a recipe that contradict each other, though each value alone is valid.

One answer lists all contradictions. Every field of a contradiction gets the same sentence.
"""

from collections.abc import Iterator, Sequence

from smart_filter_shared.catalog.model_card import ModelCard
from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.errors import Contradiction, FieldError
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.recipe import framing
from smart_filter_shared.recipe.files import Files, Provenance
from smart_filter_shared.recipe.framing import Crop, Framing
from smart_filter_shared.recipe.look import ShadowKind
from smart_filter_shared.recipe.recipe import (
    PICTURE_OUTPUTS,
    BackgroundKind,
    Format,
    Mask,
    Output,
    PersonSelection,
    Recipe,
    Subject,
    has_alpha,
)
from smart_filter_shared.recipe.words import AUTO, json_pointer


def reject_contradictions(
    recipe: Recipe, *, segmenters: Sequence[ModelCard], background_file: str | None
) -> None:
    """Raise Contradiction, which names every field at fault, when a recipe contradicts itself.

    segmenters: the offered segmentation models.  background_file: the name of the form part of
    an uploaded background, None without one.
    """
    contradictions = [
        *_background(recipe, background_file),
        *_subject(recipe, segmenters),
        *_mask(recipe),
        *_framing(recipe.framing),
        *_kept_background(recipe),
        *_filters(recipe),
        *_logo(recipe),
        *_files(recipe),
        *_provenance(recipe),
        *_exact_size_png(recipe),
        *_model(recipe, segmenters),
    ]
    if contradictions:
        raise Contradiction(contradictions)


def find_card(cards: Sequence[ModelCard], name: str, subject: Subject) -> ModelCard | None:
    """Return the card of a task that a recipe's model choice (`auto` or a name) stands for."""
    return next((card for card in cards if is_meant(card, name, subject)), None)


def is_meant(card: ModelCard, name: str, subject: Subject) -> bool:
    """Return whether a recipe's model choice (`auto` or a name) stands for a card."""
    if name != AUTO:
        return card.name == name
    if subject == Subject.ANY and card.task == TaskName.SEGMENTATION:
        return card.any_subject
    return card.default


def _each(remedy: str, *names: str) -> list[FieldError]:
    return [FieldError(json_pointer(name), remedy) for name in names]


def _background(recipe: Recipe, background_file: str | None) -> Iterator[FieldError]:
    background = recipe.background
    if background_file is not None and background.kind != BackgroundKind.FILE:
        remedy = f"background is {background}, and a background file was sent: send only one"
        yield from _each(remedy, "background", background_file)
    if _is_transparent(recipe) and recipe.format == Format.JPG and Output.IMAGE in recipe.outputs:
        remedy = "jpg has no transparency: choose png, or an opaque background"
        yield from _each(remedy, "format", "background")


def _is_transparent(recipe: Recipe) -> bool:
    background = recipe.background
    return background.kind == BackgroundKind.TRANSPARENT or (
        background.kind == BackgroundKind.COLOR
        and background.value is not None
        and has_alpha(background.value)
    )


def _subject(recipe: Recipe, segmenters: Sequence[ModelCard]) -> Iterator[FieldError]:
    if recipe.require_person and recipe.subject == Subject.ANY:
        remedy = "subject=any does not look for people: leave require_person out, or subject"
        yield from _each(remedy, "require_person", "subject")
    model = recipe.models[TaskName.SEGMENTATION]
    card = find_card(segmenters, model, recipe.subject)
    if recipe.subject == Subject.ANY and model != AUTO and card and not card.any_subject:
        remedy = (
            f"subject=any has a model of its own: leave segmentation.model={model} out, or subject"
        )
        yield from _each(remedy, "segmentation.model", "subject")


def _mask(recipe: Recipe) -> Iterator[FieldError]:
    if recipe.mask == Mask.UPLOAD and recipe.persons != PersonSelection.ALL:
        remedy = "mask=upload has no separate persons: leave persons out, or mask"
        yield from _each(remedy, "persons", "mask")
    if recipe.mask == Mask.UPLOAD and recipe.grow > 0:
        remedy = "a transparent photo has no colors beyond its outline: set grow to 0 or less"
        yield from _each(remedy, "grow", "mask")


def _framing(asked: Framing) -> Iterator[FieldError]:
    if asked.crop == Crop.NONE and any(side.value for side in asked.margin):
        remedy = "margin needs a crop: set crop=true or crop=faces, or leave margin out"
        yield from _each(remedy, "margin", "crop")
    if not framing.matches_aspect(asked.size, asked.aspect):
        remedy = f"{asked.size} does not have the aspect {asked.as_json()['aspect']}: leave one out"
        yield from _each(remedy, "size", "aspect")


def _kept_background(recipe: Recipe) -> Iterator[FieldError]:
    if recipe.background.kind != BackgroundKind.KEEP:
        return
    look = recipe.look
    without_effect = {
        "shadow": look.shadow.kind in {ShadowKind.DROP, ShadowKind.CONTACT},
        "outline": look.outline is not None,
        "light_wrap": bool(look.light_wrap),
        "harmonize": bool(look.harmonize),
        "scale": recipe.framing.scale is not None,
        "position": recipe.framing.position is not None,
    }
    names = [name for name, is_set in without_effect.items() if is_set]
    if names:
        need = "needs" if len(names) == 1 else "need"
        remedy = (
            f"{_join_names(names)} {need} a new background, and background=keep keeps the photo's "
            f"own: choose another background, or leave {_join_names(names)} out"
        )
        yield from _each(remedy, *names, "background")


def _filters(recipe: Recipe) -> Iterator[FieldError]:
    if recipe.filters and not PICTURE_OUTPUTS & set(recipe.outputs):
        remedy = (
            "filters are drawn on the image, which is not in outputs: add image, or leave filters "
            "out"
        )
        yield from _each(remedy, "filters", "outputs")


def _logo(recipe: Recipe) -> Iterator[FieldError]:
    if recipe.logo.name is not None and not PICTURE_OUTPUTS & set(recipe.outputs):
        remedy = (
            "the logo is drawn on the image, which is not in outputs: add image, or leave logo out"
        )
        yield from _each(remedy, "logo", "outputs")


def _files(recipe: Recipe) -> Iterator[FieldError]:
    files, asked = recipe.files, set(recipe.outputs)
    if files.matte_bits != Files().matte_bits and Output.MATTE not in asked:
        remedy = (
            "matte_bits applies to the matte, which is not in outputs: add matte, or leave "
            "matte_bits out"
        )
        yield from _each(remedy, "matte_bits", "outputs")
    names = [name for name in ("max_bytes", "keep_metadata") if getattr(files, name)]
    if files.provenance != Provenance.NONE:
        names.append("provenance")
    if names and not {Output.IMAGE, Output.CUTOUT} & asked:
        verb = "applies" if len(names) == 1 else "apply"
        remedy = (
            f"{_join_names(names)} {verb} to image and cutout, and outputs has neither: add one,"
            f" or leave {_join_names(names)} out"
        )
        yield from _each(remedy, *names, "outputs")


def _provenance(recipe: Recipe) -> Iterator[FieldError]:
    if recipe.files.provenance == Provenance.NONE:
        return
    if recipe.format == Format.AVIF:
        remedy = "provenance is written into jpg, png and webp: choose one, or leave provenance out"
        yield from _each(remedy, "provenance", "format")
    if recipe.files.max_bytes is not None:
        remedy = (
            "max_bytes does not count Content Credentials, whose size depends on the server's"
            " certificate: leave max_bytes or provenance out"
        )
        yield from _each(remedy, "provenance", "max_bytes")


def _exact_size_png(recipe: Recipe) -> Iterator[FieldError]:
    """Yield errors for a png that has both a byte limit and an exact size in pixels."""
    size = recipe.framing.size
    if recipe.files.max_bytes is None or (size.exact is None and size.paper is None):
        return
    is_png = {
        # The encoder chooses alike: a picture with transparency is a png unless a format is set.
        Output.IMAGE: recipe.format == Format.PNG
        or (recipe.format == Format.AUTO and _is_transparent(recipe)),
        Output.CUTOUT: recipe.format in {Format.PNG, Format.AUTO, Format.JPG},
    }
    shrunk = [output for output in recipe.outputs if is_png.get(output, False)]
    if shrunk:
        has_transparency = Output.CUTOUT in shrunk or _is_transparent(recipe)
        others = "webp or avif" if has_transparency else "jpg, webp or avif"
        remedy = (
            f"a png meets max_bytes={recipe.files.max_bytes} only by shrinking, and size={size} is "
            f"exact: choose {others}, whose quality can be lowered, or leave max_bytes or size out"
        )
        yield from _each(remedy, "max_bytes", "size", "format")


def _join_names(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _model(recipe: Recipe, cards: Sequence[ModelCard]) -> Iterator[FieldError]:
    card = find_card(cards, recipe.models[TaskName.SEGMENTATION], recipe.subject)
    if card is None:
        return
    yield from _wrong_order(card, recipe.params.get(TaskName.SEGMENTATION, {}))
    if recipe.persons != PersonSelection.ALL and not card.instances:
        able = [card.name for card in cards if card.instances]
        yield from _missing_ability(card, "persons", "does not separate persons", able)
    if Output.PERSONS in recipe.outputs and not card.instances:
        able = [card.name for card in cards if card.instances]
        yield from _missing_ability(card, "outputs", "does not separate persons", able)
    if Output.DEBUG in recipe.outputs and not card.explains:
        able = [card.name for card in cards if card.explains]
        yield from _missing_ability(card, "outputs", "has no debug output", able)


def _wrong_order(card: ModelCard, given: Parameters) -> Iterator[FieldError]:
    values = card.completed(given)
    for low, high in card.ascending:
        # Both are numbers, as `ascending` names numeric parameters only.
        if float(values[low]) > float(values[high]):
            remedy = f"{low} ({values[low]}) is more than {high} ({values[high]})"
            yield from _each(remedy, *(f"{card.task}.params.{name}" for name in (low, high)))


def _missing_ability(
    card: ModelCard, name: str, what: str, able: Sequence[str]
) -> Iterator[FieldError]:
    remedy = f"{card.name} {what}; models that can: {', '.join(able) or 'none offered'}"
    yield from _each(remedy, name, f"{card.task}.model")
