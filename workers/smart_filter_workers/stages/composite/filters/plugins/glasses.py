"""Glasses on each face: round, cat-eye, or shades."""

import functools
from collections.abc import Mapping
from typing import Final

import numpy as np

from smart_filter_shared.catalog.parameters import Parameters, str_of
from smart_filter_workers.results import Srgb8
from smart_filter_workers.stages.composite.filters import wearables
from smart_filter_workers.stages.composite.filters.base import FilterVerdict
from smart_filter_workers.stages.composite.filters.drawing import (
    Field,
    Outline,
    Relief,
    Rgb,
    StickerSheet,
    ellipse,
    smooth_curve,
    translate,
)
from smart_filter_workers.stages.composite.filters.palette import COLORS, lighten
from smart_filter_workers.stages.composite.filters.scene import Head, Scene
from smart_filter_workers.stages.composite.filters.tiles import Tile, TilePlacement
from smart_filter_workers.stages.composite.models.base import Srgba8

REACH: Final = 1.5
# Glasses sit on the bridge of the nose, before the eyes: this far below the pupils, in distances of
# the eyes, and shifted by this share of a turned head's nose.
_BELOW_PUPILS: Final = 0.05
_NOSE_FOLLOW_SHARE: Final = 0.22
_WORDS: Final = {"round": "round glasses", "cat-eye": "cat-eye glasses", "shades": "shades"}
_RIM: Final = {"round": 0.06, "cat-eye": 0.085, "shades": 0.075}


def draw(picture: Srgb8 | Srgba8, scene: Scene, parameters: Parameters) -> FilterVerdict:
    """Put glasses on each selected person who shows both eyes."""
    kind, color = str_of(parameters, "kind"), str_of(parameters, "color")

    def worn(head: Head) -> tuple[Tile, TilePlacement] | None:
        if head.in_profile:
            return None
        place = _place(head)
        return _tile(kind, color, wearables.choose_tile_px(place, REACH)), place

    return wearables.paste_on_heads(
        picture, scene, str_of(parameters, "who"), worn, what=_WORDS[kind]
    )


def _place(head: Head) -> TilePlacement:
    # Width follows the visible distance of the eyes, height the size of the head, so that glasses
    # turn with the head.
    right_eye, left_eye = head.face.landmarks[:2]
    right = (left_eye[0] - right_eye[0], left_eye[1] - right_eye[1])
    down = (-head.unit * head.up[0], -head.unit * head.up[1])
    return TilePlacement(head.at(_NOSE_FOLLOW_SHARE * head.aside, -_BELOW_PUPILS), right, down)


@functools.lru_cache(maxsize=wearables.MAX_CACHED_TILES)
def _tile(kind: str, color: str, size: int) -> Tile:
    sheet = StickerSheet(size, REACH)
    frame, rim = COLORS[color], _RIM[kind]
    sheet.fill(_shadow(kind), (20, 10, 10), opacity=0.28, soft=0.06)
    for mirrored in (1, -1):
        lens = translate(_LENSES[kind] * (mirrored, 1), mirrored * 0.5, 0)
        sheet.erase(lens)
        _glass(sheet, kind, lens)
        _temple(sheet, mirrored, kind, frame)
        _rim(sheet, lens, rim, frame)
    _bridge(sheet, kind, rim, frame)
    return sheet.tile()


def _glass(sheet: StickerSheet, kind: str, lens: Outline) -> None:
    if kind != "shades":
        sheet.fill(lens, (214, 230, 240), opacity=0.1)
        low, high = lens.min(axis=0), lens.max(axis=0)
        for start, wide, strength in ((0.12, 0.2, 0.26), (0.42, 0.08, 0.18)):
            sheet.fill(
                _glare(low, high, start, wide), (255, 255, 255), opacity=strength, within=lens
            )
        return

    def tinted(_: Field, y: Field) -> Field:
        low, high = lens[:, 1].min(), lens[:, 1].max()
        share = np.clip((y - low) / (high - low), 0, 1)[..., None]
        return np.asarray((1 - share) * (14, 14, 20) + share * (64, 52, 50), np.float32)

    sheet.fill(lens, tinted, opacity=0.93)
    low, high = lens.min(axis=0), lens.max(axis=0)
    glare = _glare(low, high, 0.08, 0.3)
    sheet.fill(glare, (190, 205, 225), opacity=0.24, within=lens, soft=0.01)


