"""A mesh gradient: patches of color that blend into each other.

palette: any number of colors; the first is at the top, the last in the middle.
"""

import math

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colors
from smart_filter_workers.backgrounds.sheet import Sheet
from smart_filter_workers.results import Srgb8

SMALL_SIDE_PX = 256


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    return sheet.finish(mesh(preset.palette, sheet))


def mesh(palette: tuple[str, ...], sheet: Sheet) -> colors.Colors:
    """Return a small mesh gradient, gamma-coded 0..255.

    Each color has a point, on a ring or, for the last one, in the middle. Every pixel mixes the
    colors by distance, warped by slow noise so that no circle shows.
    """
    x, y = sheet.places(SMALL_SIDE_PX)
    bent_x = x + 0.35 * sheet.clouds(SMALL_SIDE_PX, cells=2, octaves=2)
    bent_y = y + 0.35 * sheet.clouds(SMALL_SIDE_PX, cells=2, octaves=2)
    ring = len(palette) - 1
    # Points move by up to a third of a step: each seed looks different, the first color stays on
    # top.
    angles = -np.pi / 2 + (np.arange(ring) + sheet.random.uniform(-0.33, 0.33, ring)) * (
        2 * np.pi / ring
    )
    reach_x, reach_y = sheet.reach
    at = [(0.95 * math.cos(angle), 0.95 * math.sin(angle)) for angle in angles]
    at.append((sheet.random.uniform(-0.4, 0.4), sheet.random.uniform(-0.3, 0.3)))
    near = np.stack(
        [
            np.exp(-((bent_x / reach_x - at_x) ** 2 + (bent_y / reach_y - at_y) ** 2) / 0.45)
            for at_x, at_y in at
        ],
        axis=-1,
    )
    near /= near.sum(axis=-1, keepdims=True)
    return colors.mix(colors.parse_hex(palette), near.astype(np.float32))
