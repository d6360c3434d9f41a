"""A photographer's painted canvas with a spotlight on it.

palette: the canvas in the shade, half lit, and in the light.
"""

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colors
from smart_filter_workers.backgrounds.sheet import Sheet
from smart_filter_workers.results import Srgb8

SMALL_SIDE_PX = 640


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    x, y = sheet.places(SMALL_SIDE_PX)
    spot_x, spot_y = sheet.random.uniform(-0.3, 0.3), sheet.random.uniform(-0.45, -0.15)
    away = np.sqrt(((x - spot_x) / 1.15) ** 2 + ((y - spot_y) / 1.3) ** 2)
    spot = 1 / (1 + (away / 0.95) ** 2.6)
    # Broad sponge marks with fine ones in them, slightly drawn out as by a brush.
    marks = sheet.clouds(SMALL_SIDE_PX, cells=6, octaves=4) + 0.5 * sheet.clouds(
        SMALL_SIDE_PX, cells=22, octaves=3
    )
    tone = 0.8 * spot * (1 + 0.07 * marks) + 0.018 * marks
    return sheet.finish(colors.ramp(colors.parse_hex(preset.palette), tone.astype(np.float32)))
