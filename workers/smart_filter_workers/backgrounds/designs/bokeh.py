"""Bokeh: lights far out of focus, each drawn as a disc by the lens.

palette: two colors of the ground, from the corners to the middle, then the colors of the lights.
day: 1 for sunlight glittering on a bright ground, instead of lamps in the dark.
"""

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colors
from smart_filter_workers.backgrounds.sheet import Field, Sheet
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Srgb8

SMALL_SIDE_PX = 560
LIGHTS_PER_SQUARE = 95  # on a square sheet; more on a long one
GLITTER_PER_SQUARE = 48
EXPOSURE = 1.25
FAR_OFF_SHARE = 0.2  # share of lights without a clear rim


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    corner, middle, *lamps = colors.parse_hex(preset.palette)
    x, y = sheet.places(SMALL_SIDE_PX)
    glow = np.exp(-(x**2 + (y + 0.35) ** 2) / 1.1) + 0.12 * sheet.clouds(SMALL_SIDE_PX, cells=3)
    glow = np.clip(glow, 0, 1)[..., None]
    light = (corner * (1 - glow) + middle * glow).astype(np.float32)
    day = bool(preset.parameters.get("day"))
    if day:
        # Invert the film response below, so that the ground keeps its own bright color.
        light = np.asarray(-np.log1p(-np.minimum(light, 0.93)) / EXPOSURE, np.float32)

    reach_x, reach_y = sheet.reach
    unit = min(x.shape) / 2
    per_square = GLITTER_PER_SQUARE if day else LIGHTS_PER_SQUARE
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
        far_off = sheet.random.random() < FAR_OFF_SHARE
        _add_disc(
            light,
            lamp * np.float32(strength),
            center=((place_x + reach_x) * unit, (place_y + reach_y) * unit),
            radius=radius * unit,
            far_off=far_off,
        )
    # Film responds to light with a soft shoulder, so that overlapping discs do not burn out.
    return sheet.finish(colors.linear_to_srgb(1 - np.exp(-EXPOSURE * light)))


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
    inside: Field = np.clip((1 + soft / 2 - away) / np.float32(soft), 0, 1, dtype=np.float32)
    inside = inside * inside * (3 - 2 * inside)
    if not far_off:
        squared = np.minimum(away * away, 1)
        inside *= 0.72 + 0.28 * squared * squared * squared
    # numpy is slow on arrays whose last axis is this short.
    part = light[top:bottom, left:right]
    cv2.add(part, cv2.merge([inside * channel for channel in lamp]), dst=part)
