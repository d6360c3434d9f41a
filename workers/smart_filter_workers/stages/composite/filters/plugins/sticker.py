"""A sticker on or above each head: hearts, stars, flowers, a bow, cat's ears, a moustache."""

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from smart_filter_shared.catalog.parameters import Parameters, str_of
from smart_filter_workers.results import Srgb8
from smart_filter_workers.stages.composite.filters import wearables
from smart_filter_workers.stages.composite.filters.base import FilterVerdict
from smart_filter_workers.stages.composite.filters.drawing import (
    Field,
    Relief,
    Rgb,
    StickerSheet,
    ellipse,
    heart,
    rotate,
    smooth_curve,
    star,
    translate,
    value_noise,
)
from smart_filter_workers.stages.composite.filters.palette import darken, lighten
from smart_filter_workers.stages.composite.filters.scene import Head, Scene
from smart_filter_workers.stages.composite.filters.tiles import Tile, TilePlacement
from smart_filter_workers.stages.composite.models.base import Srgba8

_HEART: Final[Rgb] = (232, 38, 86)
_STAR: Final[Rgb] = (255, 200, 52)
_BOW: Final[Rgb] = (228, 62, 118)
_LEAF: Final[Rgb] = (86, 132, 74)
_FUR: Final[Rgb] = (58, 50, 52)
_HAIR: Final[Rgb] = (62, 40, 28)
_PETALS: Final[tuple[Rgb, ...]] = (
    (246, 168, 186),
    (252, 244, 236),
    (244, 132, 124),
    (250, 206, 120),
)


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one kind of sticker is drawn, and where it is placed.

    reach: distance from its middle to its tile's sides, in distances of the eyes. across, up:
    position of its middle from the middle of the eyes; up from the crown if `crown`.
    """

    what: str
    paint: Callable[[StickerSheet], None]
    reach: float
    across: float
    up: float
    crown: bool
    leans: float = 0.0


def draw(picture: Srgb8 | Srgba8, scene: Scene, parameters: Parameters) -> FilterVerdict:
    """Put a sticker on each selected person."""
    name = str_of(parameters, "kind")
    kind = _KINDS[name]

    def worn(head: Head) -> tuple[Tile, TilePlacement] | None:
        if name == "moustache" and head.in_profile:
            return None
        place = _place_under_nose(head) if name == "moustache" else _place(head, kind)
        return _tile(name, wearables.choose_tile_px(place, kind.reach)), place

    return wearables.paste_on_heads(picture, scene, str_of(parameters, "who"), worn, what=kind.what)


def _place(head: Head, kind: _Kind) -> TilePlacement:
    up = kind.up + (head.crown if kind.crown else 0.5 * (head.crown - 2.0))
    middle = head.at(kind.across + head.skull, up)
    cos, sin = head.unit * math.cos(kind.leans), head.unit * math.sin(kind.leans)
    across, above = head.across, head.up
    right = (cos * across[0] - sin * above[0], cos * across[1] - sin * above[1])
    down = (-cos * above[0] - sin * across[0], -cos * above[1] - sin * across[1])
    return TilePlacement(middle, right, down)


def _place_under_nose(head: Head) -> TilePlacement:
    nose, mouth = head.face.landmarks[2], head.mouth
    # Closer to the mouth than to the tip of the nose, which sticks out.
    middle = (0.42 * nose[0] + 0.58 * mouth[0], 0.42 * nose[1] + 0.58 * mouth[1])
    right_eye, left_eye = head.face.landmarks[:2]
    right = (left_eye[0] - right_eye[0], left_eye[1] - right_eye[1])
    return TilePlacement(middle, right, (-head.unit * head.up[0], -head.unit * head.up[1]))


@functools.lru_cache(maxsize=wearables.MAX_CACHED_TILES)
def _tile(name: str, size: int) -> Tile:
    sheet = StickerSheet(size, _KINDS[name].reach)
    _KINDS[name].paint(sheet)
    return sheet.tile()


def _hearts(sheet: StickerSheet) -> None:
    for place in _arc_above_head():
        _heart(sheet, *place)


def _heart(sheet: StickerSheet, x: float, y: float, size: float, turned: float) -> None:
    outline = translate(rotate(heart(0, 0, size), turned), x, y)
    sheet.fill(translate(outline, 0.02, 0.05), (60, 0, 20), opacity=0.25, soft=0.04)
    sheet.fill(outline, _HEART, relief=Relief(size * 0.6, 0.9))


def _stars(sheet: StickerSheet) -> None:
    for place in _arc_above_head():
        _star(sheet, *place)


def _star(sheet: StickerSheet, x: float, y: float, size: float, turned: float) -> None:
    corners = star(0, 0, 1.2 * size, inner=0.52)
    # Round the corners: a spline would bulge, so each corner is cut off and smoothed a little.
    blunt = np.stack([0.82 * corners + 0.18 * np.roll(corners, shift, axis=0) for shift in (1, -1)])
    outline = translate(rotate(blunt.transpose(1, 0, 2).reshape(-1, 2), turned), x, y)
    sheet.fill(translate(outline, 0.02, 0.05), (70, 40, 0), opacity=0.25, soft=0.04)
    sheet.fill(outline, _STAR, relief=Relief(size * 0.55, 0.8))


def _arc_above_head() -> Iterator[tuple[float, float, float, float]]:
    """Yield x, y, size and turn of five stickers in an arc over the head, largest in the middle."""
    for angle, far, size in (
        (-62, 1.75, 0.2),
        (62, 1.78, 0.22),
        (-33, 1.9, 0.3),
        (31, 1.94, 0.27),
        (-2, 1.86, 0.38),
    ):
        turn = math.radians(angle)
        yield far * math.sin(turn), 1.3 - far * math.cos(turn), size, 0.6 * turn


def _flowers(sheet: StickerSheet) -> None:
    """Draw a wreath around the front of the head."""
    half, sag = 1.16, 0.4
    places = []
    for share in np.linspace(-1, 1, 9):
        angle = share * math.pi / 2
        places.append((half * math.sin(angle), sag * math.cos(angle), math.cos(angle)))
    sheet.fill(ellipse(0.03, 0.42, 1.05, 0.24), (25, 25, 15), opacity=0.3, soft=0.1)
    for index, (x, y, facing) in enumerate(places):
        for side in (-1, 1):
            turned = side * 0.6 + 0.5 * x
            long = 0.17 + 0.08 * facing
            leaf = rotate(ellipse(0, -long, 0.085, long), turned)
            sheet.fill(
                translate(leaf, x + 0.1 * side, y),
                darken(_LEAF, 0.85 + 0.15 * (index % 2)),
                relief=Relief(0.09),
            )
    order = sorted(range(len(places)), key=lambda index: places[index][2])
    for index in order:
        x, y, facing = places[index]
        size = (0.3 if index % 2 == 0 else 0.22) * (0.75 + 0.25 * facing)
        lift = 0.0 if index % 2 == 0 else -0.05
        _flower(sheet, x, y + lift, size, _PETALS[index % len(_PETALS)], narrow=0.6 + 0.4 * facing)


def _flower(
    sheet: StickerSheet, x: float, y: float, size: float, color: Rgb, *, narrow: float
) -> None:
    squeeze = np.array([narrow, 1.0])
    for ring, (count, far, light) in enumerate(((6, 0.58, 0.93), (5, 0.36, 1.0))):
        for step in range(count):
            angle = 2 * math.pi * (step + 0.5 * ring) / count
            petal = rotate(ellipse(0, -far * size, 0.36 * size, 0.46 * size), angle) * squeeze
            sheet.fill(translate(petal, x, y), darken(color, light), relief=Relief(size * 0.28))
    heartwood = ellipse(x, y, 0.24 * size * narrow, 0.24 * size)
    sheet.fill(heartwood, (242, 188, 70), relief=Relief(size * 0.2))


def _bow(sheet: StickerSheet) -> None:
    loop = smooth_curve(
        [
            (0.1, -0.08),
            (0.45, -0.42),
            (0.92, -0.5),
            (1.04, -0.05),
            (0.9, 0.36),
            (0.45, 0.28),
            (0.1, 0.1),
        ]
    )
    tail = np.array(
        [(0.0, 0.05), (0.42, 0.62), (0.5, 0.86), (0.28, 0.8), (0.12, 0.9), (-0.05, 0.3)]
    )
    for side in (1, -1):
        sheet.fill(translate(loop * (side, 1), 0.03, 0.07), (60, 0, 25), opacity=0.22, soft=0.06)
    for side in (1, -1):
        sheet.fill(tail * (side, 1), darken(_BOW, 0.8), relief=Relief(0.16))
    for side in (1, -1):
        sheet.fill(loop * (side, 1), _BOW, relief=Relief(0.34, 0.25))
        inside = smooth_curve(
            [(0.62, -0.22), (0.84, -0.3), (0.92, -0.04), (0.82, 0.18), (0.6, 0.12)]
        )
        sheet.fill(inside * (side, 1), darken(_BOW, 0.62), soft=0.03, opacity=0.75)
        for rise in (-0.1, 0.06):
            fold = smooth_curve(
                [(0.14, rise * 0.4), (0.34, rise), (0.56, rise * 1.6)], closed=False
            )
            sheet.line(fold * (side, 1), 0.022, darken(_BOW, 0.6), opacity=0.35)
    knot = smooth_curve(
        [(-0.17, -0.17), (0.17, -0.17), (0.2, 0.0), (0.17, 0.19), (-0.17, 0.19), (-0.2, 0)]
    )
    sheet.fill(knot, lighten(_BOW, 0.08), relief=Relief(0.18, 0.25))


def _ears(sheet: StickerSheet) -> None:
    band = smooth_curve([(-1.3, 0.98), (-1.16, 0.34), (-0.6, -0.12), (0, -0.24)], closed=False)
    band = np.concatenate([band, (band * (-1, 1))[::-1][1:]])
    inner = translate(band * (0.945, 1), 0, 0.075)
    sheet.fill(np.concatenate([band, inner[::-1]]), (36, 32, 34), relief=Relief(0.05, 0.4))

    def fur(x: Field, y: Field) -> Field:
        hairs = 1 + 0.1 * value_noise(x * 26, y * 7) + 0.08 * value_noise(x * 9, y * 5)
        return np.asarray(hairs[..., None] * np.array(_FUR), np.float32)

    def velvet(x: Field, y: Field) -> Field:
        hairs = 1 + 0.06 * value_noise(x * 26, y * 7) - 0.2 * np.clip(y + 0.2, 0, 1)
        return np.asarray(hairs[..., None] * np.array((244, 160, 170)), np.float32)

    ear = smooth_curve(
        [
            (-0.46, 0.42),
            (-0.36, -0.1),
            (-0.12, -0.62),
            (0.02, -0.74),
            (0.18, -0.58),
            (0.42, -0.06),
            (0.5, 0.4),
            (0.0, 0.5),
        ]
    )
    pink = translate(ear * (0.62, 0.66), 0.01, 0.1)
    for side in (-1, 1):
        placed = translate(rotate(ear, 0.3) * (side, 1), side * 0.84, -0.3)
        inside = translate(rotate(pink, 0.3) * (side, 1), side * 0.84, -0.3)
        sheet.fill(placed, fur, relief=Relief(0.2), soft=0.012)
        sheet.fill(inside, velvet, relief=Relief(0.1), soft=0.04)


def _moustache(sheet: StickerSheet) -> None:
    half = smooth_curve(
        [
            (0.0, -0.07),
            (0.16, -0.12),
            (0.36, -0.06),
            (0.56, 0.02),
            (0.72, -0.04),
            (0.8, -0.17),
            (0.86, -0.02),
            (0.74, 0.14),
            (0.5, 0.19),
            (0.24, 0.13),
            (0.0, 0.06),
        ],
        closed=False,
    )
    whole = np.concatenate([half, (half * (-1, 1))[::-1]])
    sheet.fill(translate(whole, 0.01, 0.05), (30, 10, 5), opacity=0.25, soft=0.04)

    def hair(x: Field, y: Field) -> Field:
        # Hairs run outward and slightly down.
        out: Field = np.abs(x)
        strands = 1 + 0.3 * value_noise(out * 4 + y * 3, (y - out / 8) * 55)
        parting = 1 - 0.35 * np.exp(-((x / 0.05) ** 2))
        return np.asarray((strands * parting)[..., None] * np.array(_HAIR), np.float32)

    sheet.fill(whole, hair, relief=Relief(0.1, 0.15), soft=0.008)


_KINDS: Final[Mapping[str, _Kind]] = {
    "heart": _Kind("hearts", _hearts, 2.2, 0, 0.05, crown=True),
    "star": _Kind("stars", _stars, 2.2, 0, 0.05, crown=True),
    "flower": _Kind("a wreath of flowers", _flowers, 1.8, 0, 1.28, crown=False),
    "bow": _Kind("a bow", _bow, 1.3, 0.72, -0.22, crown=True, leans=0.35),
    "cat-ears": _Kind("a cat's ears", _ears, 1.6, 0, -0.02, crown=True),
    "moustache": _Kind("a moustache", _moustache, 1.0, 0, 0, crown=False),
}
