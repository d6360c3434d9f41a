"""Sheets of colored paper cut into waves and laid over each other, with their shadows.

palette: from the rear sheet to the front one.
"""

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colors
from smart_filter_workers.backgrounds.shapes import ridge_line
from smart_filter_workers.backgrounds.sheet import Sheet
from smart_filter_workers.results import Srgb8

SMALL_SIDE_PX = 660
SHADOW = 0.26
SHADOW_LENGTH = 0.085


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    palette = colors.parse_hex(preset.palette)
    x, y = sheet.places(SMALL_SIDE_PX)
    reach_x, reach_y = sheet.reach
    unit = min(x.shape) / 2
    sheets = len(palette)
    # All waves lean the same way.
    lean = sheet.random.uniform(-0.3, 0.3) / reach_x
    tone, light = np.zeros(x.shape, np.float32), np.ones(x.shape, np.float32)
    for index in range(1, sheets):
        depth = index / sheets
        wave = ridge_line(sheet.random, x[0], length=0.95, octaves=1)
        line = (-0.72 + 1.7 * depth) * reach_y + 0.3 * wave + lean * x[0]
        below = y - line
        light *= 1 - SHADOW * np.exp(-((np.maximum(-below, 0) / SHADOW_LENGTH) ** 1.2))
        cover = np.clip(below * unit + 0.5, 0, 1)
        # Paper is cut with a bevel: a bright rim, then slightly darker downward.
        shade = 1.0 - 0.05 * np.clip(below / (0.8 * reach_y), 0, 1)
        light += cover * (shade - light)
        tone += cover * (np.float32(index / (sheets - 1)) - tone)
    light *= 1 + 0.011 * sheet.clouds(SMALL_SIDE_PX, cells=200, octaves=2)
    return sheet.finish(colors.ramp(palette, tone) * light[..., None])
