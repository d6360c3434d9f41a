"""The description of one background: name, meaning, and how its family draws it."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from smart_filter_wire.words import BackgroundSource, Mood


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
