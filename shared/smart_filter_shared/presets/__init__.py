"""The generated backgrounds: names, meanings and looks.

Pure data: the API checks names against it. The workers choose by mood and by the impression of
each design, and draw by family and palette. Backgrounds that are pictures are rows of a table
instead (stock.py). A new look of a family is one row of `designs.csv`; a new family also needs one
file among the workers' background designs, and its place in the lists of families below.

Called by workers, api, recipe, deploy, stock, training.
Calls wire.
"""

import csv
from collections.abc import Iterable
from importlib.resources import files

from smart_filter_shared.presets.preset import (
    PICTURE,
    BackgroundSource,
    Mood,
    Preset,
    Style,
    parse_preset,
    season_of,
)

__all__ = [
    "FRAMED_FAMILY",
    "OUT_OF_FOCUS_FAMILIES",
    "PICTURE",
    "PRESETS",
    "SIDE_LIT_FAMILIES",
    "SURFACE_FAMILIES",
    "BackgroundSource",
    "Mood",
    "Preset",
    "Style",
    "find_preset",
    "season_of",
]

_DESIGNS = files(__name__).joinpath("designs.csv").read_text("utf-8").splitlines()
PRESETS: tuple[Preset, ...] = tuple(map(parse_preset, csv.DictReader(_DESIGNS)))

# Families on which other designs can be printed.
SURFACE_FAMILIES = frozenset({"fabric", "paper", "plaster"})
# Families that show a sun, a moon, a window or a lamp; bright areas of the others are not lights.
SIDE_LIT_FAMILIES = frozenset(
    {"garden", "hills", "horizon", "interior", "night", "street", "sweep", "wall"}
)
# Families whose ground is out of focus: a person who stands on it seems to hover.
OUT_OF_FOCUS_FAMILIES = frozenset({"garden", "horizon", "interior", "street"})
# The family with a border.
FRAMED_FAMILY = "framed"


def find_preset(name: str, among: Iterable[Preset] = PRESETS) -> tuple[Preset, Preset | None]:
    """Return the preset of a name, and the surface that it is printed on (`rainbow+linen`).

    Raises KeyError when there is no such preset, or the second one is not a surface.
    """
    by_name = {preset.name: preset for preset in among}
    first, plus, second = name.partition("+")
    surface = by_name[second] if plus else None
    if surface is not None and surface.family not in SURFACE_FAMILIES:
        raise KeyError(name)
    return by_name[first], surface
