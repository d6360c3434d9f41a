"""Declare, parse and format the logo that is drawn on the finished picture."""

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Final

from smart_filter_shared.catalog.scalars import quote_value
from smart_filter_shared.recipe.declaration import PICTURE_OUTPUTS, declare, spelling
from smart_filter_shared.recipe.framing import (
    Length,
    read_margin,
    read_percent,
    write_margin,
    write_share,
)

MIN_WIDTH_PERCENT: Final = 1

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


def read_logo(text: str) -> str:
    """Return the name of a stored picture."""
    if len(text) > _MAX_NAME_CHARACTERS:
        raise ValueError(f"{quote_value(text)} is not none, or the name of a logo")
    return text


@dataclass(frozen=True, slots=True)
class Logo:
    """A stored picture that is drawn on the finished one.

    name: such as `tenant/acme`; None for no logo.  width: share of the image's width, 0.01 to 1.
    margin: top, right, bottom, left, which stay free of it; percents are of the image's sides.
    """

    name: str | None = declare(
        None,
        """A logo that is drawn on the finished image: `none`, or a name of `logos` in `GET
        /v1/recipes`

        A [picture of yours](../backgrounds.md), drawn last, with its transparency. One that is
        gone fails the job as `inputs_expired`
        """,
        spelling(read_logo, none="none"),
        name="logo",
        outputs=PICTURE_OUTPUTS,
    )
    place: LogoPlace = declare(
        LogoPlace.BOTTOM_RIGHT,
        "Where the logo is",
        name="logo_place",
    )
    width: float = declare(
        0.15,
        f"""The logo's share of the image's width, `{MIN_WIDTH_PERCENT}%` to `100%`

        Less where the margin leaves no room
        """,
        spelling(partial(read_percent, least=MIN_WIDTH_PERCENT), write_share),
        name="logo_size",
    )
    margin: tuple[Length, Length, Length, Length] = declare(
        (Length(4, percent=True),) * 4,
        """Border that stays free of the logo: 1, 2 or 4 values such as `30px` or `10%` of the
        image's sides
        """,
        spelling(read_margin, write_margin),
        name="logo_margin",
    )
