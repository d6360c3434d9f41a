"""Parse a recipe from its fields, collecting every error, and read stored recipes again.

`declaration` tells how a field is declared. A value is what JSON has for it, or the
text of a form, which `catalog.scalars` reads by the field's type.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar

from smart_filter_shared.catalog.filters import FILTERS, FilterCard
from smart_filter_shared.catalog.model_card import ModelCard
from smart_filter_shared.catalog.scalars import (
    Scalar,
    Value,
    as_list,
    as_text,
    quote_value,
)
from smart_filter_shared.errors import FieldError, InvalidRecipe, NotAvailable
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.presets import PRESETS, BackgroundSource, Preset, Style
from smart_filter_shared.recipe import background, look
from smart_filter_shared.recipe.background import Background, BackgroundKind
from smart_filter_shared.recipe.contradictions import find_card, reject_contradictions
from smart_filter_shared.recipe.declaration import AUTO, json_pointer
from smart_filter_shared.recipe.document_photos import document_photos, find_stored_document
from smart_filter_shared.recipe.files import Provenance
from smart_filter_shared.recipe.look import Filter
from smart_filter_shared.recipe.recipe import (
    CHOOSABLE_TASKS,
    MAX_METADATA,
    MAX_METADATA_CHARACTERS,
    Recipe,
    declared_fields,
)
from smart_filter_shared.security.outbound_rules import OutboundRules
from smart_filter_shared.suggestions import did_you_mean

# The values of a recipe's fields, by name as the contract writes it, dots included.
Fields: TypeAlias = Mapping[str, Value]
Given = TypeVar("Given")

# The form part of an uploaded background, which `background=file` refers to.
BACKGROUND_FILE = "background_file"
# The fields that follow from a document where a request gives none.
FOLLOWING_DOCUMENT = (
    *("background", "persons", "subject", "format", "max_bytes"),
    *("shadow", "light_wrap", "harmonize"),
)
# Values of one list, more than any list of the recipe has use for; and unknown fields for which a
# similar name is searched, half a millisecond each.
_MAX_LISTED = 64
_MAX_SUGGESTIONS = 10

# Prefix of the names of filter parameters.
_FILTER_PREFIX = "filters."
_METADATA_PREFIX = "metadata."
_METADATA = re.compile(r"metadata\.([A-Za-z0-9_.-]{1,64})")
_DEFAULT = Recipe()
# The names at the top of a recipe in JSON; `recipe` names saved recipes.
NAMES = tuple(declared_fields())
# The names that are compared with an unknown one; names of parameters depend on the model.
_KNOWN_NAMES = (
    *(name for name in NAMES if name not in {*CHOOSABLE_TASKS}),
    *(f"{task}.model" for task in CHOOSABLE_TASKS),
)
# Names of the contract that other code has read before, where it can.
_UNREAD = {
    "recipe": "is applied by a server only; give the fields of the saved recipe",
    "metadata": f"has no name; write `{_METADATA_PREFIX}NAME`",
}
_NO_CERTIFICATE = (
    "c2pa needs a certificate, and this server has none: set SMART_FILTER_C2PA_CERTIFICATE and"
    " SMART_FILTER_C2PA_KEY, or leave it out"
)
_NO_PICTURE = (
    "brand needs a background of your own, and there is none: add one with"
    " `smart-filter backgrounds add`, or choose another style"
)


def parse(
    fields: Fields,
    *,
    offered: Mapping[TaskName, Sequence[ModelCard]],
    faults: Mapping[tuple[TaskName, str], str] = MappingProxyType({}),
    presets: Sequence[Preset] = PRESETS,
    logos: Collection[str] = (),
    with_background_file: bool = False,
    outbound: OutboundRules | None = None,
    signs: bool = True,
) -> Recipe:
    """Parse the fields of a JSON recipe, of a form or of a command line.

    offered: by task, the models that a pool of workers serves.
    faults: why other known models are not offered, by task and name.
    presets: backgrounds that the caller may name.  logos: names of its logos.
    with_background_file: whether a background file was sent; `file` is then the default.
    outbound: refuses backgrounds at URLs that can never be fetched; None: a worker decides.
    signs: whether workers have a certificate for Content Credentials.
    Raises InvalidRecipe naming every wrong field, Contradiction naming every field that
    contradicts another, or NotAvailable when every error is a value that is not served now.
    """
    reader = _Reader(_with_document(fields))
    models = {task: reader.model(task, offered.get(task, ()), faults) for task in CHOOSABLE_TASKS}
    asked_background = reader.background(presets, outbound, with_file=with_background_file)
    plain_fields = reader.plain_fields()
    recipe = replace(
        plain_fields,
        background=asked_background,
        filters=reader.filters(),
        models=models,
        params={
            task: given
            for task, name in models.items()
            if (card := find_card(offered.get(task, ()), name, plain_fields.subject)) is not None
            and (given := reader.parameters(f"{task}.params.", card))
        },
        metadata=reader.metadata(),
    )
    reader.check_logo(recipe.logo.name, logos)
    if recipe.style == Style.BRAND and all(
        preset.source == BackgroundSource.GENERATED for preset in presets
    ):
        reader.refuse_for_now("style", _NO_PICTURE)
    if recipe.files.provenance == Provenance.C2PA and not signs:
        reader.refuse_for_now("provenance", _NO_CERTIFICATE)
    reader.refuse_rest()
    reader.raise_errors()
    reject_contradictions(
        recipe,
        segmenters=offered.get(TaskName.SEGMENTATION, ()),
        background_file=BACKGROUND_FILE if with_background_file else None,
    )
    return recipe


def _with_document(fields: Fields) -> Fields:
    """Return the fields with those that follow from a document; what is given takes precedence."""
    names = [name for name in as_list(fields.get("document", ())) if isinstance(name, str)]
    row = document_photos().get(names[0].strip()) if names else None
    if row is None:
        return fields
    follows: dict[str, Value] = {
        "background": f"color:{row.backgrounds[0]}",
        "subject": "people",
        "format": "jpg",
        # Nothing is retouched.
        "shadow": "none",
        "light_wrap": "0",
        "harmonize": "0",
    }
    outputs = str(fields.get("outputs", "image"))
    if row.bytes is not None and ("image" in outputs or "cutout" in outputs):
        follows["max_bytes"] = row.bytes[1]
    # Only some models separate persons, and no mask.
    usual = {"mask": "model", "segmentation.model": AUTO, "subject": "people"}
    if {**usual, **fields}.items() >= usual.items():
        follows["persons"] = "largest"
    return {**follows, **fields}


def from_json(
    stored: Mapping[str, Any],  # JSON; a value of another type raises
    *,
    seed: int,
    metadata: Mapping[str, str],
) -> Recipe:
    """Return the recipe that `Recipe.as_json` wrote; missing fields have their defaults.

    What may have gone since is not looked up: background, filters, models and their parameters;
    a document may be `is_gone`.
    Raises ValueError, LookupError or TypeError for what only a later version can read.
    """
    # Unset fields are null.
    given = {name: value for name, value in stored.items() if value is not None}
    document = given.pop("document", "none")
    reader = _Reader(given)
    choices = {task: stored[task] for task in CHOOSABLE_TASKS}
    plain_fields = reader.plain_fields()
    row = None if document == "none" else find_stored_document(document)
    recipe = replace(
        plain_fields,
        framing=replace(plain_fields.framing, document=row),
        filters=tuple(
            Filter(stored_filter["name"], stored_filter["params"])
            for stored_filter in stored.get("filters", ())
        ),
        models={task: choice["model"] for task, choice in choices.items()},
        params={task: given for task, choice in choices.items() if (given := choice.get("params"))},
        seed=seed,
        metadata=metadata,
    )
    try:
        reader.raise_errors()
    except InvalidRecipe as error:
        raise ValueError(f"not a stored recipe: {error}") from error
    return recipe


def respell_names(fields: Mapping[str, Given]) -> dict[str, Given]:
    """Return the fields with `harmonise`, the spelling of outside programs, as `harmonize`."""
    return {
        "harmonize" if name == "harmonise" and "harmonize" not in fields else name: value
        for name, value in fields.items()
    }


def drop_replaced(fields: Fields, names: Collection[str]) -> dict[str, Value]:
    """Return the fields without these names and without the names below them.

    Its parameters belong to a model, and to any other name what is below it, such as
    `filters.hat.kind` to `filters`.
    """
    below = tuple(
        f"{name.removesuffix('model')}params." if name.endswith(".model") else f"{name}."
        for name in names
        if not name.startswith(_METADATA_PREFIX)  # dots of these names mean nothing
    )
    return {
        name: value
        for name, value in fields.items()
        if name not in names and not name.startswith(below)
    }


Parsed = TypeVar("Parsed")
Default = TypeVar("Default")


class _Reader:
    """Reads the values of fields and collects every error."""

    def __init__(self, fields: Fields) -> None:
        self._left = dict(fields)
        self._wrong: list[FieldError] = []
        self._later: list[FieldError] = []

    def plain_fields(self) -> Recipe:
        """Return a recipe with the fields whose values stand alone."""
        values: dict[str, dict[str, Any]] = defaultdict(dict)  # by part and attribute
        for field in declared_fields().values():
            if field.kind is None or field.name not in self._left:
                continue
            if field.is_list:
                given = self._listed(field.name)
                value = self._read_value(field.name, field.read, given, None) if given else None
            else:
                value = self.scalar(field.name, field.read, None)
            if value is not None:
                values[field.part][field.attribute] = value
        recipe = replace(_DEFAULT, **values.pop("", {}))
        parts = {part: replace(getattr(recipe, part), **some) for part, some in values.items()}
        return replace(recipe, **parts)

    def scalar(
        self, name: str, read: Callable[[Scalar], Parsed], default: Default
    ) -> Parsed | Default:
        """Return the value of a field, or the default when it is absent or wrong."""
        value = self._take(name)
        return default if value is None else self._read_value(name, read, value, default)

    def text(self, name: str, read: Callable[[str], Parsed], default: Default) -> Parsed | Default:
        """Return the value of a field that is a text, or the default when it is absent or wrong."""
        value = self._take(name)
        return default if value is None else self._read_value(name, read, as_text(value), default)

    def background(
        self, presets: Sequence[Preset], outbound: OutboundRules | None, *, with_file: bool
    ) -> Background:
        """Return the background; by default an uploaded file, when there is one."""
        default = Background(BackgroundKind.FILE) if with_file else Background()
        read = partial(background.parse_background, presets=presets, outbound=outbound)
        asked = self.text("background", read, default)
        if asked.kind == BackgroundKind.FILE and not with_file:
            self._refuse(BACKGROUND_FILE, "is missing; send the background as this part")
        return asked

    def check_logo(self, name: str | None, logos: Collection[str]) -> None:
        """Record an error for a logo that the caller does not have."""
        if name is not None and name not in logos:
            near = did_you_mean(name, logos) or (
                "; add it with `smart-filter backgrounds add FILE --logo`"
            )
            self._refuse(
                "logo", f"{quote_value(name)} is not a logo that GET /v1/recipes lists{near}"
            )

    def filters(self) -> tuple[Filter, ...]:
        """Return the filters of the recipe, in order, with the parameters that were set."""
        read = (
            self._read_value("filters", look.read_filter_name, name, None)
            for name in self._listed("filters")
        )
        asked_filters = tuple(
            Filter(name, self._filter_parameters(Filter(name).card)) for name in read if name
        )
        names = [card.name for card in FILTERS]
        for field in self._names_below(_FILTER_PREFIX):
            name = field.removeprefix(_FILTER_PREFIX).partition(".")[0]
            self._refuse(
                field,
                f"is set, but `filters` does not include {quote_value(name)}: add it there"
                if name in names
                else f"is a parameter of {quote_value(name)}, which is not a filter"
                f"{did_you_mean(name, names) or '; use one of ' + ', '.join(names)}",
            )
        return asked_filters

    def _filter_parameters(self, card: FilterCard) -> dict[str, Scalar]:
        prefix = f"{_FILTER_PREFIX}{card.name}."
        for name in card.required:
            values = as_list(self._left.get(f"{prefix}{name}", ()))
            if not "".join(map(as_text, values)).strip():
                self._refuse(f"{prefix}{name}", f"is missing; {card.name} needs it")
        return self.parameters(prefix, card)

    def model(
        self,
        task: TaskName,
        cards: Sequence[ModelCard],
        faults: Mapping[tuple[TaskName, str], str],
    ) -> str:
        """Return the model of a task: `auto`, or the name of one of the cards."""
        field = f"{task}.model"
        name = self.text(field, str, AUTO)
        names = [card.name for card in cards]
        if name == AUTO or name in names:
            return name
        choices = ", ".join([AUTO, *sorted(names)])
        if (task, name) in faults:
            detail = (
                f"no pool of workers offers {name} ({faults[task, name]}); use one of {choices}"
            )
            self.refuse_for_now(field, detail)
        else:
            self._refuse(
                field,
                f"{quote_value(name)} is not a model that is served; use one of {choices}"
                f"{did_you_mean(name, names)}",
            )
        return AUTO

    def parameters(self, prefix: str, card: ModelCard | FilterCard) -> dict[str, Scalar]:
        """Return the parameters of a model or a filter that were set."""
        values = {}
        for field in self._names_below(prefix):
            parameter = card.parameter(field.removeprefix(prefix))
            if parameter is not None:
                values[parameter.name] = self.scalar(field, parameter.read_value, parameter.default)
            else:
                names = ", ".join(parameter.name for parameter in card.parameters) or "none"
                near = did_you_mean(
                    field.removeprefix(prefix), (parameter.name for parameter in card.parameters)
                )
                self._refuse(field, f"is not a parameter of {card.name}; it has {names}{near}")
        return values

    def metadata(self) -> dict[str, str]:
        """Return the metadata strings, by name without the prefix `metadata.`."""
        names = [name for name in self._left if _METADATA.fullmatch(name)]
        if len(names) > MAX_METADATA:
            self._refuse("metadata", f"has {len(names)} names; the limit is {MAX_METADATA}")
        return {
            name.removeprefix(_METADATA_PREFIX): self.text(name, _metadata_text, "")
            for name in names
        }

    def refuse_for_now(self, name: str, detail: str) -> None:
        """Record an error for a valid value that this server does not serve."""
        self._later.append(FieldError(json_pointer(name), detail))

    def refuse_rest(self) -> None:
        """Record an error for each field that was not read."""
        for index, name in enumerate(list(self._left)):
            hint = did_you_mean(name, _KNOWN_NAMES) if index < _MAX_SUGGESTIONS else ""
            self._refuse(
                name,
                f"is not a name of metadata: after `{_METADATA_PREFIX}`, use 1 to 64 of the "
                "characters A-Z a-z 0-9 . _ -"
                if name.startswith(_METADATA_PREFIX)
                else _UNREAD.get(name) or f"is not a field of a recipe{hint}",
            )

    def raise_errors(self) -> None:
        """Raise the collected errors."""
        if self._wrong:
            raise InvalidRecipe(self._wrong + self._later)
        if self._later:
            raise NotAvailable(self._later)

    def _names_below(self, prefix: str) -> list[str]:
        return [name for name in self._left if name.startswith(prefix)]

    def _listed(self, name: str) -> list[str]:
        """Return the words of a field that is a list or has commas, each once."""
        texts = [as_text(value) for value in as_list(self._left.pop(name, ()))]
        words = list(dict.fromkeys(part.strip() for text in texts for part in text.split(",")))
        if len(words) <= _MAX_LISTED:
            return words
        self._refuse(name, f"has {len(words)} values; at most {_MAX_LISTED} are allowed")
        return []

    def _take(self, name: str) -> Scalar | None:
        """Return the single value of a field, without the spaces around it; None for no value."""
        values = as_list(self._left.pop(name, ()))
        if len(values) > 1:
            self._refuse(name, "is given more than once; give it once")
        if len(values) != 1:
            return None
        (value,) = values
        return value.strip() if isinstance(value, str) else value

    def _read_value(
        self, name: str, read: Callable[[Given], Parsed], value: Given, default: Default
    ) -> Parsed | Default:
        try:
            return read(value)
        except ValueError as error:
            self._refuse(name, str(error))
            return default

    def _refuse(self, name: str, detail: str) -> None:
        self._left.pop(name, None)
        self._wrong.append(FieldError(json_pointer(name), detail))


def _metadata_text(text: str) -> str:
    if len(text) > MAX_METADATA_CHARACTERS or "\0" in text:
        raise ValueError(
            f"is not a text of at most {MAX_METADATA_CHARACTERS} characters, without NUL"
        )
    return text
