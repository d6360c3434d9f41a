"""Terrazzo: chips of stone in cement, ground smooth.

palette: the cement, then the chips.
"""

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colours, shapes
from smart_filter_workers.backgrounds.sheet import Sheet
from smart_filter_workers.results import Srgb8

SMALL = 500
PITCH = 0.085
MOST_CHIPS = 3000


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    cement, *chips = colours.coded(colours.read(preset.palette))
    fine = shapes.finer(sheet)
    picture = shapes.flat(fine, cement)
    random = sheet.random
    for place in shapes.scattered(sheet, pitch=PITCH, most=MOST_CHIPS):
        size = PITCH * (0.17 + 0.45 * random.random() ** 3.2)
        corners = random.integers(4, 8)
        angles = np.sort(random.uniform(0, 2 * np.pi, corners))
        radii = size * random.uniform(0.7, 1.1, corners)
        chip = place + np.stack([np.cos(angles), np.sin(angles)], axis=-1) * radii[:, None]
        shade = random.uniform(0.93, 1.05)
        colour = np.clip(chips[random.integers(len(chips))] * shade, 0, 255)
        shapes.fill(picture, fine, chip, colour.astype(np.float32), apart=True)
    x, y = sheet.places(SMALL)
    light = 1 - 0.03 * (x / sheet.reach[0] + y / sheet.reach[1])
    light = light + 0.015 * sheet.clouds(SMALL, cells=40, octaves=3)
    return sheet.shade(shapes.shrunk(picture, sheet), light.astype(np.float32))
