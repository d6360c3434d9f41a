"""Parse a recipe from the fields of a form or a command line, collecting every error.

Names, values and defaults are those of docs/contract.md.
"""

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import partial
from types import MappingProxyType
from typing import TypeVar

from smart_filter_shared.catalog.filters import FilterCard
from smart_filter_shared.catalog.model_card import ModelCard
from smart_filter_shared.catalog.parameters import Scalar
from smart_filter_shared.errors import FieldError, InvalidRecipe, NotAvailable
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.presets import PRESETS, Preset
from smart_filter_shared.priority import Priority
from smart_filter_shared.recipe import background, files, filters, framing, look
from smart_filter_shared.recipe.contradictions import find_card, reject_contradictions
from smart_filter_shared.recipe.files import Effort, Files
from smart_filter_shared.recipe.filters import Filter
from smart_filter_shared.recipe.framing import Crop, Framing
from smart_filter_shared.recipe.look import Look
from smart_filter_shared.recipe.recipe import (
    CHOOSABLE_TASKS,
    Background,
    BackgroundKind,
    Edge,
    Format,
    Output,
    PersonSelection,
    Recipe,
    parse_persons,
)
from smart_filter_shared.recipe.words import AUTO, NotServedYet, json_pointer, quote_value

# JSON numbers above this lose digits in JavaScript clients (ECMA-262 Number.MAX_SAFE_INTEGER).
MAX_SEED = 2**53 - 1
# The form part of an uploaded background, which `background=file` refers to.
BACKGROUND_FILE = "background_file"
# Longest deadline: a week.
MAX_DEADLINE_MS = 7 * 24 * 3600 * 1000
MAX_METADATA = 16
MAX_METADATA_CHARACTERS = 256

# Prefix of the names of filter parameters.
_FILTER_PREFIX = "filters."
_METADATA = re.compile(r"metadata\.([A-Za-z0-9_.-]{1,64})")
_PERSONS = re.compile(r"all|largest|[1-9][0-9]{0,2}( ?, ?[1-9][0-9]{0,2}){0,99}")
_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")


def parse(
    fields: Mapping[str, Sequence[str]],
    *,
    offered: Mapping[TaskName, Sequence[ModelCard]],
    faults: Mapping[tuple[TaskName, str], str] = MappingProxyType({}),
    presets: Sequence[Preset] = PRESETS,
    with_background_file: bool = False,
) -> Recipe:
    """Parse the fields of a form or the options of a command line.

    fields: values in order, by name as the contract writes it, dots included.
    offered: by task, the models that a pool of workers serves.
    faults: why other known models are not offered, by task and name.
    presets: backgrounds that the caller may name.
    with_background_file: whether a background file was sent; `file` is then the default.
    Raises InvalidRecipe naming every wrong field, Contradiction naming every field that
    contradicts another, or NotAvailable when every error is a value that is not served now.
    """
    reader = _Reader(fields)
    models = {
        task: reader.one(f"{task}.model", _model_of(task, offered.get(task, ()), faults), AUTO)
        for task in CHOOSABLE_TASKS
    }
    recipe = Recipe(
        background=reader.background(presets, with_file=with_background_file),
        outputs=reader.listed("outputs", _output, (Output.IMAGE,)),
        format=reader.one("format", _format, Format.AUTO),
        quality=reader.one("quality", _integer_within(1, 100), 90),
        files=_files(reader),
        edge=reader.one("edge", _edge, Edge.BALANCED),
        framing=_framing(reader),
        look=_look(reader),
        filters=reader.filters(),
        require_person=reader.one("require_person", _boolean, False),
        priority=reader.one("priority", _priority, Priority.STANDARD),
        run_at=reader.one("run_at", _moment, None),
        deadline_ms=reader.one("deadline_ms", _integer_within(1, MAX_DEADLINE_MS), None),
        seed=reader.one("seed", _integer_within(0, MAX_SEED), None),
        models=models,
        params={
            task: given
            for task, name in models.items()
            if (given := reader.parameters(task, find_card(offered.get(task, ()), name)))
        },
        persons=reader.one("persons", _persons, PersonSelection.ALL),
        metadata=reader.metadata(),
    )
    reader.raise_errors()
    reject_contradictions(
        recipe,
        segmenters=offered.get(TaskName.SEGMENTATION, ()),
        background_file=BACKGROUND_FILE if with_background_file else None,
    )
    return recipe


