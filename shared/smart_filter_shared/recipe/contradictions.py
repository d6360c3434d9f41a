"""Find fields of a recipe that contradict each other, though each value alone is valid.

One answer lists all contradictions. Every field of a contradiction gets the same sentence.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from smart_filter_shared.catalog.model_card import ModelCard
from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.errors import Contradiction, FieldError
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.recipe.background import BackgroundKind
from smart_filter_shared.recipe.declaration import AUTO, RecipeField, has_alpha, json_pointer
from smart_filter_shared.recipe.files import Provenance
from smart_filter_shared.recipe.framing import Crop, Require, matches_aspect
from smart_filter_shared.recipe.recipe import (
    Format,
    Mask,
    PersonSelection,
    Recipe,
    Subject,
    declared_fields,
)
from smart_filter_wire.words import Output

# What to do about a contradiction, and the fields at fault.
_Fault: TypeAlias = tuple[str, Sequence[str]]
# JPEG shows its blocks in faces below it, by benchmarks.documents.
_DOCUMENT_QUALITY: Final = 75
_AGAINST_DOCUMENT: Final = {
    ("crop", "margin", "aspect", "size", "scale", "position"): "sets the frame",
    (
        "filters",
        "logo",
        "shadow",
        "outline",
        "light_wrap",
        "harmonize",
        "grow",
    ): "retouches nothing",
}
# Values that ask for nothing, whatever the default.
_NOTHING: Final[Sequence[object]] = ("none", "0")


def reject_contradictions(
    recipe: Recipe, *, segmenters: Sequence[ModelCard], background_file: str | None
) -> None:
    """Raise Contradiction, which names every field at fault, when a recipe contradicts itself.

    segmenters: the offered segmentation models.  background_file: the name of the form part of
    an uploaded background, None without one.
    """
    contradictions = [
        FieldError(json_pointer(name), remedy)
        for remedy, names in (
            *_pairs(recipe, segmenters, background_file),
            *_kept_background(recipe),
            *_against_document(recipe),
            *_outputs(recipe),
            *_exact_size_png(recipe),
            *_model(recipe, segmenters),
        )
        for name in names
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


def _pairs(
    recipe: Recipe, segmenters: Sequence[ModelCard], background_file: str | None
) -> list[_Fault]:
    """Return each pair of fields that exclude each other with these values."""
    background, framing, files = recipe.background, recipe.framing, recipe.files
    model = recipe.models[TaskName.SEGMENTATION]
    card = find_card(segmenters, model, recipe.subject)
    any_subject = recipe.subject == Subject.ANY
    takes_upload = recipe.mask == Mask.UPLOAD
    has_provenance = files.provenance != Provenance.NONE
    pairs = (
        (
            background_file is not None and background.kind != BackgroundKind.FILE,
            f"background is {background}, and a background file was sent: send only one",
            ("background", background_file or ""),
        ),
        (
            recipe.format == Format.JPG
            and Output.IMAGE in recipe.outputs
            and _is_transparent(recipe),
            "jpg has no transparency: choose png, or an opaque background",
            ("format", "background"),
        ),
        (
            recipe.require_person and any_subject,
            "subject=any does not look for people: leave require_person out, or subject",
            ("require_person", "subject"),
        ),
        (
            framing.document is not None and any_subject,
            "document needs a person: leave subject=any out, or document",
            ("subject", "document"),
        ),
        (
            any_subject and model != AUTO and card and not card.any_subject,
            f"subject=any has a model of its own: leave segmentation.model={model} out, or subject",
            ("segmentation.model", "subject"),
        ),
        (
            takes_upload and recipe.persons != PersonSelection.ALL,
            "mask=upload has no separate persons: leave persons out, or mask",
            ("persons", "mask"),
        ),
        (
            takes_upload and recipe.grow > 0,
            "a transparent photo has no colors beyond its outline: set grow to 0 or less",
            ("grow", "mask"),
        ),
        (
            framing.document is None
            and framing.crop == Crop.NONE
            and any(side.value for side in framing.margin),
            "margin needs a crop: set crop=true or crop=faces, or leave margin out",
            ("margin", "crop"),
        ),
        (
            not matches_aspect(framing.size, framing.aspect),
            f"{framing.size} does not have the requested aspect: leave one out",
            ("size", "aspect"),
        ),
        (
            framing.document is not None and recipe.quality < _DOCUMENT_QUALITY,
            f"a document's photo has a quality of {_DOCUMENT_QUALITY} or more: leave quality out",
            ("quality", "document"),
        ),
        (
            framing.document is not None and recipe.format in {Format.WEBP, Format.AVIF},
            "a document's photo is a jpg, or a png: leave format out",
            ("format", "document"),
        ),
        (
            framing.document is None and framing.require != Require.NONE,
            "require is about a document: name one, or leave require out",
            ("require", "document"),
        ),
        (
            framing.document is None and Output.SHEET in recipe.outputs,
            "a sheet has photos for a document: name one, or leave sheet out of outputs",
            ("outputs", "document"),
        ),
        (
            has_provenance and recipe.format == Format.AVIF,
            "provenance is written into jpg, png and webp: choose one, or leave provenance out",
            ("provenance", "format"),
        ),
        (
            has_provenance and files.max_bytes is not None,
            "max_bytes, also a document's, does not count Content Credentials: leave one out",
            ("provenance", "max_bytes"),
        ),
    )
    return [(remedy, names) for excludes, remedy, names in pairs if excludes]


def _is_transparent(recipe: Recipe) -> bool:
    background = recipe.background
    return background.kind == BackgroundKind.TRANSPARENT or (
        background.kind == BackgroundKind.COLOR
        and background.value is not None
        and has_alpha(background.value)
    )


def _kept_background(recipe: Recipe) -> Iterator[_Fault]:
    names = [field.name for field in _asked_fields(recipe) if field.declared.replaces]
    if names and recipe.background.kind == BackgroundKind.KEEP:
        remedy = (
            f"{_need(names)} a new background, and background=keep keeps the photo's own: choose "
            f"another background, or leave {_join_names(names)} out"
        )
        yield remedy, (*names, "background")


def _against_document(recipe: Recipe) -> Iterator[_Fault]:
    for field in _asked_fields(recipe) if recipe.framing.document is not None else ():
        for names, what in _AGAINST_DOCUMENT.items():
            if field.name in names:
                remedy = f"document {what}: leave {field.name} out, or document"
                yield remedy, (field.name, "document")


def _outputs(recipe: Recipe) -> Iterator[_Fault]:
    """Yield errors for fields that no requested output shows."""
    names_by_outputs: dict[frozenset[Output], list[str]] = defaultdict(list)
    for field in _asked_fields(recipe):
        if field.declared.outputs and not field.declared.outputs & set(recipe.outputs):
            names_by_outputs[field.declared.outputs].append(field.name)
    for needed, names in names_by_outputs.items():
        remedy = (
            f"{_need(names)} {' or '.join(sorted(needed))} in outputs: add one, or leave "
            f"{_join_names(names)} out"
        )
        yield remedy, (*names, "outputs")


def _asked_fields(recipe: Recipe) -> list[RecipeField]:
    """Return the fields that ask for something: neither the default, nor nothing."""
    written = recipe.as_json()
    return [
        field
        for name, field in declared_fields().items()
        if name in written and written[name] != field.default_json and written[name] not in _NOTHING
    ]


def _exact_size_png(recipe: Recipe) -> Iterator[_Fault]:
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
        yield remedy, ("max_bytes", "size", "format")


def _need(names: Sequence[str]) -> str:
    return f"{_join_names(names)} {'needs' if len(names) == 1 else 'need'}"


def _join_names(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _model(recipe: Recipe, cards: Sequence[ModelCard]) -> Iterator[_Fault]:
    card = find_card(cards, recipe.models[TaskName.SEGMENTATION], recipe.subject)
    if card is None:
        return
    yield from _wrong_order(card, recipe.params.get(TaskName.SEGMENTATION, {}))
    separates = ("does not separate persons", [card for card in cards if card.instances])
    explains = ("has no debug output", [card for card in cards if card.explains])
    for name, is_asked, (lack, able) in (
        ("persons", recipe.persons != PersonSelection.ALL, separates),
        ("outputs", Output.PERSONS in recipe.outputs, separates),
        ("outputs", Output.DEBUG in recipe.outputs, explains),
    ):
        if is_asked and card not in able:
            names = ", ".join(card.name for card in able) or "none offered"
            yield f"{card.name} {lack}; models that can: {names}", (name, f"{card.task}.model")


def _wrong_order(card: ModelCard, given: Parameters) -> Iterator[_Fault]:
    values = card.completed(given)
    for low, high in card.ascending:
        # Both are numbers, as `ascending` names numeric parameters only.
        if float(values[low]) > float(values[high]):
            remedy = f"{low} ({values[low]}) is more than {high} ({values[high]})"
            yield remedy, [f"{card.task}.params.{name}" for name in (low, high)]
