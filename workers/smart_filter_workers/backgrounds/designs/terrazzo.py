"""Terrazzo: chips of stone in cement, ground smooth.

palette: the cement, then the chips.
"""

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colors, shapes
from smart_filter_workers.backgrounds.sheet import Sheet
from smart_filter_workers.results import Srgb8

SMALL_SIDE_PX = 500
PITCH = 0.1
MAX_CHIPS = 3000
MAX_CORNERS = 7  # at least 4


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    cement, *stones = colors.linear_to_srgb(colors.parse_hex(preset.palette))
    chips = np.array(stones)
    fine = shapes.supersample_sheet(sheet)
    picture = shapes.solid_color(fine, cement)
    random = sheet.random
    places = shapes.scatter_points(sheet, pitch=PITCH, most=MAX_CHIPS)
    sizes = PITCH * (0.17 + 0.45 * random.random(len(places)) ** 3.2)
    corners = random.integers(4, 8, len(places))
    color = chips[random.integers(len(chips), size=len(places))]
    color = np.clip(color * random.uniform(0.93, 1.05, (len(places), 1)), 0, 255)
    # Compute all corners at once: numpy is slow on small arrays.
    turn = np.linspace(0, 2 * np.pi, MAX_CORNERS, endpoint=False)
    angles = turn + random.uniform(-0.45, 0.45, (len(places), MAX_CORNERS))
    radii = sizes[:, None] * random.uniform(0.7, 1.1, angles.shape)
    outlines = np.stack([np.cos(angles), np.sin(angles)], axis=-1) * radii[..., None]
    outlines += places[:, None]
    for outline, count, shade in zip(outlines, corners, color.astype(np.float32), strict=True):
        shapes.fill_shape(picture, fine, outline[:count], shade, apart=True)
    x, y = sheet.places(SMALL_SIDE_PX)
    light = 1 - 0.03 * (x / sheet.reach[0] + y / sheet.reach[1])
    light = light + 0.015 * sheet.clouds(SMALL_SIDE_PX, cells=40, octaves=3)
    return sheet.shade(shapes.downsample(picture, sheet), light.astype(np.float32))
