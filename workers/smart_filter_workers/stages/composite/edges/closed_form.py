"""Closed form: solve for coverage that is linear in color in every 3 × 3 window at once.

ColorLines approximates this in a few rounds of large windows. Here it is solved on a larger
picture, for the pixels that are still unsure: single strands of hair appear, at a dozen times the
cost. It replaces PyMatting, which stores entries for every pixel of the picture, adds a compiler of
150 MB, and compiles for half a minute when first imported on a machine. SciPy's sparse matrices
give the same levels in five sixths of the time, and take 113 MB of every installation.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Bools, Doubles, Floats, Srgb8

# Coverage beyond these is sure, unless unsure pixels are within REACH_PX.
SURE_BELOW: Final = 0.02
SURE_ABOVE: Final = 0.98
REACH_PX: Final = 3
# Variance of colors, 0..1, that counts as noise. Source: Levin et al. 2008, their code's default.
EPSILON: Final = 1e-7
# Weight of the given coverage, and the added weight where colors cannot decide: a solution there
# shows the photo's noise, in JPEG's squares.
HOLD_WEIGHT: Final = 1e-3
DOUBT_HOLD_WEIGHT: Final = 0.1
# More rounds give worse results, because the given coverage carries information too.
MAX_ROUNDS: Final = 40
TOLERANCE: Final = 1e-4
# Most unsure pixels, 1 KB of memory each. With more, there is too little sure area to learn from.
MAX_UNSURE: Final = 120_000

WINDOW_SIDE: Final = 3  # of a window, in pixels
NEIGHBOR_SIDE: Final = 5  # of the square of pixels that share a window with one pixel
WINDOWS_AT_ONCE: Final = 4096  # entries take 650 bytes for each

Indices = NDArray[np.int64]


def solve(coverage: Floats, srgb: Srgb8, *, doubt: Floats) -> Floats:
    """Return the coverage, (h, w) float32, 0..1, solved where it is unsure.

    coverage: (h, w) float32, 0..1; srgb: (h, w, 3) uint8; doubt: (h, w) float32, 0..1, how poorly
    colors separate people from the background.
    Source: Levin, Lischinski & Weiss 2008, "A closed-form solution to natural image matting",
    equations 12 and 14; the known pixels are fixed as in Grady 2005, and the unknown ones held.
    """
    mask = _find_unsure(coverage)
    unsure = mask.ravel()
    pixels = np.flatnonzero(unsure)
    if not 0 < len(pixels) <= MAX_UNSURE or min(mask.shape) < WINDOW_SIDE:
        return coverage
    number = np.cumsum(unsure, dtype=np.int64) - 1
    levels = np.where(unsure, coverage.ravel(), np.round(coverage.ravel())).astype(np.float64)
    table = _table(mask, srgb, number)
    # Entries beyond the picture's border are 0 in the table.
    columns = np.clip(pixels[:, np.newaxis] + _offsets(mask.shape[1]), 0, mask.size - 1)
    hold = HOLD_WEIGHT + DOUBT_HOLD_WEIGHT * doubt.ravel()[pixels].astype(np.float64)
    field = np.zeros(mask.size)

    def multiply(unknown: Doubles) -> Doubles:
        field[pixels] = unknown
        return np.asarray(np.vecdot(table, field[columns]) + hold * unknown)

    fixed = np.where(unsure, 0, levels)
    pull = hold * levels[pixels] - np.vecdot(table, fixed[columns])
    diagonal = table[:, NEIGHBOR_SIDE**2 // 2] + hold
    solution = _conjugate_gradients(multiply, pull, start=levels[pixels], diagonal=diagonal)
    levels[pixels] = np.clip(solution, 0, 1)
    return levels.reshape(coverage.shape).astype(np.float32)


def _conjugate_gradients(
    multiply: Callable[[Doubles], Doubles], target: Doubles, *, start: Doubles, diagonal: Doubles
) -> Doubles:
    """Return x with `multiply(x)` near `target`, (n,), after MAX_ROUNDS at most.

    Source: Shewchuk 1994, "An Introduction to the Conjugate Gradient Method Without the Agonizing
    Pain", B3, preconditioned by the matrix's diagonal.
    """
    solution = start.copy()
    residual = target - multiply(solution)
    direction = residual / diagonal
    weight = float(residual @ direction)
    for _ in range(MAX_ROUNDS):
        if np.linalg.norm(residual) <= TOLERANCE * np.linalg.norm(target):
            break
        image = multiply(direction)
        step = weight / float(direction @ image)
        solution += step * direction
        residual -= step * image
        scaled = residual / diagonal
        weight, before = float(residual @ scaled), weight
        direction = scaled + (weight / before) * direction
    return solution


def _table(mask: Bools, srgb: Srgb8, number: Indices) -> Doubles:
    """Return the rows of the matting Laplacian, (n, 25): each unsure pixel's, by its neighbors.

    mask: (h, w), the unsure pixels; number: (h · w), the row of each pixel.
    """
    unsure, colors = mask.ravel(), srgb.reshape(-1, 3)
    windows = _windows(mask)
    down, across = np.divmod(np.arange(WINDOW_SIDE * WINDOW_SIDE), WINDOW_SIDE)
    code = (down - down[:, np.newaxis] + 2) * NEIGHBOR_SIDE + across - across[:, np.newaxis] + 2
    table = np.zeros((int(number[-1]) + 1) * NEIGHBOR_SIDE * NEIGHBOR_SIDE)
    for first in range(0, len(windows), WINDOWS_AT_ONCE):
        some = windows[first : first + WINDOWS_AT_ONCE]
        entries = _laplacian(colors[some] / 255)
        is_row = unsure[some]
        places = (
            number[some][is_row][:, np.newaxis] * NEIGHBOR_SIDE**2 + code[np.nonzero(is_row)[1]]
        )
        table += np.bincount(places.ravel(), entries[is_row].ravel(), minlength=len(table))
    return table.reshape(-1, NEIGHBOR_SIDE * NEIGHBOR_SIDE)


def _offsets(width: int) -> Indices:
    """Return the offset, in pixels of a flat picture, of each of the 25 neighbors."""
    reach = np.arange(NEIGHBOR_SIDE) - 2
    flat = (reach[:, np.newaxis] * width + reach).ravel()
    return np.asarray(flat, np.int64)


def _find_unsure(coverage: Floats) -> Bools:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * REACH_PX + 1,) * 2)
    people = cv2.erode((coverage > SURE_ABOVE).astype(np.uint8), disc)
    backdrop = cv2.erode((coverage < SURE_BELOW).astype(np.uint8), disc)
    return np.asarray(cv2.max(people, backdrop) == 0)


def _windows(mask: Bools) -> Indices:
    """Return the pixels, (n, 9), of every window that contains an unsure one."""
    touched = cv2.dilate(mask.astype(np.uint8), np.ones((WINDOW_SIDE, WINDOW_SIDE), np.uint8))
    touched[[0, -1]] = 0
    touched[:, [0, -1]] = 0
    middle = np.arange(WINDOW_SIDE) - 1
    around = (middle[:, np.newaxis] * mask.shape[1] + middle).ravel()
    return np.asarray(np.flatnonzero(touched)[:, np.newaxis] + around, np.int64)


def _laplacian(colors: Doubles) -> Doubles:
    """Return the share of each window, (n, 9, 3) 0..1, in the matting Laplacian, (n, 9, 9)."""
    size = colors.shape[1]
    away = colors - colors.mean(axis=1, keepdims=True)
    spread = away.transpose(0, 2, 1) @ away / size + np.eye(3) * (EPSILON / size)
    alike = away @ np.linalg.inv(spread) @ away.transpose(0, 2, 1)
    return np.asarray(np.eye(size) - (1 + alike) / size, np.float64)
