"""Rough watercolor paper with two pale washes of paint.

palette: the paper, then the paints.
"""

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colors
from smart_filter_workers.backgrounds.shapes import hillshade
from smart_filter_workers.backgrounds.sheet import Field, Sheet
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Srgb8

SMALL_SIDE_PX = 640
RELIEF = 7.0
PRINTED_RELIEF = 0.16


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    ground, *paints = colors.parse_hex(preset.palette)
    grain = _grain(sheet)
    density = np.zeros((*grain.shape, 3), np.float32)
    for index, paint in enumerate(paints):
        wash = _wash(sheet, grain, side=index % 2)[..., None]
        # Paint filters the light that the paper reflects (Beer-Lambert's law).
        density += wash * np.log(paint / ground)
    light = ground * cv2.exp(density)
    relief = 1 + RELIEF * 0.01 * hillshade(grain)
    return sheet.finish(colors.linear_to_srgb(light) * relief[..., None])


def texture(preset: Preset, sheet: Sheet) -> Field:
    """Return the factor, about 1, of the paper's relief on the light of a print."""
    del preset  # all papers have the same relief
    return np.asarray(1 + PRINTED_RELIEF * hillshade(_grain(sheet)), np.float32)


def _grain(sheet: Sheet) -> Field:
    """Return the height of the paper, about -1..1."""
    return sheet.clouds(SMALL_SIDE_PX, cells=90, octaves=3) + 0.8 * sheet.clouds(
        SMALL_SIDE_PX, cells=7, octaves=2
    )


def _wash(sheet: Sheet, grain: Field, *, side: int) -> Field:
    """Return the density of paint, 0..1: pooled at its dried edge, caught in the grain."""
    x, y = sheet.places(SMALL_SIDE_PX)
    reach_x, reach_y = sheet.reach
    turn = 1 if side else -1
    at_x = turn * sheet.random.uniform(0.55, 0.95) * reach_x
    at_y = turn * sheet.random.uniform(0.35, 0.9) * reach_y
    away = np.sqrt(((x - at_x) / (0.85 * reach_x)) ** 2 + ((y - at_y) / (0.75 * reach_y)) ** 2)
    shape = 1 - away + 0.36 * sheet.clouds(SMALL_SIDE_PX, cells=3, octaves=6)
    inside = np.clip(shape / 0.05, 0, 1)
    pooled = np.exp(-(((shape - 0.045) / 0.03) ** 2))
    body = (
        0.38 + 0.3 * np.clip(shape, 0, 1) + 0.12 * sheet.clouds(SMALL_SIDE_PX, cells=5, octaves=3)
    )
    paint = np.clip(inside * (body + 0.22 * pooled + 0.05 * grain), 0, 1)
    return np.asarray(paint, np.float32)
