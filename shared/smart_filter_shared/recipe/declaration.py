"""How a field of a recipe is declared: once, at its attribute; all else follows from that.

`declare` gives an attribute of `Recipe`, or of one of its parts, its default, text and range, and a
`spelling` when its values have a form of their own. From that and the attribute's type follow how
values are read from JSON, forms and stored rows, the recipe as JSON, the cache keys of stages, the
schemas in the API's description, the options of the command line, the form of the studio, the
clients' types and the tables of docs/api/recipes.md.

Spellings share the word `auto`, colors and JSON pointers.
"""

import dataclasses
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property, partial
from typing import Annotated, Any, Final, TypeVar, get_args, get_origin, get_type_hints

from pydantic import (
    BeforeValidator,
    PlainSerializer,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)
from pydantic import Field as Constraints

from smart_filter_shared.catalog.scalars import (
    Scalar,
    as_list,
    as_text,
    quote_value,
    read_boolean,
    read_integer,
)
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.suggestions import did_you_mean
from smart_filter_wire.words import Output

FIRST_VERSION: Final = "0.1"

Word = TypeVar("Word", bound=StrEnum)

AUTO: Final = "auto"
# Colors that need no library: no transparency.
_OPAQUE: Final = re.compile(r"#(?:[0-9a-fA-F]{3}){1,2}")
# Bytes that `max_bytes` may ask for.
MAX_BYTES_LOWER_BOUND: Final = 10_000
MAX_BYTES_UPPER_BOUND: Final = 1_000_000_000


class Group(StrEnum):
    """The heading under which forms and documentation show a field, in their order."""

    PICTURE = "Picture"
    MODELS = "Models"
    FRAME = "Frame"
    EDGE = "Edge and light"
    FILE = "File"
    FILTERS = "Filters"
    LOGO = "Logo"
    RUN = "When it runs"


@dataclass(frozen=True, slots=True)
class Field:
    """The declaration of a field, without its type and default.

    text: its meaning, for schemas, forms and the command line; below a blank line, more for the
        page.  notes: annotations of its type, as pydantic knows them.
    group: if not that of its part.  name: in recipes, if not that of its attribute.
    least, most: the range of a number.  longest: the most characters.  unit: of a number.
    since: the version that brought it.
    stages: those that read it; a stage's results are reused only for the same values.
    outputs: it has no effect unless one of these is made.
    replaces: whether it has no effect on the photo's own background.
    """

    text: str
    notes: Sequence[object] = ()
    group: Group | None = None
    name: str = ""
    least: int | None = None
    most: int | None = None
    longest: int | None = None
    unit: str = ""
    since: str = FIRST_VERSION
    stages: Collection[StageName] = (StageName.COMPOSITE,)
    outputs: frozenset[Output] = frozenset()
    replaces: bool = False


Value = TypeVar("Value")
_DECLARED: Final = "declared"
_TEXT: Final = {"type": "string"}


def declare(
    default: Value,
    text: str,
    notes: Sequence[object] = (),
    **facts: Any,  # noqa: ANN401 - of `Field`
) -> Value:
    """Return the default of an attribute that is a field of the recipe."""
    return field(default=default, metadata={_DECLARED: Field(text, notes, **facts)})


def spelling(
    read: Callable[[str], object],
    write: Callable[[Any], str] = str,  # of the value's own type
    *,
    none: str = "",
    schema: Mapping[str, Any] = _TEXT,  # JSON Schema of any shape
) -> Sequence[object]:
    """Return the annotations of a type whose values a recipe writes as text.

    read: parses the text; its ValueError is the answer to the client.  write: makes it of a value.
    none: the word for None.  schema: what requests may hold.
    """
    return (
        PlainValidator(
            lambda value: None if none and value == none else read(as_text(value)),
        ),
        PlainSerializer(lambda value: none if value is None else write(value), return_type=str),
        WithJsonSchema(dict(schema), mode="validation"),
    )


def parsed(read: Callable[[str], object]) -> BeforeValidator:
    """Return an annotation that parses a text, for a type whose values JSON has."""
    return BeforeValidator(lambda value: read(as_text(value)))


