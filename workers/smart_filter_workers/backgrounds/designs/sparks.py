"""Things that hang in the air: lights out of focus, and confetti."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colors
from smart_filter_workers.backgrounds.shapes import FIXED_POINT_BITS, Outline, inset_outline
from smart_filter_workers.backgrounds.sheet import Sheet
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Floats, Srgb8

BOKEH_SIDE_PX = 560
BOKEH_LIGHTS_PER_SQUARE = 95  # on a square sheet; more on a long one
BOKEH_GLITTER_PER_SQUARE = 48
BOKEH_EXPOSURE = 1.25
BOKEH_FAR_OFF_SHARE = 0.2  # share of lights without a clear rim

CONFETTI_SIDE_PX = 500
CONFETTI_FAR_PIECES = 90
CONFETTI_NEAR_PIECES = 130
CONFETTI_DARK_WALL_BELOW = (
    0.1  # linear: far pieces fade into a wall darker than this, otherwise into white
)


def draw_bokeh(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw bokeh: lights far out of focus, each drawn as a disc by the lens.

    palette: two colors of the ground, from the corners to the middle, then the colors of the
    lights.
    day: 1 for sunlight glittering on a bright ground, instead of lamps in the dark.
    Returns (height, width, 3) uint8 sRGB.
    """
    corner, middle, *lamps = colors.parse_hex(preset.palette)
    x, y = sheet.places(BOKEH_SIDE_PX)
    glow = np.exp(-(x**2 + (y + 0.35) ** 2) / 1.1) + 0.12 * sheet.clouds(BOKEH_SIDE_PX, cells=3)
    glow = np.clip(glow, 0, 1)[..., None]
    light = (corner * (1 - glow) + middle * glow).astype(np.float32)
    day = bool(preset.parameters.get("day"))
    if day:
        # Invert the film response below, so that the ground keeps its own bright color.
        light = np.asarray(-np.log1p(-np.minimum(light, 0.93)) / BOKEH_EXPOSURE, np.float32)

    reach_x, reach_y = sheet.reach
    unit = min(x.shape) / 2
    per_square = BOKEH_GLITTER_PER_SQUARE if day else BOKEH_LIGHTS_PER_SQUARE
    count = round(per_square * min(reach_x * reach_y, 8))
    # Farthest first. Depth decides size and brightness: a wide disc spreads its light.
    for depth in np.sort(sheet.random.random(count)).tolist():
        radius = 0.07 + 0.25 * depth**1.6 if day else 0.03 + 0.15 * depth**2.2
        place_x = sheet.random.uniform(-reach_x, reach_x) * 1.08
        # Lights hang, so the upper half has more of them.
        place_y = (sheet.random.beta(1.1, 1.5) * 2 - 1) * reach_y * 1.08
        lamp = lamps[sheet.random.integers(len(lamps))]
        strength = (0.2 + 1.1 * (1 - depth) ** 2) * sheet.random.uniform(0.3, 1.1)
        strength *= 0.5 if day else 1
        far_off = sheet.random.random() < BOKEH_FAR_OFF_SHARE
        _add_disc(
            light,
            lamp * np.float32(strength),
            center=((place_x + reach_x) * unit, (place_y + reach_y) * unit),
            radius=radius * unit,
            far_off=far_off,
        )
    # Film responds to light with a soft shoulder, so that overlapping discs do not burn out.
    return sheet.finish(colors.linear_to_srgb(1 - np.exp(-BOKEH_EXPOSURE * light)))


def _add_disc(
    light: colors.Colors,
    lamp: colors.Colors,
    *,
    center: tuple[float, float],
    radius: float,
    far_off: bool,
) -> None:
    """Add one out-of-focus lamp, with a rim a little brighter than its middle, in place."""
    height, width = light.shape[:2]
    blur = 0.5 if far_off else 0.06
    reach = radius * (1 + blur) + 1
    left, right = max(0, int(center[0] - reach)), min(width, int(center[0] + reach) + 2)
    top, bottom = max(0, int(center[1] - reach)), min(height, int(center[1] + reach) + 2)
    if left >= right or top >= bottom:
        return
    x = np.arange(left, right, dtype=np.float32) + np.float32(0.5 - center[0])
    y = np.arange(top, bottom, dtype=np.float32)[:, None] + np.float32(0.5 - center[1])
    away = np.asarray(np.hypot(x, y) / radius, np.float32)
    soft = max(blur, 1 / radius)
    inside: Floats = np.clip((1 + soft / 2 - away) / np.float32(soft), 0, 1, dtype=np.float32)
    inside = inside * inside * (3 - 2 * inside)
    if not far_off:
        squared = np.minimum(away * away, 1)
        inside *= 0.72 + 0.28 * squared * squared * squared
    # numpy is slow on arrays whose last axis is this short.
    part = light[top:bottom, left:right]
    cv2.add(part, cv2.merge([inside * channel for channel in lamp]), dst=part)


@dataclass(frozen=True, slots=True)
class _Piece:
    """One piece: its outline on the sheet (0..1 of width and height), and its light, (3,)."""

    outline: Outline
    light: colors.Colors


