"""A mesh gradient in a white frame, like a picture postcard.

palette: the gradient's colours, then the frame's.
"""

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colours
from smart_filter_workers.backgrounds.designs import gradient
from smart_filter_workers.backgrounds.sheet import Sheet, resized
from smart_filter_workers.results import Srgb8

FRAME_SHARE = 0.07  # of the shorter side
SHADOW_SHARE = 0.035  # how far the frame's shadow falls inwards
SHADOW_DEPTH = 0.09
SMALL = 640


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    *inside, frame = preset.palette
    small = gradient.mesh(tuple(inside), sheet)
    finer = resized(small, sheet.small(SMALL))  # for the shadow's sake
    picture = sheet.finish(finer * _shadow(sheet)[..., None])

    white = colours.coded(colours.read([frame]))[0].tolist()
    edge = round(FRAME_SHARE * min(sheet.width, sheet.height))
    if edge:
        picture[:edge] = picture[-edge:] = white
        picture[:, :edge] = picture[:, -edge:] = white
    return picture


def _shadow(sheet: Sheet) -> colours.Colours:
    """Return the light that the frame leaves on the gradient: less close to its inner edge."""
    x, y = sheet.places(SMALL)
    light = np.ones(x.shape, np.float32)
    # Each pair of sides takes its own share: the nearer side alone would leave mitred corners.
    for place, reach in zip((x, y), sheet.reach, strict=True):
        inwards = np.maximum(reach - np.abs(place) - 2 * FRAME_SHARE, 0)
        light *= 1 - SHADOW_DEPTH * np.exp(-inwards / (2 * SHADOW_SHARE))
    return light
