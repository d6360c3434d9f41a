"""Shapes to draw backgrounds with: soft steps, bent fields, ridges, reliefs, filled outlines."""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.backgrounds.sheet import Field, Sheet
from smart_filter_workers.results import Srgb8

Outline = NDArray[np.float64]  # (N, 2) places x, y: the shorter side runs from -1 to 1

# cv2 takes fixed-point places: sixteenths of a pixel, for edges without steps.
SHIFT = 4
# The shorter side of a finer sheet, at the least; and how many pixels it may have for that.
FINE_PX = 480
FINE_PIXELS = 1_000_000


def step(share: Field) -> Field:
    """Return 0 below 0, 1 above 1, and a smooth step between."""
    share = np.clip(share, 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


def bent(field: Field, across: Field, down: Field) -> Field:
    """Return a field looked up beside each place, so many of its pixels off."""
    height, width = field.shape
    x = np.arange(width, dtype=np.float32) + across
    y = np.arange(height, dtype=np.float32)[:, None] + down
    looked_up = cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return looked_up.astype(np.float32, copy=False)


def ridge(
    random: np.random.Generator, at: NDArray[np.float32], *, length: float, octaves: int
) -> NDArray[np.float32]:
    """Return a wandering line's height, about -1..1, at places along it.

    length: of its longest waves, in the units of `at`; each further octave halves it.
    """
    total = np.zeros(at.shape, np.float32)
    for octave in range(octaves):
        place = (at - at.min()) / np.float32(length) * 2**octave + random.random()
        lattice = random.uniform(-1, 1, int(place.max()) + 2).astype(np.float32)
        below = place.astype(np.int32)
        share = step(place - below)
        total += (lattice[below] * (1 - share) + lattice[below + 1] * share) * np.float32(
            0.5**octave
        )
    return total


def slope(height: Field) -> Field:
    """Return how much each spot of a relief faces a lamp at the top left, about -1..1."""
    x = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3) / 8
    y = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3) / 8
    return np.clip(-(x + y), -1, 1).astype(np.float32)


def fill(
    picture: Srgb8,
    sheet: Sheet,
    outline: Outline,
    colour: NDArray[np.float32],
    *,
    apart: bool = False,
) -> None:
    """Fill a shape on a full-size picture, in place, with smooth edges.

    colour: (3,) gamma-coded 0..255.  apart: whether the shape stands alone and has no
    neighbour that it must touch.
    """
    shorter = min(sheet.width, sheet.height)
    points = (outline + sheet.reach) * (shorter / 2) - 0.5
    if apart:
        points = inset(points)
    fixed = np.round(points * 2**SHIFT).astype(np.int32)
    level = [float(channel) for channel in colour]
    cv2.fillPoly(picture, [fixed], level, lineType=cv2.LINE_AA, shift=SHIFT)


def inset(points: Outline) -> Outline:
    """Return an outline in pixels drawn in by half a pixel, as much as cv2 fills beyond it."""
    outwards = points - points.mean(axis=0)
    away = np.maximum(np.hypot(outwards[:, 0], outwards[:, 1]), 0.01)[:, None]
    drawn_in: Outline = points - outwards * np.minimum(0.5 / away, 0.9)
    return drawn_in


def flat(sheet: Sheet, colour: NDArray[np.float32]) -> Srgb8:
    """Return a full-size picture of one colour, (3,) gamma-coded 0..255."""
    picture = np.empty((sheet.height, sheet.width, 3), np.uint8)
    picture[:] = np.round(colour)
    return picture


def finer(sheet: Sheet) -> Sheet:
    """Return a sheet some whole times as large as a small one; `shrunk` brings it back.

    What is drawn there may be smaller than a pixel of the sheet.
    """
    width, height = sheet.width, sheet.height
    times = min(-(-FINE_PX // min(width, height)), int((FINE_PIXELS / (width * height)) ** 0.5))
    return replace(sheet, width=max(times, 1) * width, height=max(times, 1) * height)


def shrunk(picture: Srgb8, sheet: Sheet) -> Srgb8:
    """Return a picture of a finer sheet at the sheet's own size, each pixel a mean."""
    size = sheet.width, sheet.height
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def scattered(sheet: Sheet, *, pitch: float, most: int) -> Outline:
    """Return places strewn evenly over the sheet and a little beyond: a grid, each place moved.

    pitch: between neighbours, 1 is half the shorter side; wider when there were over `most`.
    """
    reach_x, reach_y = sheet.reach
    pitch = max(pitch, (4 * reach_x * reach_y / most) ** 0.5)
    x = np.arange(-reach_x - pitch, reach_x + 2 * pitch, pitch)
    y = np.arange(-reach_y - pitch, reach_y + 2 * pitch, pitch)
    grid = np.stack(np.meshgrid(x, y), axis=-1)
    moved: Outline = grid + sheet.random.uniform(-0.42, 0.42, grid.shape) * pitch
    return moved.reshape(-1, 2)
