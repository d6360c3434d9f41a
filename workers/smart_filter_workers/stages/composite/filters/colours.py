"""The colours that worn things come in, by name, and lighter and darker ones."""

from collections.abc import Mapping
from typing import Final

from smart_filter_workers.stages.composite.filters.drawing import Rgb

COLOURS: Final[Mapping[str, Rgb]] = {
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
# What people beside each other get when it is left to us: neighbours differ well.
AUTO_ORDER: Final = ("pink", "teal", "gold", "purple", "red", "green")


def lighter(colour: Rgb, share: float) -> Rgb:
    """Return a colour so far on its way to white, 0 to 1."""
    red, green, blue = (level + share * (255 - level) for level in colour)
    return red, green, blue


def darker(colour: Rgb, light: float) -> Rgb:
    """Return a colour in so much of the light, 0 to 1."""
    red, green, blue = (level * light for level in colour)
    return red, green, blue
