"""Confetti in the air: far pieces out of focus, near ones sharp.

palette: the wall at the top and at the bottom, then the pieces.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colours
from smart_filter_workers.backgrounds.sheet import Sheet
from smart_filter_workers.results import Srgb8

SMALL = 640
SHIFT = 4  # places in sixteenths of a pixel, for edges without steps
FAR_PIECES = 90
NEAR_PIECES = 130


@dataclass(frozen=True, slots=True)
class _Piece:
    """One scrap of paper: its outline on the sheet (0..1 of width and height) and colour."""

    outline: np.ndarray[tuple[int, int], np.dtype[np.float64]]
    colour: tuple[float, float, float]


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    palette = colours.read(preset.palette)
    x, y = sheet.places(SMALL)
    down = (y / sheet.reach[1] + 1) / 2 + 0.06 * sheet.clouds(SMALL, cells=2, octaves=2)
    wall = colours.ramp(palette[:2], down.astype(np.float32))
    glow = 1 + 0.05 * np.exp(-(x**2 + (y + 0.2) ** 2) / 0.9)
    far = wall * glow[..., None].astype(np.float32)
    for _ in range(FAR_PIECES):
        _fill(far, _scrap(sheet, palette[2:], size=sheet.random.uniform(0.02, 0.05), pale=0.45))
    sigma = max(far.shape) / 130
    far = cv2.GaussianBlur(far, (0, 0), sigma).astype(np.float32).reshape(far.shape)

    picture = sheet.finish(far)
    for _ in range(NEAR_PIECES):
        size = 0.008 + 0.022 * sheet.random.random() ** 2
        _fill(picture, _scrap(sheet, palette[2:], size=size, pale=0.0))
    return picture


def _scrap(sheet: Sheet, palette: colours.Colours, *, size: float, pale: float) -> _Piece:
    """Cut one scrap: a strip, a disc or a curl, turned any way in space."""
    random = sheet.random
    kind = random.choice(3, p=[0.5, 0.3, 0.2])
    if kind == 0:
        half = random.uniform(0.25, 0.6)
        outline = np.array([[-1, -half], [1, -half], [1, half], [-1, half]])
    elif kind == 1:
        angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        outline = 0.75 * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    else:
        outline = _curl(random.uniform(1.2, 2.2), random.uniform(0.36, 0.55))
    tilt = random.uniform(0.3, 1.0)  # how flat it is seen
    turn = random.uniform(0, 2 * np.pi)
    cos, sin = np.cos(turn), np.sin(turn)
    outline = outline * [1, tilt] @ np.array([[cos, sin], [-sin, cos]])
    unit = size * (sheet.width * sheet.height) ** 0.5
    outline = outline * [unit / sheet.width, unit / sheet.height]
    # More above than below, as if just thrown.
    place = [random.uniform(-0.02, 1.02), random.beta(1.0, 1.7) * 1.08 - 0.04]
    shine = (0.8 + 0.35 * tilt) * random.uniform(0.92, 1.08)
    light = palette[random.integers(len(palette))] * np.float32(shine)
    colour = colours.coded(light * np.float32(1 - pale) + np.float32(pale))
    return _Piece(outline + place, (float(colour[0]), float(colour[1]), float(colour[2])))


def _curl(length: float, thickness: float) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return the outline of a wavy streamer."""
    along = np.linspace(-length, length, 28)
    wave = 0.45 * np.sin(along * 3.1)
    there = np.stack([along, wave - thickness / 2], axis=-1)
    back = np.stack([along[::-1], wave[::-1] + thickness / 2], axis=-1)
    return np.concatenate([there, back])


def _fill(picture: Srgb8 | colours.Colours, piece: _Piece) -> None:
    height, width = picture.shape[:2]
    points = np.round(piece.outline * [width, height] * 2**SHIFT).astype(np.int32)
    # Smooth edges need 8 bits; on the small float drawing the blur makes them.
    line = cv2.LINE_AA if picture.dtype == np.uint8 else cv2.LINE_8
    cv2.fillPoly(picture, [points], piece.colour, lineType=line, shift=SHIFT)