@dataclass(frozen=True)
class RecipeField:
    """A declared field of a recipe.

    kind: its type, with what reads it; None for a field with names below it, which `fields` reads.
    attribute: of the recipe, or of its attribute `part` if that is not empty.
    """

    name: str
    group: Group
    declared: Field
    kind: Any = None  # a type
    default: object = None
    part: str = ""
    attribute: str = ""

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        """Reads and writes values of the field's type."""
        return TypeAdapter(self.kind)

    @cached_property
    def default_json(self) -> Any:  # noqa: ANN401 - JSON of any shape
        """The default as JSON."""
        return self.default if self.kind is None else self.write(self.default)

    @property
    def is_list(self) -> bool:
        """Whether a recipe may give several values."""
        return get_origin(self.kind) is tuple

    @property
    def help(self) -> str:
        """What the field means, and its default."""
        text = " ".join(self.declared.text.partition("\n\n")[0].split())
        return f"{text}; `{self.default_text}` by default" if self.default_text else text

    @property
    def default_text(self) -> str:
        """The default as a form writes it, empty for none."""
        default = "" if self.default_json is None else self.default_json
        return ",".join(map(as_text, as_list(default)))

    def read(self, value: object) -> Any:  # noqa: ANN401 - of the field's type
        """Return a value of JSON or of a form.  Raises ValueError, which says what is allowed."""
        try:
            return self.adapter.validate_python(value)
        except ValidationError as invalid:
            faults = (
                str(fault.get("ctx", {}).get("error", fault["msg"]))
                for fault in invalid.errors(include_url=False)
            )
            raise ValueError("; ".join(dict.fromkeys(faults))) from None

    def write(self, value: object) -> object:
        """Return a value as JSON."""
        return self.adapter.serializer.to_python(
            value, mode="json"
        )  # dump_python takes twice as long

    def value_of(self, recipe: object) -> object:
        """Return a recipe's value as JSON."""
        owner = getattr(recipe, self.part) if self.part else recipe
        return self.write(getattr(owner, self.attribute))


def list_fields(kind: type, group: Group, part: str = "") -> list[RecipeField]:
    """Return the declared fields of a recipe's class, or of one of its parts, in order."""
    types = get_type_hints(kind)
    return [
        RecipeField(
            declared.name or attribute.name,
            declared.group or group,
            declared,
            _readable(types[attribute.name], declared),
            attribute.default,
            part,
            attribute.name,
        )
        for attribute in dataclasses.fields(kind)
        if (declared := attribute.metadata.get(_DECLARED))
    ]


def read_word(kind: type[Word], value: Scalar) -> Word:
    """Return a word of an enumeration.  Raises ValueError, which lists the words, for another."""
    text = as_text(value)
    try:
        return kind(text)
    except ValueError:
        raise ValueError(
            f"{quote_value(text)} is not one of {', '.join(kind)}{did_you_mean(text, kind)}"
        ) from None


def _readable(kind: Any, declared: Field) -> Any:  # noqa: ANN401 - types
    """Return a type with the annotations that read its values as JSON or a form has them."""
    if get_args(kind)[1:] == (...,):
        return tuple[_readable(get_args(kind)[0], declared), ...]  # type: ignore[misc]  # no type
    plain = next((part for part in get_args(kind) if part is not type(None)), kind)
    notes = [Constraints(max_length=declared.longest)]
    if plain is bool:
        notes.append(BeforeValidator(read_boolean))
    elif plain is int and declared.least is not None and declared.most is not None:
        read = partial(read_integer, least=declared.least, most=declared.most)
        notes += [Constraints(ge=declared.least, le=declared.most), BeforeValidator(read)]
    elif isinstance(plain, type) and issubclass(plain, StrEnum):
        notes.append(BeforeValidator(partial(read_word, plain)))
    return Annotated[kind, *notes, *declared.notes]


def is_color(text: str) -> bool:
    """Return whether a text is a CSS color with finite sRGB levels."""
    if _OPAQUE.fullmatch(text):
        return True
    from coloraide import Color  # noqa: PLC0415 - takes 0.1 s and 6 MB, and few jobs need it

    try:
        match = Color.match(text, fullmatch=True)
        return match is not None and all(
            math.isfinite(level) for level in match.color.convert("srgb").fit().coords(nans=False)
        )
    except OverflowError:
        return False


def has_alpha(css_color: str) -> bool:
    """Return whether a valid CSS color is not fully opaque."""
    if _OPAQUE.fullmatch(css_color):
        return False
    from coloraide import Color  # noqa: PLC0415 - as above

    return Color(css_color).alpha(nans=False) < 1


def is_srgb(css_color: str) -> bool:
    """Return whether a valid CSS color is within sRGB, the colors of a picture."""
    if _OPAQUE.fullmatch(css_color):
        return True
    from coloraide import Color  # noqa: PLC0415 - as above

    return bool(Color(css_color).in_gamut("srgb"))


def suggest_color(text: str) -> str:
    """Return the end of a sentence that suggests a CSS color similar to a text, or an empty one."""
    if is_color(f"#{text}"):
        return f"; did you mean #{text}?"
    from coloraide.css.color_names import name2val_map  # noqa: PLC0415 - as above

    return did_you_mean(text, name2val_map)


def json_pointer(name: str) -> str:
    """Return the JSON Pointer (RFC 6901) of a dotted name."""
    return "/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in name.split("."))
