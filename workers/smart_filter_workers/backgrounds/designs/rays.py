"""Rays from behind the people, as on posters.

palette: the ground, and every other ray.
"""

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colors, shapes
from smart_filter_workers.backgrounds.sheet import Sheet
from smart_filter_workers.results import Srgb8

SMALL_SIDE_PX = 500


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    ground, ray = colors.linear_to_srgb(colors.parse_hex(preset.palette))
    picture = shapes.solid_color(sheet, ground)
    reach_x, reach_y = sheet.reach
    center_x = sheet.random.uniform(-0.2, 0.2) * reach_x
    center_y = sheet.random.uniform(-0.05, 0.35) * reach_y
    center = np.array([center_x, center_y])
    count = int(sheet.random.integers(13, 20))
    first = sheet.random.uniform(0, 2 * np.pi)
    far = 3 * float(np.hypot(reach_x, reach_y))
    for index in range(count):
        edges = first + (index + np.array([0.0, 0.5])) * (2 * np.pi / count)
        tips = center + far * np.stack([np.cos(edges), np.sin(edges)], axis=-1)
        shapes.fill_shape(picture, sheet, np.concatenate([[center], tips]), ray)
    x, y = sheet.places(SMALL_SIDE_PX)
    away = np.hypot((x - center_x) / reach_x, (y - center_y) / reach_y)
    light = 1.04 - 0.06 * away**1.5 + 0.008 * sheet.clouds(SMALL_SIDE_PX, cells=150, octaves=2)
    return sheet.shade(picture, light.astype(np.float32))
