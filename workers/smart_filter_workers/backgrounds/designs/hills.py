"""Ridge behind ridge, paler with distance.

palette: the sky above, the sky at the horizon (and the mist), the farthest ridge, the nearest.
rough: 1 for crags and trees, 0 for dunes; 0.5 by default.  sun: 1 for a low sun.
"""

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colors
from smart_filter_workers.backgrounds.shapes import ridge_line, smoothstep
from smart_filter_workers.backgrounds.sheet import Field, Sheet
from smart_filter_workers.results import Srgb8

SMALL_SIDE_PX = 640
RIDGES = 6


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    rough = preset.parameters.get("rough", 0.5)
    palette = colors.linear_to_srgb(colors.parse_hex(preset.palette))
    x, y = sheet.places(SMALL_SIDE_PX)
    reach_y = sheet.reach[1]
    unit = min(x.shape) / 2
    down = np.asarray((y / reach_y + 1) / 2, np.float32)
    horizon = smoothstep(down / 0.62)
    if preset.parameters.get("sun"):
        horizon = horizon + _sun(sheet, x, y)
    mist, near = np.ones(x.shape, np.float32), np.zeros(x.shape, np.float32)
    land = np.zeros(x.shape, np.float32)
    for index in range(RIDGES):
        depth = index / (RIDGES - 1)
        wave = ridge_line(
            sheet.random, x[0], length=0.9 + 0.5 * depth, octaves=2 + round(5 * rough)
        )
        line = (-0.12 + 0.85 * depth**1.15) * reach_y + (0.13 + 0.05 * depth) * wave
        below = y - line
        cover = np.clip(below * unit + 0.5, 0, 1)
        # Mist lies in the valleys: each ridge fades downward, the nearest barely.
        faded = (0.78 - 0.5 * depth) * smoothstep(below / (0.42 + 0.1 * depth)) + 0.12 * (1 - depth)
        land += cover * (1 - land)
        mist += cover * (faded - mist)
        near += cover * (np.float32(depth) - near)
    return sheet.finish(_color_layers(palette, horizon, land, mist, near))


def _color_layers(
    palette: colors.Colors, horizon: Field, land: Field, mist: Field, near: Field
) -> colors.Colors:
    haze = mist * land
    shares = np.stack(
        [
            (1 - horizon) * (1 - land),
            horizon * (1 - land) + haze,
            (1 - near) * (land - haze),
            near * (land - haze),
        ],
        axis=-1,
    )
    return np.clip(shares @ palette, 0, 255).astype(np.float32)


def _sun(sheet: Sheet, x: Field, y: Field) -> Field:
    """Return the glow of a low sun, which brightens the horizon's color."""
    at_x = sheet.random.uniform(-0.55, 0.55) * sheet.reach[0]
    at_y = sheet.random.uniform(-0.42, -0.25) * sheet.reach[1]
    away = np.hypot(x - at_x, y - at_y)
    disc = smoothstep((0.17 - away) / 0.02 + 0.5)
    return np.asarray(0.22 * disc + 0.22 * np.exp(-((away / 0.55) ** 2)), np.float32)
