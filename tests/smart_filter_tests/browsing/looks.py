"""Screens that the studio is looked at on: a phone and a desktop, by day and by night."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal

import pytest


class Scheme(StrEnum):
    """What a person prefers."""

    LIGHT = "light"
    DARK = "dark"


@dataclass(frozen=True, slots=True)
class Look:
    """A screen.

    size: of the viewport, width and height in CSS pixels.  touch: fingers, no mouse.
    """

    device: Literal["phone", "desktop"]
    size: tuple[int, int]
    scheme: Scheme
    touch: bool = False

    def __str__(self) -> str:
        return f"{self.device}-{self.scheme}"

    def options(self, *, dots_per_px: int = 1) -> dict[str, Any]:
        """Return what `Browser.new_context` is told: the same language and hour everywhere.

        Nothing moves by itself, so that two pictures of the same state are the same.
        dots_per_px: 1 so that arrays of pixels are counted as the style sheets count.
        """
        width, height = self.size
        return {
            "viewport": {"width": width, "height": height},
            "device_scale_factor": dots_per_px,
            "is_mobile": self.touch,
            "has_touch": self.touch,
            "color_scheme": str(self.scheme),
            "reduced_motion": "reduce",
            "locale": "en-GB",
            "timezone_id": "UTC",
        }


_DESKTOP, _PHONE = (1280, 800), (390, 844)
DESKTOP: Final = Look("desktop", _DESKTOP, Scheme.LIGHT)
DESKTOP_DARK: Final = Look("desktop", _DESKTOP, Scheme.DARK)
PHONE: Final = Look("phone", _PHONE, Scheme.LIGHT, touch=True)
PHONE_DARK: Final = Look("phone", _PHONE, Scheme.DARK, touch=True)
LOOKS: Final = (DESKTOP, DESKTOP_DARK, PHONE, PHONE_DARK)


def seen_on(*looks: Look) -> pytest.MarkDecorator:
    """Let a journey be made on each of these; without it on `DESKTOP` alone."""
    return pytest.mark.parametrize("look", looks, indirect=True, ids=str)
