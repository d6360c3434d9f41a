"""A wall plastered by hand and limewashed.

palette: where the wash is thin, and where it is thick.
"""

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colors
from smart_filter_workers.backgrounds.shapes import hillshade, warp_field
from smart_filter_workers.backgrounds.sheet import Field, Sheet
from smart_filter_workers.results import Srgb8

SMALL_SIDE_PX = 600
RELIEF = 0.16


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    x, y = sheet.places(SMALL_SIDE_PX)
    daylight = -0.09 * (x / sheet.reach[0] + y / sheet.reach[1])
    blotches = sheet.clouds(SMALL_SIDE_PX, cells=3, octaves=5)
    tone = 0.5 + 0.34 * blotches + daylight
    picture = colors.ramp(colors.parse_hex(preset.palette), tone.astype(np.float32))
    return sheet.finish(picture * texture(preset, sheet)[..., None])


def texture(preset: Preset, sheet: Sheet) -> Field:
    """Return the factor, about 1, of the wall's relief on the light of a print."""
    del preset  # all walls have the same relief
    grit = sheet.clouds(SMALL_SIDE_PX, cells=130, octaves=1)
    height = sheet.clouds(SMALL_SIDE_PX, cells=9, octaves=5) + 0.55 * _strokes(sheet) + 0.12 * grit
    return np.asarray(1 + RELIEF * hillshade(height), np.float32)


def _strokes(sheet: Sheet) -> Field:
    """Return the trowel's marks, about -1..1, drawn out along slowly turning directions."""
    marks = sheet.clouds(SMALL_SIDE_PX, cells=26, octaves=3)
    turn = sheet.clouds(SMALL_SIDE_PX, cells=4, octaves=1)
    reach_px = SMALL_SIDE_PX / 40
    drawn = [
        warp_field(marks, turn * reach_px * k, (1 - abs(turn)) * reach_px * k) for k in (0, 0.5, 1)
    ]
    return np.asarray(sum(drawn) / len(drawn), np.float32)
