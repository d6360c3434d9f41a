"""Wide arcs of color around a corner, as on record sleeves of the seventies.

palette: the ground, then the stripes from the outermost inward.
"""

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colors, shapes
from smart_filter_workers.backgrounds.sheet import Sheet
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Srgb8

SMALL_SIDE_PX = 640
# cv2 takes fixed-point coordinates: sixteenths of a pixel, for smooth edges.
FIXED_POINT_BITS = 4


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    ground, *stripes = colors.linear_to_srgb(colors.parse_hex(preset.palette)).round()
    picture = shapes.solid_color(sheet, ground)

    left = sheet.random.random() < 0.5  # noqa: PLR2004 - a coin
    overhang = sheet.random.uniform(0.02, 0.14)
    center_x = (-overhang if left else 1 + overhang) * sheet.width
    center_y = (1 + sheet.random.uniform(0.0, 0.1)) * sheet.height
    diagonal = float(np.hypot(sheet.width, sheet.height))
    outermost = sheet.random.uniform(0.88, 0.96) * diagonal
    inmost = 0.22 * diagonal
    step = (outermost - inmost) / len(stripes)
    for index, color in enumerate([*stripes, ground]):
        _fill_disc(picture, color.tolist(), (center_x, center_y), outermost - index * step)

    x, y = sheet.places(SMALL_SIDE_PX)
    toward = (x if left else -x) / sheet.reach[0] - y / sheet.reach[1]
    light = 1.0 - 0.055 * toward + 0.012 * sheet.clouds(SMALL_SIDE_PX, cells=160, octaves=2)
    return sheet.shade(picture, np.clip(light, 0, 1.04).astype(np.float32))


def _fill_disc(
    picture: Srgb8, color: list[float], center: tuple[float, float], radius: float
) -> None:
    """Fill a disc as a polygon, because cv2.circle draws corners every five degrees."""
    # A chord of 1/720 turn deviates from its arc by 4e-6 radii: invisible at any size.
    angles = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=-1) * radius + center
    fixed = np.round(points * 2**FIXED_POINT_BITS).astype(np.int32)
    cv2.fillConvexPoly(picture, fixed, color, lineType=cv2.LINE_AA, shift=FIXED_POINT_BITS)