def draw_confetti(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw confetti in the air: far pieces out of focus, near ones sharp.

    palette: the wall at the top and at the bottom, then the pieces.
    shape: 0 for scraps of paper, 1 for hearts, 2 for snow, 3 for stars, 4 for petals.
    Returns (height, width, 3) uint8 sRGB.
    """
    palette = colors.parse_hex(preset.palette)
    x, y = sheet.places(CONFETTI_SIDE_PX)
    down = (y / sheet.reach[1] + 1) / 2 + 0.06 * sheet.clouds(CONFETTI_SIDE_PX, cells=2, octaves=2)
    wall = colors.ramp(palette[:2], down.astype(np.float32))
    glow = 1 + 0.05 * np.exp(-(x**2 + (y + 0.2) ** 2) / 0.9)
    far = wall * glow[..., None].astype(np.float32)
    cut = _SHAPES[int(preset.parameters.get("shape", 0))]
    air = (
        palette[:2].mean(axis=0)
        if palette[:2].mean() < CONFETTI_DARK_WALL_BELOW
        else np.ones(3, np.float32)
    )
    sizes = sheet.random.uniform(0.02, 0.05, CONFETTI_FAR_PIECES)
    _scatter_pieces(
        far,
        [_scrap(sheet, palette[2:], cut, size) for size in sizes],
        veil=0.45 * air,
        thinned=0.55,
    )
    sigma = max(far.shape) / 130
    far = cv2.GaussianBlur(far, (0, 0), sigma).astype(np.float32).reshape(far.shape)

    picture = sheet.finish(far)
    sizes = 0.008 + 0.022 * sheet.random.random(CONFETTI_NEAR_PIECES) ** 2
    _scatter_pieces(
        picture, [_scrap(sheet, palette[2:], cut, size) for size in sizes], veil=0 * air
    )
    return picture


def _scrap(
    sheet: Sheet,
    palette: colors.Colors,
    cut: Callable[[np.random.Generator], Outline],
    size: float,
) -> _Piece:
    """Return one piece, turned at random in space."""
    random = sheet.random
    outline = cut(random)
    tilt = random.uniform(0.3, 1.0) if cut is _paper else random.uniform(0.75, 1.0)
    turn = random.uniform(0, 2 * np.pi) if cut is not _heart else np.pi + random.normal(0, 0.35)
    cos, sin = np.cos(turn), np.sin(turn)
    outline = outline * [1, tilt] @ np.array([[cos, sin], [-sin, cos]])
    unit = size * (sheet.width * sheet.height) ** 0.5
    outline = outline * [unit / sheet.width, unit / sheet.height]
    # More pieces above than below, as if just thrown.
    place = [random.uniform(-0.02, 1.02), random.beta(1.0, 1.7) * 1.08 - 0.04]
    shine = (0.8 + 0.35 * tilt) * random.uniform(0.92, 1.08)
    light = palette[random.integers(len(palette))] * np.float32(shine)
    return _Piece(outline + place, light)


def _paper(random: np.random.Generator) -> Outline:
    """Return a strip, a disc or a curl."""
    kind = random.choice(3, p=[0.5, 0.3, 0.2])
    if kind == 0:
        half = random.uniform(0.25, 0.6)
        return np.array([[-1, -half], [1, -half], [1, half], [-1, half]])
    return (
        0.75 * _disc() if kind == 1 else _curl(random.uniform(1.2, 2.2), random.uniform(0.36, 0.55))
    )


def _heart(random: np.random.Generator) -> Outline:
    """Return a heart, with its tip down after half a turn."""
    along = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    across = 16 * np.sin(along) ** 3
    up = 13 * np.cos(along) - 5 * np.cos(2 * along) - 2 * np.cos(3 * along) - np.cos(4 * along)
    heart: Outline = np.stack([across, up], axis=-1) / 15 * random.uniform(0.8, 1.1)
    return heart


def _flake(random: np.random.Generator) -> Outline:
    """Return a soft round flake."""
    return random.uniform(0.2, 0.75) * _disc()


def _star(random: np.random.Generator) -> Outline:
    """Return a star of five points."""
    radii = np.where(np.arange(10) % 2, 0.45, 1.0)[:, None]
    star: Outline = _disc(10) * radii * random.uniform(0.75, 1.2)
    return star


def _petal(random: np.random.Generator) -> Outline:
    """Return a petal: one end round, the other tapered, with a notch."""
    along = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    width = random.uniform(0.55, 0.8)
    across = np.cos(along) * (1 - 0.16 * np.exp(-((along - np.pi) ** 2) / 0.06))
    petal: Outline = np.stack(
        [1.1 * across, width * np.sin(along) * (0.75 - 0.35 * np.cos(along))], axis=-1
    )
    return petal


def _disc(corners: int = 40) -> Outline:
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def _curl(length: float, thickness: float) -> Outline:
    """Return the outline of a wavy streamer."""
    along = np.linspace(-length, length, 28)
    wave = 0.45 * np.sin(along * 3.1)
    there = np.stack([along, wave - thickness / 2], axis=-1)
    back = np.stack([along[::-1], wave[::-1] + thickness / 2], axis=-1)
    return np.concatenate([there, back])


def _scatter_pieces(
    picture: Srgb8 | colors.Colors,
    pieces: list[_Piece],
    *,
    veil: colors.Colors,
    thinned: float = 1.0,
) -> None:
    """Fill pieces on a picture, in place.

    veil: (3,) linear, the light of the air in front.  thinned: share of the pieces' light that
    remains.
    """
    height, width = picture.shape[:2]
    light = np.stack([piece.light for piece in pieces]) * np.float32(thinned) + veil
    # Smooth edges need 8 bits; on the small float drawing the blur smooths them.
    line = cv2.LINE_AA if picture.dtype == np.uint8 else cv2.LINE_8
    for piece, color in zip(pieces, colors.linear_to_srgb(light).tolist(), strict=True):
        points = inset_outline(piece.outline * [width, height] - 0.5)
        fixed = np.round(points * 2**FIXED_POINT_BITS).astype(np.int32)
        cv2.fillPoly(picture, [fixed], color, lineType=line, shift=FIXED_POINT_BITS)


_SHAPES: Final = (_paper, _heart, _flake, _star, _petal)
