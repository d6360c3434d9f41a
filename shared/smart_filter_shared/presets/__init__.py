"""The generated backgrounds: names, meanings and looks.

Pure data: the API checks names against it. The workers choose by mood and by the impression of
each design, and draw by family and palette. Backgrounds that are pictures are rows of a table
instead (stock.py). A new look of a family is one row of `designs.csv`; a new family also needs one
file among the workers' background designs, and its place in the lists of families below.

Called by api, deploy, recipe, stock, training, workers.
Calls wire.
"""

import csv
import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.resources import files

from smart_filter_wire.words import BackgroundSource, Mood

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


class Style(StrEnum):
    """The style of backgrounds: places, patterns, own pictures, or the places of a season.

    seasonal: the season of the job's month in the north; submission replaces it.
    """

    CLEAN = "clean"
    PLAYFUL = "playful"
    BRAND = "brand"
    SEASONAL = "seasonal"
    SPRING = "spring"
    SUMMER = "summer"
    AUTUMN = "autumn"
    WINTER = "winter"


# The styles by month, January first, of the meteorological seasons in the north.
_SEASONS = (
    *[Style.WINTER] * 2,
    *[Style.SPRING] * 3,
    *[Style.SUMMER] * 3,
    *[Style.AUTUMN] * 3,
    Style.WINTER,
)


def season_of(date: dt.date) -> Style:
    """Return the style of a date's season in the north."""
    return _SEASONS[date.month - 1]


# The family of backgrounds that are pictures.
PICTURE = "picture"


@dataclass(frozen=True, slots=True)
class Preset:
    """One background by name: `sky`, `site/lobby`, `tenant/beach`.

    family: the design family that draws it, or `picture`.  tags: words for search by keywords.
    moods: the moods that it suits, the best first.
    palette: its colors as #rrggbb; the family gives each position a meaning.
    brightness: mean Rec. 709 luma of the drawing, 0 black to 1 white, within 0.1.
    parameters: other parameters of the family, by name; a missing one has its default.
    style: the style of a design; operators' and tenants' pictures suit every style.
    impression: the mean colors of a picture by place, as the workers write them; "" for designs.
    """

    name: str
    title: str
    family: str
    tags: tuple[str, ...]
    moods: tuple[Mood, ...]
    palette: tuple[str, ...]
    brightness: float
    parameters: Mapping[str, float] = field(default_factory=dict, hash=False)
    style: Style = Style.PLAYFUL
    impression: str = field(default="", repr=False)

    @property
    def source(self) -> BackgroundSource:
        """The provider of the background."""
        before, slash, _ = self.name.partition("/")
        return BackgroundSource(before) if slash else BackgroundSource.GENERATED


def parse_preset(row: Mapping[str, str]) -> Preset:
    """Return the preset of a table's row; spaces part the values of a list."""
    parameters = (pair.split("=") for pair in row["parameters"].split())
    return Preset(
        name=row["name"],
        title=row["title"],
        family=row["family"],
        tags=tuple(row["tags"].split()),
        moods=tuple(map(Mood, row["moods"].split())),
        palette=tuple(row["palette"].split()),
        brightness=float(row["brightness"]),
        parameters={name: float(value) for name, value in parameters},
        style=Style(row["style"]),
    )


_DESIGNS = files(__name__).joinpath("designs.csv").read_text("utf-8").splitlines()
PRESETS: tuple[Preset, ...] = tuple(map(parse_preset, csv.DictReader(_DESIGNS)))


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
