"""A hat on each head: a party hat, Santa's hat, a crown or a beanie."""

import functools
import math
from collections.abc import Callable, Mapping
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
    value_noise,
)
from smart_filter_workers.stages.composite.filters.palette import (
    AUTO_ORDER,
    COLORS,
    darken,
    lighten,
)
from smart_filter_workers.stages.composite.filters.scene import Head, Scene
from smart_filter_workers.stages.composite.filters.tiles import Tile, TilePlacement
from smart_filter_workers.stages.composite.models.base import Srgba8

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
_WHITE: Final[Rgb] = (250, 248, 244)
_GOLD: Final[Rgb] = (245, 190, 60)
_RED: Final[Rgb] = (196, 24, 32)


def draw(picture: Srgb8 | Srgba8, scene: Scene, parameters: Parameters) -> FilterVerdict:
    """Put a hat on each selected person."""
    kind = str_of(parameters, "kind")
    asked = str_of(parameters, "color")

    def worn(head: Head) -> tuple[Tile, TilePlacement]:
        auto = AUTO_ORDER[(head.number + scene.seed) % len(AUTO_ORDER)]
        color = auto if asked == "auto" else asked
        place = _place(head, kind, leaning=1 if (head.number + scene.seed) % 2 else -1)
        return _tile(kind, color, wearables.choose_tile_px(place, REACH)), place

    return wearables.paste_on_heads(
        picture, scene, str_of(parameters, "who"), worn, what=_WORDS[kind]
    )


def _place(head: Head, kind: str, *, leaning: int) -> TilePlacement:
    # A higher head has more hair: the hat sits higher by 0.6 of the difference.
    up = _BRIM[kind] + 0.6 * (head.crown - 2.0)
    middle = head.at(head.skull, up)
    angle = leaning * _LEAN_RADIANS[kind]
    cos, sin = math.cos(angle), math.sin(angle)
    across, above, unit = head.across, head.up, head.unit
    right = (unit * (cos * across[0] - sin * above[0]), unit * (cos * across[1] - sin * above[1]))
    down = (-unit * (cos * above[0] + sin * across[0]), -unit * (cos * above[1] + sin * across[1]))
    return TilePlacement(middle, right, down)


@functools.lru_cache(maxsize=wearables.MAX_CACHED_TILES)
def _tile(kind: str, color: str, size: int) -> Tile:
    sheet = StickerSheet(size, REACH)
    _KINDS[kind](sheet, COLORS[color])
    return sheet.tile()


def _party(sheet: StickerSheet, color: Rgb) -> None:
    base, height = 0.78, 2.0
    rim = ellipse(0, 0, base, 0.2)
    cone = np.array([*rim[rim[:, 1] >= 0], (0.0, -height)])
    cone = cone[np.lexsort((cone[:, 1], np.arctan2(cone[:, 1] + 0.6, cone[:, 0])))]
    sheet.fill(ellipse(0.05, 0.2, base * 0.95, 0.2), (30, 20, 20), opacity=0.35, soft=0.1)

    def paper(x: Field, y: Field) -> Field:
        # Bands wind around the cone, and its sides are darker.
        half = np.maximum(0.02, base * (1 + y / height))
        round_ = np.clip(x / half, -1, 1)
        winding = (y + 0.18 * np.sqrt(1 - round_**2) + 0.35 * x) * 2.1
        band = _soft_step((np.mod(winding, 1) - 0.5) * 20)
        mixed = band[..., None] * np.array(color) + (1 - band[..., None]) * np.array(_WHITE)
        light = 1.02 - 0.42 * (round_ + 0.35) ** 2
        return np.asarray(mixed * light[..., None], np.float32)

    sheet.fill(cone, paper)
    for share in np.linspace(-1, 1, 15):
        x, y = base * share, 0.2 * math.sqrt(max(0.0, 1 - share * share))
        sheet.fill(ellipse(x, y + 0.01, 0.1), lighten(color, 0.3), relief=Relief(0.07))
    _pompom(sheet, 0, -height, 0.3, lighten(color, 0.45))


