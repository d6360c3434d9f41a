"""Shared parts of the recipe parsers: quoting, numbers, colors and JSON pointers."""

import math
from decimal import Decimal
from typing import Final

from coloraide import Color

AUTO: Final = "auto"


class NotServedYet(Exception):
    """The contract or a card has this name or value, but no worker serves it now."""


def quote_value(text: str) -> str:
    """Return a client's text quoted, and cut short enough for an error message."""
    most = 60
    return repr(text if len(text) <= most else text[:most] + "…")


def format_number(number: float) -> str:
    """Return a number as recipes write it: the shortest exact form, without an exponent."""
    return f"{Decimal(repr(number)).normalize():f}"


def is_color(text: str) -> bool:
    """Return whether a text is a CSS color with finite sRGB levels."""
    try:
        found = Color.match(text, fullmatch=True)
        return found is not None and all(
            math.isfinite(level) for level in found.color.convert("srgb").fit().coords(nans=False)
        )
    except OverflowError:
        return False


def json_pointer(name: str) -> str:
    """Return the JSON Pointer (RFC 6901) of a dotted name."""
    return "/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in name.split("."))
