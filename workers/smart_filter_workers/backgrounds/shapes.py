"""Shapes for drawing backgrounds: soft steps, warped fields, ridges, reliefs, filled outlines."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.backgrounds.sheet import Sheet
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Floats, Srgb8

Outline = NDArray[np.float64]  # (N, 2) points x, y: the shorter side runs from -1 to 1

# cv2 takes fixed-point coordinates: sixteenths of a pixel, for smooth edges.
FIXED_POINT_BITS = 4
# Least shorter side of a supersampled sheet, and its most pixels.
MIN_FINE_SIDE_PX = 480
MAX_FINE_PIXELS = 1_000_000


def smoothstep(share: Floats) -> Floats:
    """Return 0 below 0, 1 above 1, and a smooth step between."""
    share = np.clip(share, 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


def warp_field(field: Floats, across: Floats, down: Floats) -> Floats:
    """Return a field sampled at an offset from each pixel, in pixels of the field."""
    height, width = field.shape
    x = np.arange(width, dtype=np.float32) + across
    y = np.arange(height, dtype=np.float32)[:, None] + down
    looked_up = cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return looked_up.astype(np.float32, copy=False)


def ridge_line(random: np.random.Generator, at: Floats, *, length: float, octaves: int) -> Floats:
    """Return the height of a random line, about -1..1, at points along it.

    length: of its longest waves, in the units of `at`; each further octave halves it.
    """
    total = np.zeros(at.shape, np.float32)
    for octave in range(octaves):
        place = (at - at.min()) / np.float32(length) * 2**octave + random.random()
        lattice = random.uniform(-1, 1, int(place.max()) + 2).astype(np.float32)
        below = place.astype(np.int32)
        share = smoothstep(place - below)
        total += (lattice[below] * (1 - share) + lattice[below + 1] * share) * np.float32(
            0.5**octave
        )
    return total


def hillshade(height: Floats) -> Floats:
    """Return how much each point of a relief faces a lamp at the top left, about -1..1."""
    x = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3) / 8
    y = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3) / 8
    return np.clip(-(x + y), -1, 1).astype(np.float32)


def fill_shape(
    picture: Srgb8,
    sheet: Sheet,
    outline: Outline,
    color: Floats,
    *,
    apart: bool = False,
) -> None:
    """Fill a shape on a full-size picture, in place, with smooth edges.

    color: (3,) gamma-coded 0..255.  apart: whether the shape is isolated and must not touch a
    neighbor.
    """
    shorter = min(sheet.width, sheet.height)
    points = (outline + sheet.reach) * (shorter / 2) - 0.5
    if apart:
        points = inset_outline(points)
    fixed = np.round(points * 2**FIXED_POINT_BITS).astype(np.int32)
    level = [float(channel) for channel in color]
    cv2.fillPoly(picture, [fixed], level, lineType=cv2.LINE_AA, shift=FIXED_POINT_BITS)


def inset_outline(points: Outline) -> Outline:
    """Return an outline in pixels shrunk by half a pixel, which cv2 fills beyond it."""
    outward = points - points.sum(axis=0) / len(points)
    away = np.maximum(np.hypot(outward[:, 0], outward[:, 1]), 0.01)[:, None]
    drawn_in: Outline = points - outward * np.minimum(0.5 / away, 0.9)
    return drawn_in


def solid_color(sheet: Sheet, color: Floats) -> Srgb8:
    """Return a full-size picture of one color, (3,) gamma-coded 0..255."""
    picture = np.empty((sheet.height, sheet.width, 3), np.uint8)
    # Fill by rows: pixel by pixel takes ten times as long.
    picture[0] = np.round(color)
    picture[1:] = picture[0]
    return picture


def supersample_sheet(sheet: Sheet) -> Sheet:
    """Return a sheet an integer factor larger than a small one; see `downsample`.

    Shapes on it may be smaller than a pixel of the original sheet.
    """
    width, height = sheet.width, sheet.height
    times = min(
        -(-MIN_FINE_SIDE_PX // min(width, height)), int((MAX_FINE_PIXELS / (width * height)) ** 0.5)
    )
    return replace(sheet, width=max(times, 1) * width, height=max(times, 1) * height)


def downsample(picture: Srgb8, sheet: Sheet) -> Srgb8:
    """Return a picture of a supersampled sheet at the sheet's own size, each pixel a mean.

    The same array is returned if it has that size.
    """
    size = sheet.width, sheet.height
    if picture.shape[1::-1] == size:
        return picture
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def scatter_points(sheet: Sheet, *, pitch: float, most: int) -> Outline:
    """Return points spread evenly over the sheet and a little beyond: a jittered grid.

    pitch: distance of neighbors, 1 is half the shorter side; wider if there were over `most`.
    """
    reach_x, reach_y = sheet.reach
    pitch = max(pitch, (4 * reach_x * reach_y / most) ** 0.5)
    x = np.arange(-reach_x - pitch, reach_x + 2 * pitch, pitch)
    y = np.arange(-reach_y - pitch, reach_y + 2 * pitch, pitch)
    grid = np.stack(np.meshgrid(x, y), axis=-1)
    moved: Outline = grid + sheet.random.uniform(-0.42, 0.42, grid.shape) * pitch
    return moved.reshape(-1, 2)
