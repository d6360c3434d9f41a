"""Rough watercolour paper with two pale washes of paint.

palette: the paper, then the paints.
"""

import cv2
import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colours
from smart_filter_workers.backgrounds.shapes import slope
from smart_filter_workers.backgrounds.sheet import Field, Sheet
from smart_filter_workers.results import Srgb8

SMALL = 640
RELIEF = 7.0
PRINTED_RELIEF = 0.16


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    ground, *paints = colours.read(preset.palette)
    grain = _grain(sheet)
    density = np.zeros((*grain.shape, 3), np.float32)
    for index, paint in enumerate(paints):
        wash = _wash(sheet, grain, side=index % 2)[..., None]
        # Paint filters the light that the paper sends back (Beer-Lambert's law).
        density += wash * np.log(paint / ground)
    light = ground * cv2.exp(density)
    relief = 1 + RELIEF * 0.01 * slope(grain)
    return sheet.finish(colours.coded(light) * relief[..., None])


def texture(preset: Preset, sheet: Sheet) -> Field:
    """Return the light that the paper's tooth leaves on what is painted on it, about 1."""
    del preset  # all of them are of one paper
    return np.asarray(1 + PRINTED_RELIEF * slope(_grain(sheet)), np.float32)


def _grain(sheet: Sheet) -> Field:
    """Return how high the paper is, about -1..1."""
    return sheet.clouds(SMALL, cells=90, octaves=3) + 0.8 * sheet.clouds(SMALL, cells=7, octaves=2)


def _wash(sheet: Sheet, grain: Field, *, side: int) -> Field:
    """Return how much paint lies where, 0..1: pooled at its dried edge, caught in the grain."""
    x, y = sheet.places(SMALL)
    reach_x, reach_y = sheet.reach
    turn = 1 if side else -1
    at_x = turn * sheet.random.uniform(0.55, 0.95) * reach_x
    at_y = turn * sheet.random.uniform(0.35, 0.9) * reach_y
    away = np.sqrt(((x - at_x) / (0.85 * reach_x)) ** 2 + ((y - at_y) / (0.75 * reach_y)) ** 2)
    shape = 1 - away + 0.36 * sheet.clouds(SMALL, cells=3, octaves=6)
    inside = np.clip(shape / 0.05, 0, 1)
    pooled = np.exp(-(((shape - 0.045) / 0.03) ** 2))
    body = 0.38 + 0.3 * np.clip(shape, 0, 1) + 0.12 * sheet.clouds(SMALL, cells=5, octaves=3)
    paint = np.clip(inside * (body + 0.22 * pooled + 0.05 * grain), 0, 1)
    return np.asarray(paint, np.float32)
