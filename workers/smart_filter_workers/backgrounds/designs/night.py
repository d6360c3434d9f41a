"""A clear night.

palette: the sky above, midway and at the horizon, the stars; with an aurora its two lights. aurora,
haze, moon: 1 for northern lights, the Milky Way, a full moon.
"""

import math

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colors
from smart_filter_workers.backgrounds.shapes import ridge_line, smoothstep
from smart_filter_workers.backgrounds.sheet import Field, Sheet
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Srgb8

SMALL_SIDE_PX = 520
STARS_PER_SQUARE = 260
MAX_STARS = 1500
FIXED_POINT_BITS = 4


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    palette = colors.parse_hex(preset.palette)
    x, y = sheet.places(SMALL_SIDE_PX)
    down = (y / sheet.reach[1] + 1) / 2 + 0.05 * sheet.clouds(SMALL_SIDE_PX, cells=2, octaves=2)
    sky = colors.srgb_to_linear(colors.ramp(palette[:3], down.astype(np.float32)))
    if preset.parameters.get("haze"):
        sky += 0.85 * palette[2] * _band(sheet, x, y)[..., None]
    if preset.parameters.get("aurora"):
        for hem in (sheet.random.uniform(-0.55, -0.35), sheet.random.uniform(-0.05, 0.15)):
            sky += _curtain(sheet, x, y, hem=hem, lamps=palette[4:6])
    if preset.parameters.get("moon"):
        sky += palette[3] * _moon(sheet, x, y)[..., None]
    picture = sheet.finish(colors.linear_to_srgb(1 - np.exp(-1.15 * sky)))
    _stars(picture, sheet, colors.linear_to_srgb(palette[3]))
    return picture


def _band(sheet: Sheet, x: Field, y: Field) -> Field:
    """Return the light of the Milky Way, with its dark lanes."""
    lie = sheet.random.uniform(0.7, 1.1)
    uneven = 0.16 * sheet.clouds(SMALL_SIDE_PX, cells=4, octaves=3)
    aslant = math.cos(lie) * x - math.sin(lie) * y + uneven
    glow = np.exp(-((aslant / 0.42) ** 2)) * (
        0.9 + 0.6 * sheet.clouds(SMALL_SIDE_PX, cells=7, octaves=5)
    )
    lanes = smoothstep(1.3 * sheet.clouds(SMALL_SIDE_PX, cells=6, octaves=5) + 0.1) * np.exp(
        -((aslant / 0.2) ** 2)
    )
    return np.asarray(np.clip(glow * (1 - 0.75 * lanes), 0, 2), np.float32)


def _curtain(
    sheet: Sheet, x: Field, y: Field, *, hem: float, lamps: colors.Colors
) -> colors.Colors:
    """Return a curtain of northern lights: bright along its hem, another color higher up."""
    across = x[0]
    bottom = hem * sheet.reach[1] + 0.24 * ridge_line(sheet.random, across, length=1.0, octaves=2)
    rays = 0.7 + 0.45 * ridge_line(sheet.random, across, length=0.16, octaves=3)
    lit = np.clip(0.45 + 0.75 * ridge_line(sheet.random, across, length=0.9, octaves=1), 0.05, 1)
    length = 0.32 + 0.12 * ridge_line(sheet.random, across, length=0.3, octaves=2)
    above = bottom - y
    faded = np.exp(-np.maximum(above, 0) / length)
    low = smoothstep(np.asarray(above / 0.16 + 1, np.float32)) * np.clip(rays, 0, 2) * lit
    green, violet = low * faded * 0.8, low * np.sqrt(faded) * (1 - faded) * 0.8
    return np.asarray(green[..., None] * lamps[0] + violet[..., None] * lamps[1], np.float32)


def _moon(sheet: Sheet, x: Field, y: Field) -> Field:
    side = 1 if sheet.random.random() < 0.5 else -1  # noqa: PLR2004 - a coin
    at_x = side * sheet.random.uniform(0.45, 0.7) * sheet.reach[0]
    at_y = sheet.random.uniform(-0.75, -0.5) * sheet.reach[1]
    away = np.hypot(x - at_x, y - at_y)
    seas = 1 + 0.2 * sheet.clouds(SMALL_SIDE_PX, cells=16, octaves=3)
    disc = 1.6 * smoothstep((0.17 - away) / 0.012 + 0.5) * seas
    return np.asarray(disc + 0.25 * np.exp(-away / 0.22), np.float32)


def _stars(picture: Srgb8, sheet: Sheet, color: colors.Colors) -> None:
    """Scatter stars over a full-size sky, in place: many faint ones, few bright ones."""
    random = sheet.random
    height, width = picture.shape[:2]
    unit = min(width, height) / 2
    count = round(min(STARS_PER_SQUARE * sheet.reach[0] * sheet.reach[1], MAX_STARS))
    at = random.random((count, 2))
    bright = random.random(count) ** 3.5
    for (at_x, at_y), strength in zip(at, bright, strict=True):
        # The air dims stars toward the horizon.
        share = (0.25 + 0.75 * strength) * (1 - 0.75 * at_y)
        place = int(at_x * width), int(at_y * height)
        ground = picture[place[1], place[0]].astype(np.float32)
        shine = ground + (np.maximum(color, ground) - ground) * np.float32(share)
        radius = unit * (0.0016 + 0.0034 * strength)
        center = (
            round(at_x * width * 2**FIXED_POINT_BITS),
            round(at_y * height * 2**FIXED_POINT_BITS),
        )
        level = [float(channel) for channel in shine]
        cv2.circle(
            picture,
            center,
            max(1, round(radius * 2**FIXED_POINT_BITS)),
            level,
            -1,
            cv2.LINE_AA,
            FIXED_POINT_BITS,
        )
