"""Low sun through a window onto a wall; or through leaves.

palette: the wall in the shade, at its brightest in the shade, and in the sun.
leaves: 1 for the shadows of a palm in place of panes.
"""

import cv2
import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colours
from smart_filter_workers.backgrounds.shapes import Outline, slope, step
from smart_filter_workers.backgrounds.sheet import Field, Sheet
from smart_filter_workers.results import Srgb8

SMALL = 460
FRONDS = 5


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    x, y = sheet.places(SMALL)
    wall = 0.36 - 0.1 * (x / sheet.reach[0]) - 0.08 * (y / sheet.reach[1])
    wall = wall + 0.05 * sheet.clouds(SMALL, cells=3, octaves=3)
    sun = _leaves(sheet, x, y) if preset.parameters.get("leaves") else _panes(sheet, x, y)
    tone = np.clip(wall + (0.9 - wall) * sun, 0, 1)
    relief = 1 + 0.05 * slope(sheet.clouds(SMALL, cells=130, octaves=2))
    picture = colours.ramp(colours.read(preset.palette), tone.astype(np.float32))
    return sheet.finish(picture * relief[..., None])


def _panes(sheet: Sheet, x: Field, y: Field) -> Field:
    """Return where the sun falls through a window of two by three panes, 0..1."""
    side = 1 if sheet.random.random() < 0.5 else -1  # noqa: PLR2004 - a coin
    turn = sheet.random.uniform(0.15, 0.3)
    middle = sheet.random.uniform(-0.25, 0.25)
    # Light comes aslant: verticals lean a little, what was level falls steeply.
    across = side * (x / sheet.reach[0] ** 0.5) - middle + turn * y
    down = y / sheet.reach[1] ** 0.5 + 0.55 * side * x / sheet.reach[0] ** 0.5
    # The farther from the frame, the softer its shadow.
    soft = 0.05 + 0.02 * (y / sheet.reach[1] + 1)
    return _bars(across / 0.36, 2, soft / 0.36) * _bars(down / 0.44, 3, soft / 0.44)


def _bars(place: Field, count: int, soft: Field) -> Field:
    """Return `count` lit stretches one unit long, parted by narrow shadows; 0..1."""
    place = place + np.float32(count / 2)
    within = np.clip(np.floor(place), 0, count - 1)
    middle = np.abs(place - within - 0.5)
    return step((0.47 - middle) / soft + 0.5)


def _leaves(sheet: Sheet, x: Field, y: Field) -> Field:
    """Return where the sun falls between palm fronds that hang in from the sides, 0..1."""
    height, width = x.shape
    unit = min(width, height) / 2
    shadow = np.zeros((height, width), np.float32)
    first_side = 1 if sheet.random.random() < 0.5 else -1  # noqa: PLR2004 - a coin
    reach_x, reach_y = sheet.reach
    for index in range(FRONDS):
        mask = np.zeros((height, width), np.uint8)
        side = first_side if index % 3 else -first_side
        root = np.array([side * 1.15, 0.35 * (index - 2) + sheet.random.uniform(-0.2, 0.2)])
        root = root * sheet.reach
        aim = np.arctan2(0.35 + sheet.random.uniform(-0.5, 0.3) - root[1], -0.2 * side - root[0])
        for leaf in _frond(sheet.random, root, aim, length=sheet.random.uniform(1.1, 1.6)):
            points = np.round((leaf + sheet.reach) * unit * 16).astype(np.int32)
            cv2.fillPoly(mask, [points], 255, lineType=cv2.LINE_AA, shift=4)
        # What is farther from the wall casts a softer and paler shadow.
        away = sheet.random.uniform(0, 1)
        soft = cv2.GaussianBlur(mask, (0, 0), unit * (0.008 + 0.03 * away))
        shadow = np.maximum(shadow, soft.astype(np.float32) * np.float32((1 - 0.45 * away) / 255))
    # A patch of sun, not a wall of it.
    patch = step(1.5 - 0.55 * np.hypot(x / reach_x + 0.3 * first_side, y / reach_y) ** 2)
    return np.asarray(patch * (1 - 0.85 * shadow), np.float32)


def _frond(
    random: np.random.Generator, root: Outline, aim: float, *, length: float
) -> list[Outline]:
    """Return the outlines of a frond's leaflets along its arching stem."""
    bow = random.uniform(-0.7, 0.7)
    leaflets = []
    for place in np.linspace(0.12, 1, 14):
        turn = aim + bow * place
        stem = aim + bow * place / 2
        foot = root + length * place * np.array([np.cos(stem), np.sin(stem)])
        reach = 0.62 * length * np.sin(np.pi * (0.1 + 0.78 * place)) * random.uniform(0.85, 1.05)
        for side in (-1, 1):
            way = turn + side * (1.0 - 0.55 * place) + random.normal(0, 0.04)
            leaflets.append(_leaflet(foot, way, reach, 0.026 * length))
    return leaflets


def _leaflet(foot: Outline, way: float, length: float, width: float) -> Outline:
    along = np.linspace(0, 1, 9)
    thick = width * np.sin(np.pi * along**0.6) * (1 - 0.5 * along)
    there = np.stack([along * length, thick], axis=-1)
    back = np.stack([along[::-1] * length, -thick[::-1]], axis=-1)
    cos, sin = np.cos(way), np.sin(way)
    turned: Outline = np.concatenate([there, back]) @ np.array([[cos, sin], [-sin, cos]]) + foot
    return turned
