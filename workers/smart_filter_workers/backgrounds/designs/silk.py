"""Silk in loose folds.

palette: in the folds' shade, half lit, and at the highlights.
"""

import math

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colors
from smart_filter_workers.backgrounds.sheet import Sheet
from smart_filter_workers.results import Srgb8

SMALL_SIDE_PX = 520


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    x, y = sheet.places(SMALL_SIDE_PX)
    lie = sheet.random.uniform(0.35, 0.8) * (1 if sheet.random.random() < 0.5 else -1)  # noqa: PLR2004 - a coin
    aslant = math.cos(lie) * x + math.sin(lie) * y
    wide = sheet.clouds(SMALL_SIDE_PX, cells=1.6, octaves=2)
    narrow = sheet.clouds(SMALL_SIDE_PX, cells=3.5, octaves=2)
    place = 1.2 * aslant + 0.5 * wide + 0.14 * narrow
    # Folds of two widths; a cosine is the shading of a cylinder of cloth.
    folds = 0.62 * np.cos(2 * np.pi * place) + 0.3 * np.cos(2 * np.pi * (2.3 * place + 0.6 * wide))
    tone = 0.46 + 0.4 * folds
    sheen = 0.22 * np.clip(folds - 0.45, 0, 1) ** 2
    light = (tone + sheen).astype(np.float32)
    return sheet.finish(colors.ramp(colors.parse_hex(preset.palette), light))
