"""How the people are joined to what stands behind them: shadow, outline, light."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from smart_filter_shared.recipe.framing import Length
from smart_filter_shared.recipe.words import AUTO, is_colour, plain, shown

MAX_OUTLINE_PERCENT: Final = 10
MAX_OUTLINE_PX: Final = 200
DEFAULT_OPACITY: Final = 0.5

_SHARE = re.compile(r"[01](\.[0-9]{1,20})?")
_OUTLINE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,4})?)(px|%)(?: +(.+))?")


class ShadowKind(StrEnum):
    """What people cast: `auto` is what suits the photo and the background."""

    AUTO = "auto"
    NONE = "none"
    DROP = "drop"
    CONTACT = "contact"


@dataclass(frozen=True, slots=True)
class Shadow:
    """What people cast, and how dark, 0 to 1; `auto` decides on that, too."""

    kind: ShadowKind = ShadowKind.AUTO
    opacity: float = DEFAULT_OPACITY

    def __str__(self) -> str:
        """Return it as it is written in a recipe."""
        alone = self.kind in {ShadowKind.AUTO, ShadowKind.NONE}
        return str(self.kind) if alone else f"{self.kind}:{plain(self.opacity)}"


@dataclass(frozen=True, slots=True)
class Outline:
    """A line around the people, as a sticker has.

    width: in pixels, or in percent of the picture's longer side.  colour: in a CSS notation.
    """

    width: Length
    colour: str = "white"

    def __str__(self) -> str:
        """Return it as it is written in a recipe."""
        return f"{self.width} {self.colour}"


@dataclass(frozen=True, slots=True)
class Look:
    """How the people are joined to the background.

    light_wrap: how much of the background's light falls on their edge, 0 to 1.
    harmonise: how far their colours are brought toward the background's light, 0 to 1.
    None for both means what suits the background.
    """

    shadow: Shadow = Shadow()
    outline: Outline | None = None
    light_wrap: float | None = None
    harmonise: float | None = None

    def as_json(self) -> dict[str, object]:
        """Return each value as it is written in a recipe."""
        return {
            "shadow": str(self.shadow),
            "outline": "none" if self.outline is None else str(self.outline),
            "light_wrap": AUTO if self.light_wrap is None else plain(self.light_wrap),
            "harmonise": AUTO if self.harmonise is None else plain(self.harmonise),
        }


def from_json(recipe: Mapping[str, object]) -> Look:
    """Return what `as_json` wrote; rows of version 0.1 have nothing of it."""
    default = Look().as_json()
    text = {name: str(recipe.get(name, default[name])) for name in default}
    return Look(
        shadow=read_shadow(text["shadow"]),
        outline=read_outline(text["outline"]),
        light_wrap=read_share(text["light_wrap"]),
        harmonise=read_share(text["harmonise"]),
    )


def read_shadow(text: str) -> Shadow:
    """Return the shadow of `auto`, `none`, `drop` or `contact`, the last two with `:0..1`."""
    word, colon, value = text.partition(":")
    if word in set(ShadowKind):
        kind = ShadowKind(word)
        if not colon:
            return Shadow(kind)
        if kind in {ShadowKind.DROP, ShadowKind.CONTACT} and _is_share(value):
            return Shadow(kind, float(value))
    raise ValueError(
        f"{shown(text)} is not auto, none, drop or contact, the last two with how dark: drop:0.4"
    )


def read_outline(text: str) -> Outline | None:
    """Return the outline of `none`, `1.5%` or `12px tomato`."""
    if text == "none":
        return None
    match = _OUTLINE.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{shown(text)} is not none, or a width and a CSS colour, such as 1.5% white or "
            "12px #f80"
        )
    width = Length(float(match[1]), percent=match[2] == "%")
    most = MAX_OUTLINE_PERCENT if width.percent else MAX_OUTLINE_PX
    if not 0 < width.value <= most:
        raise ValueError(
            f"{width} is not above 0 and within {MAX_OUTLINE_PERCENT}% or {MAX_OUTLINE_PX}px"
        )
    colour = match[3] or "white"
    if not is_colour(colour):
        raise ValueError(f"{shown(colour)} is not a CSS colour; write 1.5% #ff8800 or alike")
    return Outline(width, colour)


def read_share(text: str) -> float | None:
    """Return the share of `auto` or `0` to `1`; None for auto."""
    if text == AUTO:
        return None
    if not _is_share(text):
        raise ValueError(f"{shown(text)} is not auto, or a number from 0 to 1")
    return float(text)


def _is_share(text: str) -> bool:
    return _SHARE.fullmatch(text) is not None and float(text) <= 1
