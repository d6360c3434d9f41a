"""Declare, parse and format the looks of a picture: shadow, outline, light, logo, filters."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Final

from smart_filter_shared.catalog import filters
from smart_filter_shared.catalog.filters import FilterCard, FilterNeed
from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.catalog.scalars import Scalar, format_number, quote_value, read_number
from smart_filter_shared.pipeline import PICTURE_OUTPUTS
from smart_filter_shared.recipe.declaration import AUTO, declare, is_color, spelling, suggest_color
from smart_filter_shared.recipe.framing import (
    Length,
    read_margin,
    read_percent,
    write_margin,
    write_share,
)
from smart_filter_shared.suggestions import did_you_mean

MAX_OUTLINE_PERCENT: Final = 10
MAX_OUTLINE_PX: Final = 200
DEFAULT_OPACITY: Final = 0.5

_OUTLINE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,4})?)(px|%)(?: +(.+))?")

MIN_WIDTH_PERCENT: Final = 1

# Longest name: `tenant/` and that of a stored picture.
_MAX_NAME_CHARACTERS: Final = 100


class ShadowKind(StrEnum):
    """The kind of shadow that people cast; `auto` chooses to suit the photo and background."""

    AUTO = "auto"
    NONE = "none"
    DROP = "drop"
    CONTACT = "contact"


@dataclass(frozen=True, slots=True)
class Shadow:
    """A shadow and its opacity, 0 to 1; with `auto` the opacity is chosen too."""

    kind: ShadowKind = ShadowKind.AUTO
    opacity: float = DEFAULT_OPACITY

    def __str__(self) -> str:
        """Return the shadow as a recipe writes it."""
        has_no_opacity = self.kind in {ShadowKind.AUTO, ShadowKind.NONE}
        return str(self.kind) if has_no_opacity else f"{self.kind}:{format_number(self.opacity)}"


@dataclass(frozen=True, slots=True)
class Outline:
    """A line around the people, like a sticker's border.

    width: in pixels, or in percent of the picture's longer side.  color: a CSS color.
    """

    width: Length
    color: str = "white"

    def __str__(self) -> str:
        """Return the outline as a recipe writes it."""
        return f"{self.width} {self.color}"


def read_shadow(text: str) -> Shadow:
    """Parse `auto`, `none`, `drop` or `contact`, the last two with `:0..1`; return the shadow."""
    word, colon, value = text.partition(":")
    if word in set(ShadowKind):
        kind = ShadowKind(word)
        if not colon:
            return Shadow(kind)
        if kind in {ShadowKind.DROP, ShadowKind.CONTACT}:
            return Shadow(kind, read_number(value, least=0, most=1))
    raise ValueError(
        f"{quote_value(text)} is not auto, none, drop or contact,"
        f" the last two with an opacity: drop:0.4{did_you_mean(word, ShadowKind)}"
    )


def read_outline(text: str) -> Outline:
    """Parse `1.5%` or `12px tomato`; return the outline."""
    match = _OUTLINE.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{quote_value(text)} is not none, or a width and a CSS color, such as 1.5% white or "
            "12px #f80"
        )
    width = Length(float(match[1]), percent=match[2] == "%")
    most = MAX_OUTLINE_PERCENT if width.percent else MAX_OUTLINE_PX
    if not 0 < width.value <= most:
        raise ValueError(
            f"{width} is not above 0 and at most {MAX_OUTLINE_PERCENT}% or {MAX_OUTLINE_PX}px"
        )
    color = match[3] or "white"
    if not is_color(color):
        raise ValueError(
            f"{quote_value(color)} is not a CSS color; write, for example, 1.5% #f80"
            f"{suggest_color(color)}"
        )
    return Outline(width, color)


_SHARE_OR_AUTO: Final = spelling(
    partial(read_number, least=0, most=1),
    format_number,
    none=AUTO,
    schema={"anyOf": [{"type": "number"}, {"type": "string"}]},
)


@dataclass(frozen=True, slots=True)
class Look:
    """How the people are blended with the background; None: chosen to suit the background."""

    shadow: Shadow = declare(
        Shadow(),
        f"""`auto`, `none`, `drop` or `contact`; the last two take a strength: `drop:0.4`

        `drop`: soft, behind the people. `contact`: under the feet of people who stand above the
        lower border. Their darkness is 0 to 1 ({DEFAULT_OPACITY}). `auto`: `contact`
        where feet are visible, else a faint `drop`
        """,
        spelling(read_shadow),
        replaces=True,
    )
    outline: Outline | None = declare(
        None,
        f"""`none`, or a width and a CSS color: `1.5% white`, `12px #f80`

        At most {MAX_OUTLINE_PX} px, or {MAX_OUTLINE_PERCENT} % of the longer side; not in
        `cutout`
        """,
        spelling(read_outline, none="none"),
        replaces=True,
    )
    light_wrap: float | None = declare(
        None,
        """How much light of the background falls on the people's edge: `auto`, or 0 to 1

        `auto` is 0.15, with `outline` 0
        """,
        _SHARE_OR_AUTO,
        replaces=True,
    )
    harmonize: float | None = declare(
        None,
        """How far the people's colors move toward the background's light: `auto`, or 0 to 1

        White balance, exposure and contrast; faces keep their hue almost; `auto` is 0.5
        """,
        _SHARE_OR_AUTO,
        replaces=True,
    )


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


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter of a recipe.  params: the parameters that were set."""

    name: str
    params: Parameters = field(default_factory=dict)

    @property
    def card(self) -> FilterCard:
        """The filter's card."""
        return filters.get_card(self.name)

    @property
    def need(self) -> FilterNeed | None:
        """The facts about people that the filter needs, with these parameters."""
        return self.card.need(self.params)

    @property
    def parameters(self) -> dict[str, Scalar]:
        """The value of every parameter: the value that was set, or the default."""
        return self.card.completed(self.params)


def list_filters(asked: Sequence[Filter]) -> list[dict[str, object]]:
    """Return the filters as JSON, in order, with only the parameters that were set."""
    return [{"name": filter_.name, "params": dict(filter_.params)} for filter_ in asked]


def read_filter_name(text: str) -> str:
    """Return a filter's name.  Raises ValueError, which lists the filters, for an unknown name."""
    names = [card.name for card in filters.FILTERS]
    if text not in names:
        raise ValueError(
            f"{quote_value(text)} is not a filter; use one of {', '.join(names)}"
            f"{did_you_mean(text, names)}"
        )
    return text
