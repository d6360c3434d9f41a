"""Polished marble: clouded stone with veins.

palette: the stone, its clouds, its veins.
"""

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colors
from smart_filter_workers.backgrounds.shapes import smoothstep, warp_field
from smart_filter_workers.backgrounds.sheet import Field, Sheet
from smart_filter_workers.results import Srgb8

SMALL_SIDE_PX = 600


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    stone, cloud, vein = colors.linear_to_srgb(colors.parse_hex(preset.palette))
    x, y = sheet.places(SMALL_SIDE_PX)
    warp = SMALL_SIDE_PX / 9
    across, down = (warp * sheet.clouds(SMALL_SIDE_PX, cells=3, octaves=4) for _ in range(2))
    # Veins run diagonally: along them the stone changes slowly.
    lie = sheet.random.uniform(0.5, 0.9) * (1 if sheet.random.random() < 0.5 else -1)  # noqa: PLR2004 - a coin
    aslant = np.asarray(np.cos(lie) * y - np.sin(lie) * x, np.float32)
    clouds = warp_field(sheet.clouds(SMALL_SIDE_PX, cells=4, octaves=4), across, down)
    uneven = sheet.clouds(SMALL_SIDE_PX, cells=5, octaves=3)
    broad = _veins(warp_field(aslant, across, down), sheet, count=1.6, width=0.03 * (1.1 + uneven))
    fine = _veins(warp_field(aslant, -down, across), sheet, count=3.4, width=0.012 * (1.1 - uneven))
    where = smoothstep(0.5 + 0.9 * uneven)
    veined = np.clip(broad * (0.25 + 0.75 * where) + 0.6 * fine * (1 - 0.7 * where), 0, 1)
    # The stone is stained along a vein.
    stained = np.clip(smoothstep(0.42 + 0.75 * clouds) + 0.35 * broad, 0, 1)[..., None]
    picture = stone * (1 - stained) + cloud * stained
    share = (0.85 * veined)[..., None]
    return sheet.finish((picture * (1 - share) + vein * share).astype(np.float32))


def _veins(field: Field, sheet: Sheet, *, count: float, width: Field) -> Field:
    """Return lines where the field crosses evenly spaced values, 0..1; width: half of a line's."""
    place = field * np.float32(count) + np.float32(sheet.random.random())
    place = place + 0.14 * sheet.clouds(SMALL_SIDE_PX, cells=8, octaves=4)
    away = np.abs(place - np.round(place))
    # Cauchy's bell, squared: a core with slight stains on both sides.
    bell = 1 / (1 + (away / np.maximum(width, 0.006)) ** 2)
    return np.asarray(bell * bell, np.float32)