Value = TypeVar("Value")
Default = TypeVar("Default")


class _Reader:
    """Reads values from a form and collects every error."""

    def __init__(self, fields: Mapping[str, Sequence[str]]) -> None:
        self._left = dict(fields)
        self._wrong: list[FieldError] = []
        self._later: list[FieldError] = []

    def one(self, name: str, read: Callable[[str], Value], default: Default) -> Value | Default:
        """Return the single value of `name`, or the default when it is absent or wrong."""
        texts = self._left.pop(name, ())
        if not texts:
            return default
        if len(texts) > 1:
            self._complain(name, "is given more than once; give it once")
            return default
        return self._read(name, read, texts[0].strip(), default)

    def listed(
        self, name: str, read: Callable[[str], Value], default: tuple[Value, ...]
    ) -> tuple[Value, ...]:
        """Return the values of a field that is repeated or separated by commas, each once."""
        texts = self._left.pop(name, ())
        # Without duplicates, so that a repeated word gives one error.
        parts = dict.fromkeys(part.strip() for text in texts for part in text.split(","))
        values = [self._read(name, read, part, None) for part in parts]
        return tuple(dict.fromkeys(value for value in values if value is not None)) or default

    def background(self, presets: Sequence[Preset], *, with_file: bool) -> Background:
        """Return the background; by default an uploaded file, when there is one."""
        default = Background(BackgroundKind.FILE) if with_file else Background()
        asked = self.one("background", partial(background.read, presets=presets), default)
        if asked.kind == BackgroundKind.FILE and not with_file:
            self._complain(BACKGROUND_FILE, "is missing; send the background as this part")
        return asked

    def filters(self) -> tuple[Filter, ...]:
        """Return the filters of the recipe, in order, with the parameters that were set."""
        asked = self.listed("filters", filters.read_name, ())
        found = tuple(Filter(name, self._filter_parameters(Filter(name).card)) for name in asked)
        for field in [name for name in self._left if name.startswith(_FILTER_PREFIX)]:
            name = field.removeprefix(_FILTER_PREFIX).partition(".")[0]
            self._left.pop(field)
            self._complain(
                field, f"is set, but `filters` does not include {quote_value(name)}: add it there"
            )
        return found

    def _filter_parameters(self, card: FilterCard) -> dict[str, Scalar]:
        prefix = f"{_FILTER_PREFIX}{card.name}."
        for name in card.required:
            if not "".join(self._left.get(f"{prefix}{name}", ())).strip():
                self._left.pop(f"{prefix}{name}", None)
                self._complain(f"{prefix}{name}", f"is missing; {card.name} needs it")
        values = {}
        for field in [name for name in self._left if name.startswith(prefix)]:
            known = card.parameter(field.removeprefix(prefix))
            if known is not None:
                values[known.name] = self.one(field, known.read, known.default)
            else:
                self._left.pop(field)
                names = ", ".join(one.name for one in card.parameters)
                self._complain(field, f"is not a parameter of {card.name}; it has {names}")
        return values

    def metadata(self) -> dict[str, str]:
        """Return the metadata strings, by name without the prefix `metadata.`."""
        names = [name for name in self._left if _METADATA.fullmatch(name)]
        texts = {
            match[1]: self.one(name, _metadata_text, "")
            for name in names
            if (match := _METADATA.fullmatch(name))
        }
        if len(texts) > MAX_METADATA:
            self._complain("metadata", f"has {len(texts)} names; the limit is {MAX_METADATA}")
        return texts

    def parameters(self, task: TaskName, card: ModelCard | None) -> dict[str, Scalar]:
        """Return the parameters that were set for the model of a task."""
        prefix = f"{task}.params."
        values = {}
        for field in [name for name in self._left if name.startswith(prefix)]:
            known = None if card is None else card.parameter(field.removeprefix(prefix))
            if known is not None:
                values[known.name] = self.one(field, known.read, known.default)
            elif card is not None:
                self._left.pop(field)
                names = ", ".join(one.name for one in card.parameters) or "none"
                self._complain(field, f"is not a parameter of {card.name}; it has {names}")
        return values

    def raise_errors(self) -> None:
        """Raise the collected errors, and one for each unknown field."""
        for name in self._left:
            self._complain(name, "is not a field of a recipe; see the contract for the names")
        if self._wrong:
            raise InvalidRecipe(self._wrong + self._later)
        if self._later:
            raise NotAvailable(self._later)

    def _read(
        self, name: str, read: Callable[[str], Value], text: str, default: Default
    ) -> Value | Default:
        try:
            return read(text)
        except NotServedYet as later:
            detail = str(later) or f"{quote_value(text)} is not available yet; choose another"
            self._later.append(FieldError(json_pointer(name), detail))
        except ValueError as error:
            self._complain(name, str(error))
        return default

    def _complain(self, name: str, detail: str) -> None:
        self._wrong.append(FieldError(json_pointer(name), detail))


