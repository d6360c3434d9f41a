"""Read numbers, Booleans and texts as JSON has them, or as a form writes them.

A form holds only text, and JSON may hold that text too: `90` and `"90"` are the same integer.
"""

import math
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final, TypeAlias

Scalar: TypeAlias = float | int | bool | str
# A field's value: one scalar, or the scalars of a list or of a repeated field in order.
Value: TypeAlias = Scalar | Sequence[Scalar]

MAX_DIGITS: Final = 20
_MAX_QUOTED_CHARACTERS: Final = 60
# Python's `int` also parses 1_000 and digits of other scripts.
_INTEGER: Final = re.compile(rf"[+-]?[0-9]{{1,{MAX_DIGITS}}}")


def as_list(value: Value) -> Sequence[Scalar]:
    """Return the scalars of a field's value."""
    return [value] if isinstance(value, str | int | float) else value


def as_text(value: Scalar) -> str:
    """Return a scalar as a form writes it."""
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return format_number(value)
        case _:
            return str(value)


def format_number(number: float) -> str:
    """Return a number as recipes write it: the shortest exact form, without an exponent."""
    return f"{Decimal(repr(number)).normalize():f}"


def quote_value(value: Scalar) -> str:
    """Return a client's value, a text quoted, cut short enough for an error message."""
    shown = shorten_value(value)
    return repr(shown) if isinstance(value, str) else shown


def shorten_value(value: Scalar) -> str:
    """Return a client's value as text, cut short enough for an error message."""
    text = as_text(value)
    return text if len(text) <= _MAX_QUOTED_CHARACTERS else text[:_MAX_QUOTED_CHARACTERS] + "…"


def read_boolean(value: Scalar) -> bool:
    """Return a Boolean.  Raises ValueError for anything else.

    Clients in Python write `True` and `False` into forms.
    """
    if isinstance(value, bool):
        return value
    if value not in {"true", "false", "True", "False"}:
        raise ValueError(f"{quote_value(value)} is neither true nor false")
    return value in {"true", "True"}


def read_integer(value: Scalar, *, least: float, most: float) -> int:
    """Return an integer from least to most.  Raises ValueError for anything else."""
    match value:
        case str():
            is_integer = _INTEGER.fullmatch(value) is not None
        case float():
            is_integer = value.is_integer()
        case _:
            is_integer = not isinstance(value, bool)
    if not is_integer or not least <= int(value) <= most:
        raise ValueError(
            f"{quote_value(value)} is not an integer from {as_text(least)} to {as_text(most)}"
        )
    return int(value)


def read_number(value: Scalar, *, least: float, most: float) -> float:
    """Return a number from least to most.  Raises ValueError for anything else."""
    number = _parse_number(value) if isinstance(value, str) else value
    if isinstance(number, bool) or not least <= number <= most:  # also rejects NaN
        raise ValueError(
            f"{quote_value(value)} is not a number from {as_text(least)} to {as_text(most)}"
        )
    return float(number)


def _parse_number(text: str) -> float:
    """Return the number of a form's text, NaN for another text."""
    # Python also parses 1_000 and digits of other scripts.
    if len(text) > MAX_DIGITS or not text.isascii() or "_" in text:
        return math.nan
    try:
        return float(text)
    except ValueError:
        return math.nan
