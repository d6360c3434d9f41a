"""Terrazzo: chips of stone in cement, ground smooth.

palette: the cement, then the chips.
"""

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colours, shapes
from smart_filter_workers.backgrounds.sheet import Sheet
from smart_filter_workers.results import Srgb8

SMALL = 500
PITCH = 0.1
MOST_CHIPS = 3000
MOST_CORNERS = 7  # and 4 at least


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    cement, *stones = colours.coded(colours.read(preset.palette))
    chips = np.array(stones)
    fine = shapes.finer(sheet)
    picture = shapes.flat(fine, cement)
    random = sheet.random
    places = shapes.scattered(sheet, pitch=PITCH, most=MOST_CHIPS)
    sizes = PITCH * (0.17 + 0.45 * random.random(len(places)) ** 3.2)
    corners = random.integers(4, 8, len(places))
    colour = chips[random.integers(len(chips), size=len(places))]
    colour = np.clip(colour * random.uniform(0.93, 1.05, (len(places), 1)), 0, 255)
    # All corners at once: numpy is slow at little things.
    turn = np.linspace(0, 2 * np.pi, MOST_CORNERS, endpoint=False)
    angles = turn + random.uniform(-0.45, 0.45, (len(places), MOST_CORNERS))
    radii = sizes[:, None] * random.uniform(0.7, 1.1, angles.shape)
    outlines = np.stack([np.cos(angles), np.sin(angles)], axis=-1) * radii[..., None]
    outlines += places[:, None]
    for outline, count, shade in zip(outlines, corners, colour.astype(np.float32), strict=True):
        shapes.fill(picture, fine, outline[:count], shade, apart=True)
    x, y = sheet.places(SMALL)
    light = 1 - 0.03 * (x / sheet.reach[0] + y / sheet.reach[1])
    light = light + 0.015 * sheet.clouds(SMALL, cells=40, octaves=3)
    return sheet.shade(shapes.shrunk(picture, sheet), light.astype(np.float32))