def _files(reader: _Reader) -> Files:
    default = Files()
    return Files(
        matte_bits=reader.one("matte_bits", files.read_matte_bits, default.matte_bits),
        max_bytes=reader.one("max_bytes", files.read_max_bytes, None),
        keep_metadata=reader.one("keep_metadata", _boolean, default.keep_metadata),
        effort=reader.one("effort", _effort, default.effort),
    )


def _framing(reader: _Reader) -> Framing:
    default = Framing()
    return Framing(
        crop=reader.one("crop", _crop, default.crop),
        margin=reader.one("margin", framing.read_margin, default.margin),
        scale=reader.one("scale", framing.read_scale, default.scale),
        position=reader.one("position", framing.read_position, default.position),
        roi=reader.one("roi", framing.read_roi, default.roi),
        size=reader.one("size", framing.read_size, default.size),
        aspect=reader.one("aspect", framing.read_aspect, default.aspect),
    )


def _look(reader: _Reader) -> Look:
    default = Look()
    return Look(
        shadow=reader.one("shadow", look.read_shadow, default.shadow),
        outline=reader.one("outline", look.read_outline, default.outline),
        light_wrap=reader.one("light_wrap", look.read_share, default.light_wrap),
        harmonise=reader.one("harmonise", look.read_share, default.harmonise),
    )


def _persons(text: str) -> PersonSelection | tuple[int, ...]:
    if not _PERSONS.fullmatch(text):
        raise ValueError(f"{quote_value(text)} is not all, largest, or numbers such as 1,3")
    return parse_persons(text)


def _output(text: str) -> Output:
    return _member(Output, text)


def _edge(text: str) -> Edge:
    return _member(Edge, text)


def _effort(text: str) -> Effort:
    return _member(Effort, text)


def _crop(text: str) -> Crop:
    return _member(Crop, text)


def _format(text: str) -> Format:
    return _member(Format, text)


def _priority(text: str) -> Priority:
    return _member(Priority, text)


def _moment(text: str) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"{quote_value(text)} is not a time such as 2030-01-31T12:00:00Z (RFC 3339)")


Member = TypeVar("Member", bound=StrEnum)


def _member(kind: type[Member], text: str) -> Member:
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"{quote_value(text)} is not one of {', '.join(kind)}") from None


def _model_of(
    task: TaskName, cards: Sequence[ModelCard], faults: Mapping[tuple[TaskName, str], str]
) -> Callable[[str], str]:
    names = [card.name for card in cards]

    def read(text: str) -> str:
        if text != AUTO and text not in names:
            choices = ", ".join([AUTO, *sorted(names)])
            if (task, text) in faults:
                reason = faults[task, text]
                raise NotServedYet(
                    f"no pool of workers offers {text} ({reason}); use one of {choices}"
                )
            raise ValueError(
                f"{quote_value(text)} is not a model that is served; use one of {choices}"
            )
        return text

    return read


def _integer_within(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not _INTEGER.fullmatch(text) or not least <= int(text) <= most:
            raise ValueError(f"{quote_value(text)} is not an integer from {least} to {most}")
        return int(text)

    return read


def _boolean(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError(f"{quote_value(text)} is neither true nor false")
    return text == "true"


def _metadata_text(text: str) -> str:
    if len(text) > MAX_METADATA_CHARACTERS or "\0" in text:
        raise ValueError(f"is not a text of at most {MAX_METADATA_CHARACTERS} characters")
    return text
