"""A mesh gradient in a white frame, like a picture postcard.

palette: the gradient's colors, then the frame's.
"""

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colors
from smart_filter_workers.backgrounds.designs import gradient
from smart_filter_workers.backgrounds.sheet import Sheet, resize_field
from smart_filter_workers.results import Srgb8

FRAME_SHARE = 0.07  # share of the shorter side
SHADOW_SHARE = 0.035  # width of the frame's shadow, as a share of the shorter side
SHADOW_DEPTH = 0.09
SMALL_SIDE_PX = 640


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    *inside, frame = preset.palette
    small = gradient.mesh(tuple(inside), sheet)
    finer = resize_field(small, sheet.small(SMALL_SIDE_PX))  # the shadow needs a finer grid
    picture = sheet.finish(finer * _shadow(sheet)[..., None])

    white = colors.linear_to_srgb(colors.parse_hex([frame]))[0].tolist()
    edge = round(FRAME_SHARE * min(sheet.width, sheet.height))
    if edge:
        picture[:edge] = picture[-edge:] = white
        picture[:, :edge] = picture[:, -edge:] = white
    return picture


def _shadow(sheet: Sheet) -> colors.Colors:
    """Return the factor of the frame's shadow on the gradient: smaller near its inner edge."""
    x, y = sheet.places(SMALL_SIDE_PX)
    light = np.ones(x.shape, np.float32)
    # Each pair of sides has its own factor: the nearer side alone would show mitered corners.
    for place, reach in zip((x, y), sheet.reach, strict=True):
        inward = np.maximum(reach - np.abs(place) - 2 * FRAME_SHARE, 0)
        light *= 1 - SHADOW_DEPTH * np.exp(-inward / (2 * SHADOW_SHARE))
    return light
