"""The parameters of a model: data on its card, read from a recipe, shown as JSON Schema.

A model that has parameters is called with all of them, the defaults filled in; recipes and
rows hold only those that somebody set.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

Scalar: TypeAlias = float | int | bool | str
Parameters: TypeAlias = Mapping[str, Scalar]

MAX_DIGITS = 20


class Kind(StrEnum):
    """What values a parameter takes, as JSON Schema names them."""

    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    STRING = "string"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value that a recipe may set for a model.

    title: what it does, in a few words, with its unit.
    least, most: bounds of a number, both included; longest: of a string, in characters.
    choices: the only strings allowed; empty for any.  pattern: a regular expression that a
        whole string must match, "" for none; form: what it means, for people.
    """

    name: str
    kind: Kind
    default: Scalar
    title: str
    least: float | None = None
    most: float | None = None
    longest: int | None = None
    choices: tuple[str, ...] = ()
    pattern: str = ""
    form: str = ""

    def read(self, text: str) -> Scalar:
        """Return the value that a form's text means.  Raises ValueError saying what is allowed."""
        match self.kind:
            case Kind.BOOLEAN:
                if text not in {"true", "false"}:
                    raise ValueError(f"{_shown(text)} is neither true nor false")
                return text == "true"
            case Kind.STRING:
                return self._string(text)
            case _:
                return self._number(text)

    @property
    def schema(self) -> dict[str, object]:
        """The parameter in JSON Schema (2020-12)."""
        told = {
            "minimum": self.least,
            "maximum": self.most,
            "maxLength": self.longest,
            "enum": list(self.choices) or None,
            "pattern": f"^(?:{self.pattern})$" if self.pattern else None,
        }
        bounds = {name: value for name, value in told.items() if value is not None}
        return {"type": str(self.kind), "title": self.title, "default": self.default, **bounds}

    def _number(self, text: str) -> Scalar:
        read = int if self.kind == Kind.INTEGER else float
        # Python reads 1_000 and digits of other scripts; a recipe is ASCII.
        plain = len(text) <= MAX_DIGITS and text.isascii() and "_" not in text
        try:
            value = read(text) if plain else math.nan
        except ValueError:
            value = math.nan
        least = -math.inf if self.least is None else self.least
        most = math.inf if self.most is None else self.most
        if not least <= value <= most:  # not a number is not within anything
            what = "an integer" if self.kind == Kind.INTEGER else "a number"
            raise ValueError(f"{_shown(text)} is not {what} from {least:g} to {most:g}")
        return value

    def _string(self, text: str) -> str:
        if self.choices and text not in self.choices:
            raise ValueError(f"{_shown(text)} is none of {', '.join(self.choices)}")
        if "\0" in text or (self.longest is not None and len(text) > self.longest):
            raise ValueError(f"is not a text of at most {self.longest} characters")
        if self.pattern and not re.fullmatch(self.pattern, text):
            raise ValueError(f"{_shown(text)} is not {self.form}")
        return text


def number(name: str, default: float, title: str, *, least: float, most: float) -> Parameter:
    """Return a parameter that is a real number from least to most."""
    return Parameter(name, Kind.NUMBER, default, title, least=least, most=most)


def integer(name: str, default: int, title: str, *, least: int, most: int) -> Parameter:
    """Return a parameter that is a whole number from least to most."""
    return Parameter(name, Kind.INTEGER, default, title, least=least, most=most)


def boolean(name: str, default: bool, title: str) -> Parameter:  # noqa: FBT001 - as its siblings
    """Return a parameter that is true or false."""
    return Parameter(name, Kind.BOOLEAN, default, title)


def choice(name: str, default: str, title: str, *, choices: Iterable[str]) -> Parameter:
    """Return a parameter that is one of some words."""
    return Parameter(name, Kind.STRING, default, title, choices=tuple(choices))


def text(
    name: str, default: str, title: str, *, longest: int, pattern: str = "", form: str = ""
) -> Parameter:
    """Return a parameter that is a text; `form` says what one that matches `pattern` is.

    The default matches too: it may be sent.
    """
    return Parameter(name, Kind.STRING, default, title, longest=longest, pattern=pattern, form=form)


def completed(parameters: Iterable[Parameter], given: Parameters) -> dict[str, Scalar]:
    """Return every parameter's value: the given one, else the default."""
    return {one.name: given.get(one.name, one.default) for one in parameters}


def schema(parameters: Iterable[Parameter]) -> dict[str, object]:
    """Return the parameters as one JSON Schema object."""
    properties = {one.name: one.schema for one in parameters}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def float_of(parameters: Parameters, name: str) -> float:
    """Return a number.  Raises TypeError when the parameter is none."""
    value = parameters[name]
    if isinstance(value, bool | str):
        raise TypeError(f"parameter {name} is {value!r}, not a number")
    return float(value)


def int_of(parameters: Parameters, name: str) -> int:
    """Return an integer.  Raises TypeError when the parameter is none."""
    value = parameters[name]
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"parameter {name} is {value!r}, not an integer")
    return value


def bool_of(parameters: Parameters, name: str) -> bool:
    """Return true or false.  Raises TypeError when the parameter is neither."""
    value = parameters[name]
    if not isinstance(value, bool):
        raise TypeError(f"parameter {name} is {value!r}, not true or false")
    return value


def str_of(parameters: Parameters, name: str) -> str:
    """Return a string.  Raises TypeError when the parameter is none."""
    value = parameters[name]
    if not isinstance(value, str):
        raise TypeError(f"parameter {name} is {value!r}, not a string")
    return value


def _shown(text: str) -> str:
    """Quote what somebody sent, short enough for an error message."""
    most = 60
    return repr(text if len(text) <= most else text[:most] + "…")
