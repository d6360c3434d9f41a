"""What the readers of a recipe's parts share: words, colours, quotes."""

import math
from decimal import Decimal
from typing import Final

from coloraide import Color

AUTO: Final = "auto"


class Later(Exception):
    """The contract or a card knows this name or value; nobody serves it now."""


def shown(text: str) -> str:
    """Quote what somebody sent, short enough for an error message."""
    most = 60
    return repr(text if len(text) <= most else text[:most] + "…")


def plain(number: float) -> str:
    """Return a number as recipes write it: as short as it is exact, without an exponent."""
    return f"{Decimal(repr(number)).normalize():f}"


def is_colour(text: str) -> bool:
    """Whether this is a CSS colour that a screen can show something for."""
    try:
        found = Color.match(text, fullmatch=True)
        return found is not None and all(
            math.isfinite(level) for level in found.color.convert("srgb").fit().coords(nans=False)
        )
    except OverflowError:
        return False


def pointer(name: str) -> str:
    """Return the JSON Pointer (RFC 6901) of a dotted name."""
    return "/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in name.split("."))