def _glare(low: Outline, high: Outline, start: float, wide: float) -> Outline:
    """Return a slanting band across a lens; its start and width as shares of the lens's width."""
    width = high[0] - low[0]
    left, slant = low[0] + start * width, 0.3 * width
    upper, lower = low[1], high[1]
    right = left + wide * width
    return np.array([(left + slant, upper), (right + slant, upper), (right, lower), (left, lower)])


def _rim(sheet: StickerSheet, lens: Outline, width: float, color: Rgb) -> None:
    """Draw the frame around a lens: the ring between its outline and a wider one."""
    middle = lens.mean(axis=0)
    size = (lens.max(axis=0) - lens.min(axis=0)) / 2
    wider = middle + (lens - middle) * (1 + width / size)
    ring = np.concatenate([wider, wider[:1], lens[:1], lens[::-1]])
    sheet.fill(ring, lighten(color, 0.06), relief=Relief(width * 0.8, 0.7))


def _bridge(sheet: StickerSheet, kind: str, rim: float, color: Rgb) -> None:
    inner = 0.5 - float(
        _LENSES[kind][:, 0].max() if kind == "round" else -_LENSES[kind][:, 0].min()
    )
    inner -= 0.6 * rim
    rise = -0.06 if kind == "round" else -0.1
    x = np.linspace(-inner, inner, 21)
    arch = np.stack([x, rise - 0.06 * np.cos(x / inner * np.pi / 2)], axis=1)
    bridge = np.concatenate([translate(arch, 0, -0.035), translate(arch, 0, 0.035)[::-1]])
    sheet.fill(bridge, lighten(color, 0.06), relief=Relief(0.045, 0.6))


def _temple(sheet: StickerSheet, mirrored: int, kind: str, color: Rgb) -> None:
    """Draw the visible beginning of an arm, which then goes back around the head."""
    outer = 0.5 + float(_LENSES[kind][:, 0].max())
    places = [(outer, -0.2), (outer + 0.22, -0.17), (outer + 0.22, -0.1), (outer, -0.08)]
    arm = np.array(places) * (mirrored, 1)

    sheet.fill(arm, color, relief=Relief(0.05, 0.3), soft=0.008)


def _shadow(kind: str) -> Outline:
    outline = _LENSES[kind]
    both = np.concatenate([translate(outline, 0.5, 0.09), translate(outline * (-1, 1), -0.5, 0.09)])
    # Around both lenses at once, because the bridge casts a shadow, too.
    angle = np.arctan2(both[:, 1] * 2, both[:, 0])
    return np.asarray(both[np.argsort(angle)] * 1.04)


# The lens of the left eye, which is on the right of the picture; its middle at 0, 0.
_LENSES: Final[Mapping[str, Outline]] = {
    "round": ellipse(0, 0.02, 0.355, 0.37),
    "cat-eye": smooth_curve(
        [
            (-0.36, -0.14),
            (-0.1, -0.23),
            (0.24, -0.3),
            (0.5, -0.4),
            (0.44, -0.12),
            (0.3, 0.2),
            (0.0, 0.32),
            (-0.28, 0.22),
            (-0.37, 0.03),
        ]
    ),
    "shades": smooth_curve(
        [
            (-0.38, -0.2),
            (-0.32, -0.27),
            (0.0, -0.29),
            (0.4, -0.29),
            (0.47, -0.22),
            (0.43, 0.08),
            (0.29, 0.3),
            (0.0, 0.34),
            (-0.26, 0.26),
            (-0.36, 0.02),
        ]
    ),
}
