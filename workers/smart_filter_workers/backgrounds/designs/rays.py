"""Rays from behind the people, as on posters.

palette: the ground, and every other ray.
"""

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colours, shapes
from smart_filter_workers.backgrounds.sheet import Sheet
from smart_filter_workers.results import Srgb8

SMALL = 500


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    ground, ray = colours.coded(colours.read(preset.palette))
    picture = shapes.flat(sheet, ground)
    reach_x, reach_y = sheet.reach
    centre = np.array(
        [sheet.random.uniform(-0.2, 0.2) * reach_x, sheet.random.uniform(-0.05, 0.35) * reach_y]
    )
    count = int(sheet.random.integers(13, 20))
    first = sheet.random.uniform(0, 2 * np.pi)
    far = 3 * float(np.hypot(reach_x, reach_y))
    for index in range(count):
        edges = first + (index + np.array([0.0, 0.5])) * (2 * np.pi / count)
        tips = centre + far * np.stack([np.cos(edges), np.sin(edges)], axis=-1)
        shapes.fill(picture, sheet, np.concatenate([[centre], tips]), ray)
    x, y = sheet.places(SMALL)
    away = np.hypot((x - centre[0]) / reach_x, (y - centre[1]) / reach_y)
    light = 1.04 - 0.06 * away**1.5 + 0.008 * sheet.clouds(SMALL, cells=150, octaves=2)
    return sheet.shade(picture, light.astype(np.float32))
