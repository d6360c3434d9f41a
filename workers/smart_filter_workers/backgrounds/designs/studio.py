"""A photographer's painted canvas with a spot light on it.

palette: the canvas in the shade, half lit, and in the light.
"""

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colours
from smart_filter_workers.backgrounds.sheet import Sheet
from smart_filter_workers.results import Srgb8

SMALL = 640


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    x, y = sheet.places(SMALL)
    spot_x, spot_y = sheet.random.uniform(-0.3, 0.3), sheet.random.uniform(-0.45, -0.15)
    away = np.sqrt(((x - spot_x) / 1.15) ** 2 + ((y - spot_y) / 1.3) ** 2)
    spot = 1 / (1 + (away / 0.95) ** 2.6)
    # Broad sponge marks with fine ones in them, drawn out a little as a brush would.
    marks = sheet.clouds(SMALL, cells=6, octaves=4) + 0.5 * sheet.clouds(SMALL, cells=22, octaves=3)
    tone = 0.8 * spot * (1 + 0.07 * marks) + 0.018 * marks
    return sheet.finish(colours.ramp(colours.read(preset.palette), tone.astype(np.float32)))
