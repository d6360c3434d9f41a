"""A wall plastered by hand and limewashed.

palette: where the wash lies thin, and where it lies thick.
"""

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colours
from smart_filter_workers.backgrounds.shapes import bent, slope
from smart_filter_workers.backgrounds.sheet import Field, Sheet
from smart_filter_workers.results import Srgb8

SMALL = 600
RELIEF = 0.16


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    x, y = sheet.places(SMALL)
    daylight = -0.09 * (x / sheet.reach[0] + y / sheet.reach[1])
    blotches = sheet.clouds(SMALL, cells=3, octaves=5)
    tone = 0.5 + 0.34 * blotches + daylight
    picture = colours.ramp(colours.read(preset.palette), tone.astype(np.float32))
    return sheet.finish(picture * texture(preset, sheet)[..., None])


def texture(preset: Preset, sheet: Sheet) -> Field:
    """Return the light that the wall's relief leaves on what is painted on it, about 1."""
    del preset  # all walls are plastered alike
    grit = sheet.clouds(SMALL, cells=130, octaves=1)
    height = sheet.clouds(SMALL, cells=9, octaves=5) + 0.55 * _strokes(sheet) + 0.12 * grit
    return np.asarray(1 + RELIEF * slope(height), np.float32)


def _strokes(sheet: Sheet) -> Field:
    """Return what a trowel leaves, about -1..1: marks drawn out in slowly turning ways."""
    marks = sheet.clouds(SMALL, cells=26, octaves=3)
    turn = sheet.clouds(SMALL, cells=4, octaves=1)
    reach_px = SMALL / 40
    drawn = [bent(marks, turn * reach_px * k, (1 - abs(turn)) * reach_px * k) for k in (0, 0.5, 1)]
    return np.asarray(sum(drawn) / len(drawn), np.float32)
