"""A gradient cut into triangles, each tilted slightly toward the light.

palette: as for a gradient.
"""

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import shapes
from smart_filter_workers.backgrounds.designs import gradient
from smart_filter_workers.backgrounds.sheet import Sheet
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Srgb8

PITCH = 0.34
MAX_FACETS = 900
SMALL_SIDE_PX = 300
# Corners of a square, row by row, in its two halves: for both diagonals.
_HALVES = (([0, 1, 2], [1, 2, 3]), ([0, 1, 3], [0, 2, 3]))


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    small = gradient.mesh(preset.palette, sheet)
    # It only shows through the soft edges of the facets, and needs no grain.
    coarse = np.clip(small, 0, 255).astype(np.uint8)
    size = sheet.width, sheet.height
    picture = np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    reach = np.array(sheet.reach)
    pitch = max(PITCH, (8 * reach[0] * reach[1] / MAX_FACETS) ** 0.5)
    columns, rows = (int(2 * side / pitch) + 4 for side in reach)
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1) - 1.5
    corners = grid * pitch - reach + sheet.random.uniform(-0.36, 0.36, grid.shape) * pitch
    cells = np.array(small.shape[1::-1])
    for row in range(rows - 1):
        for column in range(columns - 1):
            square = corners[row : row + 2, column : column + 2].reshape(4, 2)
            for half in _HALVES[sheet.random.integers(len(_HALVES))]:
                triangle = square[half]
                middle = (triangle.mean(axis=0) / reach + 1) / 2
                at_x, at_y = np.clip((middle * cells).astype(int), 0, cells - 1)
                color = small[at_y, at_x]
                # Less contrast for bright colors: white shaded like blue looks dirty.
                contrast = 0.14 - 0.1 * float(color.mean()) / 255
                lit = 1 + sheet.random.uniform(-contrast, contrast)
                shapes.fill_shape(picture, sheet, triangle, np.clip(color * lit, 0, 255))
    x, y = sheet.places(SMALL_SIDE_PX)
    light = 1 - 0.03 * (x / sheet.reach[0] + y / sheet.reach[1])
    return sheet.shade(picture, light.astype(np.float32))
