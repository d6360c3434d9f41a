"""Parameters of models and filters: data on a card, read from a recipe, shown as JSON Schema.

A model is called with all of its parameters, defaults filled in. Recipes and rows hold only the
parameters that were set.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from smart_filter_shared.catalog.scalars import (
    Scalar,
    as_text,
    quote_value,
    read_boolean,
    read_integer,
    read_number,
)
from smart_filter_shared.suggestions import did_you_mean

Parameters: TypeAlias = Mapping[str, Scalar]


class ParameterKind(StrEnum):
    """The type of a parameter's values, as JSON Schema names it."""

    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    STRING = "string"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value that a recipe can set for a model or a filter.

    title: its meaning in a few words, with the unit.
    least, most: inclusive bounds of a number.  longest: maximum characters of a string.
    choices: the only strings allowed; empty for any.  pattern: a regular expression that a
        whole string must match, "" for none.  form: the pattern's meaning, for people.
    """

    name: str
    kind: ParameterKind
    default: Scalar
    title: str
    least: float | None = None
    most: float | None = None
    longest: int | None = None
    choices: tuple[str, ...] = ()
    pattern: str = ""
    form: str = ""

    def read_value(self, value: Scalar) -> Scalar:
        """Return a client's value in the parameter's type.

        Raises ValueError, which says what is allowed.
        """
        least = -math.inf if self.least is None else self.least
        most = math.inf if self.most is None else self.most
        match self.kind:
            case ParameterKind.BOOLEAN:
                return read_boolean(value)
            case ParameterKind.INTEGER:
                return read_integer(value, least=least, most=most)
            case ParameterKind.NUMBER:
                return read_number(value, least=least, most=most)
            case ParameterKind.STRING:
                return self._string(as_text(value))

    @property
    def schema(self) -> dict[str, object]:
        """The parameter in JSON Schema (2020-12)."""
        keywords = {
            "minimum": self.least,
            "maximum": self.most,
            "maxLength": self.longest,
            "enum": list(self.choices) or None,
            "pattern": f"^(?:{self.pattern})$" if self.pattern else None,
        }
        bounds = {name: value for name, value in keywords.items() if value is not None}
        return {"type": str(self.kind), "title": self.title, "default": self.default, **bounds}

    def _string(self, text: str) -> str:
        if self.choices and text not in self.choices:
            raise ValueError(
                f"{quote_value(text)} is not one of {', '.join(self.choices)}"
                f"{did_you_mean(text, self.choices)}"
            )
        if "\0" in text or (self.longest is not None and len(text) > self.longest):
            raise ValueError(f"is not a text of at most {self.longest} characters")
        if self.pattern and not re.fullmatch(self.pattern, text):
            raise ValueError(f"{quote_value(text)} is not {self.form}")
        return text


def number(name: str, default: float, title: str, *, least: float, most: float) -> Parameter:
    """Return a parameter that is a real number from least to most."""
    return Parameter(name, ParameterKind.NUMBER, default, title, least=least, most=most)


def integer(name: str, default: int, title: str, *, least: int, most: int) -> Parameter:
    """Return a parameter that is a whole number from least to most."""
    return Parameter(name, ParameterKind.INTEGER, default, title, least=least, most=most)


def boolean(name: str, default: bool, title: str) -> Parameter:  # noqa: FBT001 - as its siblings
    """Return a parameter that is true or false."""
    return Parameter(name, ParameterKind.BOOLEAN, default, title)


def choice(name: str, default: str, title: str, *, choices: Iterable[str]) -> Parameter:
    """Return a parameter that is one of `choices`."""
    return Parameter(name, ParameterKind.STRING, default, title, choices=tuple(choices))


def text(
    name: str, default: str, title: str, *, longest: int, pattern: str = "", form: str = ""
) -> Parameter:
    """Return a parameter that is a text; `form` describes `pattern` for people.

    The default must match the pattern, because a client may send it.
    """
    return Parameter(
        name, ParameterKind.STRING, default, title, longest=longest, pattern=pattern, form=form
    )


def fill_defaults(parameters: Iterable[Parameter], given: Parameters) -> dict[str, Scalar]:
    """Return every parameter's value: the given value, or the default."""
    return {
        parameter.name: given.get(parameter.name, parameter.default) for parameter in parameters
    }


def schema(parameters: Iterable[Parameter]) -> dict[str, object]:
    """Return the parameters as one JSON Schema object."""
    properties = {parameter.name: parameter.schema for parameter in parameters}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def float_of(parameters: Parameters, name: str) -> float:
    """Return a number.  Raises TypeError when the parameter is not a number."""
    value = parameters[name]
    if isinstance(value, bool | str):
        raise TypeError(f"parameter {name} is {value!r}, not a number")
    return float(value)


def int_of(parameters: Parameters, name: str) -> int:
    """Return an integer.  Raises TypeError when the parameter is not an integer."""
    value = parameters[name]
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"parameter {name} is {value!r}, not an integer")
    return value


def bool_of(parameters: Parameters, name: str) -> bool:
    """Return a boolean.  Raises TypeError when the parameter is not a boolean."""
    value = parameters[name]
    if not isinstance(value, bool):
        raise TypeError(f"parameter {name} is {value!r}, not true or false")
    return value


def str_of(parameters: Parameters, name: str) -> str:
    """Return a string.  Raises TypeError when the parameter is not a string."""
    value = parameters[name]
    if not isinstance(value, str):
        raise TypeError(f"parameter {name} is {value!r}, not a string")
    return value
