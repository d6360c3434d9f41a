"""Halftone dots that grow toward one corner.

palette: the ground and the dots, which are in diagonal rows and never touch.
"""

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colors, shapes
from smart_filter_workers.backgrounds.sheet import Sheet
from smart_filter_workers.results import Srgb8

PITCH = 0.15
MAX_DOTS = 2500
SMALL_SIDE_PX = 400
CORNERS = 32  # of a dot


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    ground, ink = colors.linear_to_srgb(colors.parse_hex(preset.palette))
    fine = shapes.supersample_sheet(sheet)
    picture = shapes.solid_color(fine, ground)
    reach_x, reach_y = sheet.reach
    pitch = max(PITCH, (8 * reach_x * reach_y / MAX_DOTS) ** 0.5)
    toward = np.array([sheet.random.choice([-1, 1]), sheet.random.choice([-1, 1])])
    lean = sheet.random.uniform(0.35, 0.65)
    angles = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    disc = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    half = pitch / 2
    rows, columns = int(2 * reach_y / half) + 3, int(2 * reach_x / pitch) + 3
    row, column = np.divmod(np.arange(rows * columns), columns)
    at_x = (column - 1 + row % 2 / 2) * pitch - reach_x
    at_y = (row - 1) * half - reach_y
    share = (at_x / reach_x * toward[0] * lean + at_y / reach_y * toward[1] * (1 - lean) + 1) / 2
    radius = 0.33 * pitch * np.clip((share - 0.22) / 0.78, 0, 1) ** 0.75
    shown = radius > 0.02 * pitch
    outlines = disc * radius[shown, None, None] + np.stack([at_x, at_y], axis=-1)[shown, None]
    for outline in outlines:
        shapes.fill_shape(picture, fine, outline, ink, apart=True)
    x, y = sheet.places(SMALL_SIDE_PX)
    light = (
        1
        - 0.02 * (x / reach_x + y / reach_y)
        + 0.012 * sheet.clouds(SMALL_SIDE_PX, cells=90, octaves=2)
    )
    return sheet.shade(shapes.downsample(picture, sheet), light.astype(np.float32))
