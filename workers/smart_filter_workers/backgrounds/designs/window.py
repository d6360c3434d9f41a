"""Low sun through a window, or through leaves, onto a wall.

palette: the wall in the shade, at its brightest in the shade, and in the sun.
leaves: 1 for the shadows of a palm instead of window panes.
"""

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colors
from smart_filter_workers.backgrounds.shapes import Outline, hillshade, smoothstep
from smart_filter_workers.backgrounds.sheet import Field, Sheet
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Srgb8

SMALL_SIDE_PX = 460
FRONDS = 5


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    x, y = sheet.places(SMALL_SIDE_PX)
    wall = 0.36 - 0.1 * (x / sheet.reach[0]) - 0.08 * (y / sheet.reach[1])
    wall = wall + 0.05 * sheet.clouds(SMALL_SIDE_PX, cells=3, octaves=3)
    sun = _leaves(sheet, x, y) if preset.parameters.get("leaves") else _panes(sheet, x, y)
    tone = np.clip(wall + (0.9 - wall) * sun, 0, 1)
    relief = 1 + 0.05 * hillshade(sheet.clouds(SMALL_SIDE_PX, cells=130, octaves=2))
    picture = colors.ramp(colors.parse_hex(preset.palette), tone.astype(np.float32))
    return sheet.finish(picture * relief[..., None])


def _panes(sheet: Sheet, x: Field, y: Field) -> Field:
    """Return the sunlight through a window of two by three panes, 0..1."""
    side = 1 if sheet.random.random() < 0.5 else -1  # noqa: PLR2004 - a coin
    turn = sheet.random.uniform(0.15, 0.3)
    middle = sheet.random.uniform(-0.25, 0.25)
    # Light falls at an angle: verticals lean slightly, and horizontals slope steeply.
    across = side * (x / sheet.reach[0] ** 0.5) - middle + turn * y
    down = y / sheet.reach[1] ** 0.5 + 0.55 * side * x / sheet.reach[0] ** 0.5
    # The shadow gets softer with the distance from the frame.
    soft = 0.05 + 0.02 * (y / sheet.reach[1] + 1)
    return _bars(across / 0.36, 2, soft / 0.36) * _bars(down / 0.44, 3, soft / 0.44)


def _bars(place: Field, count: int, soft: Field) -> Field:
    """Return `count` lit stretches of unit length, separated by narrow shadows; 0..1."""
    place = place + np.float32(count / 2)
    within = np.clip(np.floor(place), 0, count - 1)
    middle = np.abs(place - within - 0.5)
    return smoothstep((0.47 - middle) / soft + 0.5)


def _leaves(sheet: Sheet, x: Field, y: Field) -> Field:
    """Return the sunlight between palm fronds that hang in from the sides, 0..1."""
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
        # Leaves farther from the wall cast softer and paler shadows.
        away = sheet.random.uniform(0, 1)
        soft = cv2.GaussianBlur(mask, (0, 0), unit * (0.008 + 0.03 * away))
        shadow = np.maximum(shadow, soft.astype(np.float32) * np.float32((1 - 0.45 * away) / 255))
    # Light a patch of the wall, not all of it.
    patch = smoothstep(1.5 - 0.55 * np.hypot(x / reach_x + 0.3 * first_side, y / reach_y) ** 2)
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
            direction = turn + side * (1.0 - 0.55 * place) + random.normal(0, 0.04)
            leaflets.append(_leaflet(foot, direction, reach, 0.026 * length))
    return leaflets


def _leaflet(foot: Outline, direction: float, length: float, width: float) -> Outline:
    along = np.linspace(0, 1, 9)
    thick = width * np.sin(np.pi * along**0.6) * (1 - 0.5 * along)
    there = np.stack([along * length, thick], axis=-1)
    back = np.stack([along[::-1] * length, -thick[::-1]], axis=-1)
    cos, sin = np.cos(direction), np.sin(direction)
    turned: Outline = np.concatenate([there, back]) @ np.array([[cos, sin], [-sin, cos]]) + foot
    return turned
