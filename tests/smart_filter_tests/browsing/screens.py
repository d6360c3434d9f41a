"""Screens for studio journeys: a phone and a desktop, in light and dark mode."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal

import pytest


class Scheme(StrEnum):
    """Preferred color scheme."""

    LIGHT = "light"
    DARK = "dark"


@dataclass(frozen=True, slots=True)
class Screen:
    """A screen.

    size: of the viewport, width and height in CSS pixels.  touch: fingers, no mouse.
    """

    device: Literal["phone", "desktop"]
    size: tuple[int, int]
    scheme: Scheme
    touch: bool = False

    def __str__(self) -> str:
        return f"{self.device}-{self.scheme}"

    @property
    def invitation(self) -> str:
        """The heading of an empty sheet: nothing can be dropped on a phone."""
        return "Add photos" if self.touch else "Drop photos here"

    def options(self, *, dots_per_px: int = 1) -> dict[str, Any]:
        """Return options for `Browser.new_context`; language and time zone are always the same.

        Animations are off, so two pictures of the same state are equal. dots_per_px: 1, so that
        arrays of pixels have the size that the style sheets give.
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
DESKTOP: Final = Screen("desktop", _DESKTOP, Scheme.LIGHT)
DESKTOP_DARK: Final = Screen("desktop", _DESKTOP, Scheme.DARK)
PHONE: Final = Screen("phone", _PHONE, Scheme.LIGHT, touch=True)
PHONE_DARK: Final = Screen("phone", _PHONE, Scheme.DARK, touch=True)
ALL_SCREENS: Final = (DESKTOP, DESKTOP_DARK, PHONE, PHONE_DARK)


def on_screens(*screens: Screen) -> pytest.MarkDecorator:
    """Run a journey on each of these screens; without this mark it runs on `DESKTOP` alone."""
    return pytest.mark.parametrize("screen", screens, indirect=True, ids=str)
