"""A hat on each head: a party hat, Santa's hat, a crown or a beanie."""

from collections.abc import Mapping
from typing import Final

from smart_filter_shared.catalog.parameters import Parameters, str_of
from smart_filter_workers.results import Srgb8, Srgba8
from smart_filter_workers.stages.composite.filters import tiles
from smart_filter_workers.stages.composite.filters.drawing import FilterVerdict, Head, Scene
from smart_filter_workers.stages.composite.filters.tiles import Tile, TilePlacement

REACH: Final = 2.6
# Height of a hat's brim above the eyes, in distances of the eyes, on a head of usual height.
_BRIM: Final[Mapping[str, float]] = {"party": 1.72, "santa": 1.2, "crown": 1.42, "beanie": 1.02}
# Tilt to one side, in radians.
_LEAN_RADIANS: Final[Mapping[str, float]] = {
    "party": 0.16,
    "santa": 0.03,
    "crown": 0.05,
    "beanie": 0.0,
}
_WORDS: Final = {
    "party": "a party hat",
    "santa": "Santa's hat",
    "crown": "a crown",
    "beanie": "a beanie",
}
# Santa's hat is red and a crown golden.
_TINTED: Final = frozenset({"party", "beanie"})
# Automatic colors of people side by side: neighbors differ clearly.
_AUTO_ORDER: Final = ("pink", "teal", "gold", "purple", "red", "green")


def draw(picture: Srgb8 | Srgba8, scene: Scene, parameters: Parameters) -> FilterVerdict:
    """Put a hat on each selected person."""
    kind = str_of(parameters, "kind")
    asked = str_of(parameters, "color")

    def worn(head: Head) -> tuple[Tile, TilePlacement]:
        auto = _AUTO_ORDER[(head.number + scene.seed) % len(_AUTO_ORDER)]
        color = auto if asked == "auto" else asked
        place = _place(head, kind, leaning=1 if (head.number + scene.seed) % 2 else -1)
        size = tiles.choose_tile_px(place, REACH)
        tint = color if kind in _TINTED else None
        return tiles.load_tile(f"hat-{kind}", REACH, size, tint), place

    return tiles.paste_on_heads(picture, scene, str_of(parameters, "who"), worn, what=_WORDS[kind])


def _place(head: Head, kind: str, *, leaning: int) -> TilePlacement:
    # A higher head has more hair: the hat sits higher by 0.6 of the difference.
    up = _BRIM[kind] + 0.6 * (head.crown - 2.0)
    return TilePlacement.leaning(head, head.at(head.skull, up), leaning * _LEAN_RADIANS[kind])
