"""Colors of wearables by name, and lighter and darker shades."""

from collections.abc import Mapping
from typing import Final

from smart_filter_workers.stages.composite.filters.drawing import Rgb

COLORS: Final[Mapping[str, Rgb]] = {
    "black": (28, 27, 30),
    "red": (206, 36, 48),
    "navy": (28, 46, 92),
    "teal": (10, 132, 138),
    "green": (38, 128, 70),
    "purple": (110, 62, 158),
    "pink": (232, 92, 146),
    "gold": (238, 178, 46),
    "white": (240, 238, 234),
    "brown": (112, 66, 38),
}
# Automatic colors of people side by side: neighbors differ clearly.
AUTO_ORDER: Final = ("pink", "teal", "gold", "purple", "red", "green")


def lighten(color: Rgb, share: float) -> Rgb:
    """Return a color moved by a share, 0 to 1, toward white."""
    red, green, blue = (level + share * (255 - level) for level in color)
    return red, green, blue


def darken(color: Rgb, light: float) -> Rgb:
    """Return a color multiplied by a light level, 0 to 1."""
    red, green, blue = (level * light for level in color)
    return red, green, blue
