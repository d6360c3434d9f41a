"""Polished marble: clouded stone with veins.

palette: the stone, its clouds, its veins.
"""

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colours
from smart_filter_workers.backgrounds.shapes import bent, step
from smart_filter_workers.backgrounds.sheet import Field, Sheet
from smart_filter_workers.results import Srgb8

SMALL = 600


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    stone, cloud, vein = colours.coded(colours.read(preset.palette))
    x, y = sheet.places(SMALL)
    warp = SMALL / 9
    across, down = (warp * sheet.clouds(SMALL, cells=3, octaves=4) for _ in range(2))
    # Veins run aslant: along them the stone changes slowly.
    lie = sheet.random.uniform(0.5, 0.9) * (1 if sheet.random.random() < 0.5 else -1)  # noqa: PLR2004 - a coin
    aslant = np.asarray(np.cos(lie) * y - np.sin(lie) * x, np.float32)
    clouds = bent(sheet.clouds(SMALL, cells=4, octaves=4), across, down)
    uneven = sheet.clouds(SMALL, cells=5, octaves=3)
    broad = _veins(bent(aslant, across, down), sheet, count=1.6, width=0.03 * (1.1 + uneven))
    fine = _veins(bent(aslant, -down, across), sheet, count=3.4, width=0.012 * (1.1 - uneven))
    where = step(0.5 + 0.9 * uneven)
    veined = np.clip(broad * (0.25 + 0.75 * where) + 0.6 * fine * (1 - 0.7 * where), 0, 1)
    # Beside a vein the stone is stained.
    stained = np.clip(step(0.42 + 0.75 * clouds) + 0.35 * broad, 0, 1)[..., None]
    picture = stone * (1 - stained) + cloud * stained
    share = (0.85 * veined)[..., None]
    return sheet.finish((picture * (1 - share) + vein * share).astype(np.float32))


def _veins(field: Field, sheet: Sheet, *, count: float, width: Field) -> Field:
    """Return lines where the field passes evenly spaced values, 0..1; width: a line's half."""
    place = field * np.float32(count) + np.float32(sheet.random.random())
    place = place + 0.14 * sheet.clouds(SMALL, cells=8, octaves=4)
    away = np.abs(place - np.round(place))
    # Cauchy's bell, squared: a core with a little stain beside it.
    bell = 1 / (1 + (away / np.maximum(width, 0.006)) ** 2)
    return np.asarray(bell * bell, np.float32)
