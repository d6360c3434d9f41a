"""Parse and format the logo that is drawn on the finished picture."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from smart_filter_shared.catalog.scalars import format_number, quote_value
from smart_filter_shared.recipe.framing import Length

MIN_WIDTH_PERCENT: Final = 1
NONE: Final = "none"

_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,4})?)%")
# Longest name: `tenant/` and that of a stored picture.
_MAX_NAME_CHARACTERS: Final = 100


class LogoPlace(StrEnum):
    """The corner, side or middle of the picture that a logo is in."""

    BOTTOM_RIGHT = "bottom-right"
    BOTTOM = "bottom"
    BOTTOM_LEFT = "bottom-left"
    RIGHT = "right"
    CENTER = "center"
    LEFT = "left"
    TOP_RIGHT = "top-right"
    TOP = "top"
    TOP_LEFT = "top-left"


@dataclass(frozen=True, slots=True)
class Logo:
    """A stored picture that is drawn on the finished one.

    name: such as `tenant/acme`; None for no logo.  width: share of the image's width, 0.01 to 1.
    margin: top, right, bottom, left, which stay free of it; percents are of the image's sides.
    """

    name: str | None = None
    place: LogoPlace = LogoPlace.BOTTOM_RIGHT
    width: float = 0.15
    margin: tuple[Length, Length, Length, Length] = (Length(4, percent=True),) * 4

    def as_json(self) -> dict[str, object]:
        """Return each value as a recipe writes it."""
        return {
            "logo": self.name or NONE,
            "logo_place": str(self.place),
            "logo_size": f"{format_number(round(100 * self.width, 4))}%",
            "logo_margin": " ".join(map(str, self.margin)),
        }


def read_logo(text: str) -> str | None:
    """Parse `none` or the name of a stored picture; return the name, None for none."""
    if text == NONE:
        return None
    if len(text) > _MAX_NAME_CHARACTERS:
        raise ValueError(f"{quote_value(text)} is not none, or the name of a logo")
    return text


def read_logo_size(text: str) -> float:
    """Parse `1%` to `100%`; return the share."""
    match = _PERCENT.fullmatch(text)
    if match is None or not MIN_WIDTH_PERCENT <= float(match[1]) <= 100:  # noqa: PLR2004 - %
        raise ValueError(
            f"{quote_value(text)} is not a share of the width, {MIN_WIDTH_PERCENT}% to 100%"
        )
    return float(match[1]) / 100
