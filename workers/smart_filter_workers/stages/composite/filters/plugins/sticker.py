"""A sticker on or above each head: hearts, stars, flowers, a bow, cat's ears, a moustache."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from smart_filter_shared.catalog.parameters import Parameters, str_of
from smart_filter_workers.results import Srgb8, Srgba8
from smart_filter_workers.stages.composite.filters import tiles
from smart_filter_workers.stages.composite.filters.drawing import FilterVerdict, Head, Scene
from smart_filter_workers.stages.composite.filters.tiles import Tile, TilePlacement


@dataclass(frozen=True, slots=True)
class Kind:
    """Where one kind of sticker is placed.

    reach: distance from its middle to its drawing's sides, in distances of the eyes. across, up:
    position of its middle from the middle of the eyes; up from the crown if `crown`.
    """

    what: str
    reach: float
    across: float
    up: float
    crown: bool
    leans: float = 0.0


KINDS: Final[Mapping[str, Kind]] = {
    "heart": Kind("hearts", 2.2, 0, 0.05, crown=True),
    "star": Kind("stars", 2.2, 0, 0.05, crown=True),
    "flower": Kind("a wreath of flowers", 1.8, 0, 1.28, crown=False),
    "bow": Kind("a bow", 1.3, 0.72, -0.22, crown=True, leans=0.35),
    "cat-ears": Kind("a cat's ears", 1.6, 0, -0.02, crown=True),
    "moustache": Kind("a moustache", 1.0, 0, 0, crown=False),
}


def draw(picture: Srgb8 | Srgba8, scene: Scene, parameters: Parameters) -> FilterVerdict:
    """Put a sticker on each selected person."""
    name = str_of(parameters, "kind")
    kind = KINDS[name]

    def worn(head: Head) -> tuple[Tile, TilePlacement] | None:
        if name == "moustache" and head.in_profile:
            return None
        place = _place_under_nose(head) if name == "moustache" else _place(head, kind)
        size = tiles.choose_tile_px(place, kind.reach)
        return tiles.load_tile(f"sticker-{name}", kind.reach, size), place

    return tiles.paste_on_heads(picture, scene, str_of(parameters, "who"), worn, what=kind.what)


def _place(head: Head, kind: Kind) -> TilePlacement:
    up = kind.up + (head.crown if kind.crown else 0.5 * (head.crown - 2.0))
    return TilePlacement.leaning(head, head.at(kind.across + head.skull, up), kind.leans)


def _place_under_nose(head: Head) -> TilePlacement:
    nose, mouth = head.face.landmarks[2], head.mouth
    # Closer to the mouth than to the tip of the nose, which sticks out.
    middle = (0.42 * nose[0] + 0.58 * mouth[0], 0.42 * nose[1] + 0.58 * mouth[1])
    return TilePlacement.turning(head, middle)