def _santa(sheet: StickerSheet, color: Rgb) -> None:  # noqa: ARG001 - Santa's is red
    sheet.fill(ellipse(0.05, 0.3, 1.2, 0.24), (30, 15, 15), opacity=0.4, soft=0.12)
    body = smooth_curve(
        [
            (-1.32, 0.1),
            (-1.3, -0.5),
            (-1.0, -1.15),
            (-0.45, -1.62),
            (0.3, -1.78),
            (1.05, -1.6),
            (1.62, -1.1),
            (1.96, -0.4),
            (2.02, 0.3),
            (1.72, 0.34),
            (1.5, -0.25),
            (1.28, -0.45),
            (1.32, 0.1),
            (0.0, 0.25),
        ]
    )
    sheet.fill(body, _RED, relief=Relief(0.5))
    # The cloth folds where it bends over.
    for fold in (
        [(0.35, -1.3), (0.95, -1.2), (1.35, -0.75), (1.4, -0.35)],
        [(0.2, -0.95), (0.8, -0.9), (1.15, -0.55)],
    ):
        stroke = _tapered_stroke(smooth_curve(fold, closed=False), 0.16)
        sheet.fill(stroke, darken(_RED, 0.45), opacity=0.55, soft=0.06, within=body)
    _pompom(sheet, 1.88, 0.42, 0.4, _WHITE)
    _fur(sheet, half=1.36, thick=0.28, sag=0.2)


def _crown(sheet: StickerSheet, color: Rgb) -> None:  # noqa: ARG001 - a crown is golden
    sheet.fill(ellipse(0.03, 0.25, 1.0, 0.2), (30, 20, 10), opacity=0.35, soft=0.1)
    half, sag = 1.12, 0.22
    back = np.array([(-half, 0), (-half * 0.95, -0.5), (half * 0.95, -0.5), (half, 0)])
    sheet.fill(back, darken(_GOLD, 0.55))
    tips = [(-1.3, -0.95), (-0.72, -1.0), (0.0, -1.15), (0.72, -1.0), (1.3, -0.95)]
    dips = [(-0.95, -0.42), (-0.36, -0.33), (0.36, -0.33), (0.95, -0.42)]
    upper = [tips[0], dips[0], tips[1], dips[1], tips[2], dips[2], tips[3], dips[3], tips[4]]
    lower = _rim_front(half, sag)[::-1]
    sheet.fill(np.concatenate([np.array(upper), lower]), _metal, relief=Relief(0.12, 0.5))
    for rise in (0.0, -0.3):
        band = translate(_rim_front(half + 0.02 - 0.05 * rise, sag), 0, rise)
        strip = np.concatenate([translate(band, 0, -0.05), translate(band, 0, 0.05)[::-1]])
        sheet.fill(strip, lighten(_GOLD, 0.25), relief=Relief(0.06, 0.6))
    for tip in tips:
        sheet.fill(ellipse(tip[0], tip[1], 0.13), lighten(_GOLD, 0.2), relief=Relief(0.14, 1))
    jewels = [(200, 25, 60), (35, 90, 200), (20, 150, 95), (35, 90, 200), (200, 25, 60)]
    for share, jewel in zip((-0.78, -0.42, 0.0, 0.42, 0.78), jewels, strict=True):
        y = sag * math.sqrt(1 - share * share) - 0.16
        wide = 0.13 * math.sqrt(1 - 0.6 * share * share)
        sheet.fill(ellipse(half * share, y, wide, 0.11), jewel, relief=Relief(0.12, 1))


def _beanie(sheet: StickerSheet, color: Rgb) -> None:
    half, sag = 1.36, 0.16
    sheet.fill(ellipse(0.04, 0.3, 1.12, 0.2), (20, 20, 25), opacity=0.4, soft=0.11)

    def knit(x: Field, y: Field) -> Field:
        # Ribs converge at the top, and crowd where the cap turns away.
        span = np.maximum(0.05, half * np.sqrt(np.clip(1 - ((-y) / 1.75) ** 2, 0.02, 1)))
        turn = np.arcsin(np.clip(x / span, -1, 1))
        rib = 0.86 + 0.14 * np.cos(turn * 22)
        stitch = 0.96 + 0.04 * np.cos(y * 60 + np.cos(turn * 22) * 2)
        return np.asarray((rib * stitch)[..., None] * np.array(color), np.float32)

    dome = smooth_curve(
        [
            (-half, 0.0),
            (-1.3, -0.6),
            (-1.0, -1.15),
            (-0.5, -1.48),
            (0.0, -1.57),
            (0.5, -1.48),
            (1.0, -1.15),
            (1.3, -0.6),
            (half, 0.0),
            (0.0, 0.15),
        ]
    )
    sheet.fill(dome, knit, relief=Relief(0.6))
    _pompom(sheet, 0, -1.66, 0.36, lighten(color, 0.5))

    def cuff(x: Field, y: Field) -> Field:
        turn = np.arcsin(np.clip(x / (half + 0.06), -1, 1))
        rib = 0.8 + 0.2 * np.abs(np.cos(turn * 15))
        stitch = 0.96 + 0.04 * np.cos(y * 70)
        return np.asarray((rib * stitch)[..., None] * np.array(lighten(color, 0.1)), np.float32)

    edge = _rim_front(half + 0.05, sag)
    sheet.fill(
        _rounded_strip(translate(edge, 0, -0.36), translate(edge, 0, 0.2)),
        cuff,
        relief=Relief(0.22),
    )


