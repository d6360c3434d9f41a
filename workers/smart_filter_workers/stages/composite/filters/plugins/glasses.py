"""Glasses on each face: round, cat-eye, or shades."""

from typing import Final

from smart_filter_shared.catalog.parameters import Parameters, str_of
from smart_filter_workers.results import Srgb8, Srgba8
from smart_filter_workers.stages.composite.filters import tiles
from smart_filter_workers.stages.composite.filters.drawing import FilterVerdict, Head, Scene
from smart_filter_workers.stages.composite.filters.tiles import Tile, TilePlacement

REACH: Final = 1.5
# Glasses sit on the bridge of the nose, before the eyes: this far below the pupils, in distances of
# the eyes, and shifted by this share of a turned head's nose.
_BELOW_PUPILS: Final = 0.05
_NOSE_FOLLOW_SHARE: Final = 0.22
_WORDS: Final = {"round": "round glasses", "cat-eye": "cat-eye glasses", "shades": "shades"}


def draw(picture: Srgb8 | Srgba8, scene: Scene, parameters: Parameters) -> FilterVerdict:
    """Put glasses on each selected person who shows both eyes."""
    kind, color = str_of(parameters, "kind"), str_of(parameters, "color")

    def worn(head: Head) -> tuple[Tile, TilePlacement] | None:
        if head.in_profile:
            return None
        middle = head.at(_NOSE_FOLLOW_SHARE * head.aside, -_BELOW_PUPILS)
        place = TilePlacement.turning(head, middle)
        size = tiles.choose_tile_px(place, REACH)
        return tiles.load_tile(f"glasses-{kind}", REACH, size, color), place

    return tiles.paste_on_heads(picture, scene, str_of(parameters, "who"), worn, what=_WORDS[kind])
