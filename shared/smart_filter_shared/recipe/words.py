"""Shared parts of the recipe parsers: the word `auto`, colors and JSON pointers."""

import math
from typing import Final

from smart_filter_shared.suggestions import did_you_mean

AUTO: Final = "auto"
# Bytes that `max_bytes` may ask for.
MAX_BYTES_LOWER_BOUND: Final = 10_000
MAX_BYTES_UPPER_BOUND: Final = 1_000_000_000


def is_color(text: str) -> bool:
    """Return whether a text is a CSS color with finite sRGB levels."""
    from coloraide import Color  # noqa: PLC0415 - takes 0.1 s and 6 MB, and few jobs need it

    try:
        match = Color.match(text, fullmatch=True)
        return match is not None and all(
            math.isfinite(level) for level in match.color.convert("srgb").fit().coords(nans=False)
        )
    except OverflowError:
        return False


def suggest_color(text: str) -> str:
    """Return the end of a sentence that suggests a CSS color similar to a text, or an empty one."""
    if is_color(f"#{text}"):
        return f"; did you mean #{text}?"
    from coloraide.css.color_names import name2val_map  # noqa: PLC0415 - as above

    return did_you_mean(text, name2val_map)


def json_pointer(name: str) -> str:
    """Return the JSON Pointer (RFC 6901) of a dotted name."""
    return "/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in name.split("."))