def _metal(x: Field, y: Field) -> Field:
    """Return gold that mirrors a bright room in bands."""
    turn = np.arcsin(np.clip(x / 1.3, -1, 1))
    shine = 0.86 + 0.2 * np.cos(turn * 5 + 0.8) + 0.05 * np.cos(turn * 13) - 0.08 * y
    gold = np.array(_GOLD, np.float32)
    return np.asarray(np.clip(shine[..., None] * gold, 0, 255), np.float32)


def _pompom(sheet: StickerSheet, x: float, y: float, radius: float, color: Rgb) -> None:
    """Draw a ball of wool."""
    around = np.linspace(0, 2 * math.pi, 90, endpoint=False)
    frayed = radius * (1 + 0.09 * np.sin(17 * around + 1) * np.sin(7 * around + 2))
    outline = np.stack([x + frayed * np.cos(around), y + frayed * np.sin(around)], axis=1)

    def wool(at_x: Field, at_y: Field) -> Field:
        across, down = (at_x - x) / radius, (at_y - y) / radius
        far = np.sqrt(across**2 + down**2)
        # Threads stick out from the middle: fine around it, long along it.
        threads = value_noise(np.arctan2(down, across) * 9, far * 3) * 0.2
        tufts = value_noise(at_x / radius * 4, at_y / radius * 4) * 0.22
        light = 0.88 - 0.2 * (across * 0.5 + down * 0.8) - 0.12 * far**2
        return np.asarray((light + threads * far + tufts)[..., None] * np.array(color), np.float32)

    sheet.fill(outline, wool, soft=0.06 * radius)


def _fur(sheet: StickerSheet, *, half: float, thick: float, sag: float) -> None:
    """Draw a band of white fur that sags toward the viewer."""
    band = _rim_front(half, sag)
    strip = _rounded_strip(translate(band, 0, -thick), translate(band, 0, thick))
    along = np.linspace(0, 1, len(strip))
    frayed = strip * (1 + 0.012 * np.sin(along * 260) + 0.01 * np.sin(along * 410))[:, None]

    def fur(x: Field, y: Field) -> Field:
        front = sag * np.sqrt(np.clip(1 - (x / half) ** 2, 0, 1))
        rise = (y - front) / thick
        light = 0.96 - 0.13 * rise - 0.14 * np.clip(rise, 0, 1) ** 2 - 0.1 * (x / half) ** 2
        curls = value_noise(x * 9, y * 9) * 0.12 + value_noise(x * 24, y * 24) * 0.1
        return np.asarray((light + curls)[..., None] * np.array(_WHITE), np.float32)

    sheet.fill(frayed, fur, soft=0.025)


def _rim_front(half: float, sag: float) -> Outline:
    """Return the front of a rim, seen from a little above: the lower half of an ellipse."""
    angle = np.linspace(math.pi, 0, 41)
    return np.stack([half * np.cos(angle), sag * np.sin(angle)], axis=1)


def _rounded_strip(upper: Outline, lower: Outline) -> Outline:
    """Return the strip between two edges, both from left to right, with round ends."""
    ends = []
    for top, bottom, outward in ((upper[-1], lower[-1], 1), (upper[0], lower[0], -1)):
        angle = np.linspace(-math.pi / 2, math.pi / 2, 13)[1:-1]
        middle, half = (top + bottom) / 2, abs(bottom[1] - top[1]) / 2
        bulge = np.stack([outward * 0.5 * half * np.cos(angle), half * np.sin(angle)], axis=1)
        ends.append(middle + bulge)
    return np.concatenate([upper, ends[0], lower[::-1], ends[1][::-1]])


def _tapered_stroke(line: Outline, width: float) -> Outline:
    """Return a stroke along a line, thickest in the middle."""
    along = np.gradient(line, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1)
    normal /= np.maximum(1e-6, np.hypot(along[:, 0], along[:, 1]))[:, None]
    half = width / 2 * np.sin(np.linspace(0, math.pi, len(line)))[:, None]
    return np.concatenate([line + half * normal, (line - half * normal)[::-1]])


def _soft_step(field: Field) -> Field:
    return np.asarray(np.clip(field + 0.5, 0, 1), np.float32)


_KINDS: Final[Mapping[str, Callable[[StickerSheet, Rgb], None]]] = {
    "party": _party,
    "santa": _santa,
    "crown": _crown,
    "beanie": _beanie,
}
