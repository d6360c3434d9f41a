"""Closed form: coverage that is linear in colour in every window of three by three pixels at once.

What ColourLines approaches in a few rounds of large windows is solved here, on a larger picture,
for the pixels that are still unsure: single strands of hair come out, at a dozen times the cost.
Our own in place of PyMatting's: that holds entries for every pixel of the picture, 150 MB of
compiler besides, and compiles for half a minute when first imported on a machine.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.results import Srgb8
from smart_filter_workers.stages.composite.matting.blocks import Floats

# Coverage is sure beyond these, unless unsure pixels are so near.
SURELY_NONE, SURELY_WHOLE = 0.02, 0.98
REACH_PX: Final = 3
# Variance of colours, 0..1, that is noise. Source: Levin et al. 2008, their code's default.
EPSILON: Final = 1e-7
# How strongly the coverage that is given holds; and more, where colours tell nothing: what is
# solved there shows the photo's noise, in JPEG's squares.
HOLD: Final = 1e-3
HOLD_IN_DOUBT: Final = 0.1
# More of them do worse: what is given says something too.
ROUNDS: Final = 40
TOLERANCE: Final = 1e-4
# Memory goes by unsure pixels, 1 KB each. Where more are unsure, little is there to learn from.
MOST_UNSURE: Final = 120_000

SIDE: Final = 3  # of a window
REACH: Final = 5  # a pixel shares windows with so many by so many
WINDOWS_AT_ONCE: Final = 4096  # 650 bytes each for their entries

Indices = NDArray[np.int64]
Doubles = NDArray[np.float64]


def solved(coverage: Floats, srgb: Srgb8, *, doubt: Floats) -> Floats:
    """Return the coverage, (h, w) float32, 0..1, solved where it is unsure.

    coverage: (h, w) float32, 0..1; srgb: (h, w, 3) uint8; doubt: (h, w) float32, 0..1, how
    little colours tell people from what is behind them.
    Source: Levin, Lischinski & Weiss 2008, "A closed-form solution to natural image matting",
    equations 12 and 14; the known pixels are fixed as in Grady 2005, and the unknown ones held.
    """
    # Half a second and 30 MB that only this edge needs.
    from scipy.sparse import csr_matrix, diags_array  # noqa: PLC0415
    from scipy.sparse.linalg import cg  # noqa: PLC0415

    mask = _unsure(coverage)
    unsure = mask.ravel()
    pixels = np.flatnonzero(unsure)
    if not 0 < len(pixels) <= MOST_UNSURE or min(mask.shape) < SIDE:
        return coverage
    number = np.cumsum(unsure, dtype=np.int64) - 1
    levels = np.where(unsure, coverage.ravel(), np.round(coverage.ravel())).astype(np.float64)
    table = _table(mask, srgb, number)
    # Beyond the picture's border the table holds nothing.
    columns = np.clip(pixels[:, np.newaxis] + _offsets(mask.shape[1]), 0, mask.size - 1)
    is_unknown = unsure[columns]
    pull = np.where(is_unknown, 0, table * levels[columns]).sum(axis=1)
    starts = np.concatenate(([0], np.cumsum(is_unknown.sum(axis=1))))
    hold = HOLD + HOLD_IN_DOUBT * doubt.ravel()[pixels].astype(np.float64)
    matrix = csr_matrix((table[is_unknown], number[columns[is_unknown]], starts))
    matrix = matrix + diags_array(hold)
    found, _ = cg(
        matrix,
        hold * levels[pixels] - pull,
        x0=levels[pixels],
        rtol=TOLERANCE,
        maxiter=ROUNDS,
        M=diags_array(1 / matrix.diagonal()),
    )
    levels[pixels] = np.clip(found, 0, 1)
    return levels.reshape(coverage.shape).astype(np.float32)


def _table(mask: NDArray[np.bool_], srgb: Srgb8, number: Indices) -> Doubles:
    """Return the rows of the matting Laplacian, (n, 25): an unsure pixel's with its neighbours.

    mask: (h, w), what is unsure; number: (h · w), which row is a pixel's.
    """
    unsure, colours = mask.ravel(), srgb.reshape(-1, 3)
    windows = _windows(mask)
    down, across = np.divmod(np.arange(SIDE * SIDE), SIDE)
    code = (down - down[:, np.newaxis] + 2) * REACH + across - across[:, np.newaxis] + 2
    table = np.zeros((int(number[-1]) + 1) * REACH * REACH)
    for first in range(0, len(windows), WINDOWS_AT_ONCE):
        some = windows[first : first + WINDOWS_AT_ONCE]
        entries = _laplacian(colours[some] / 255)
        is_row = unsure[some]
        places = number[some][is_row][:, np.newaxis] * REACH**2 + code[np.nonzero(is_row)[1]]
        table += np.bincount(places.ravel(), entries[is_row].ravel(), minlength=len(table))
    return table.reshape(-1, REACH * REACH)


def _offsets(width: int) -> Indices:
    """Return how far, in pixels of a flat picture, each of 25 neighbours is."""
    reach = np.arange(REACH) - 2
    flat = (reach[:, np.newaxis] * width + reach).ravel()
    return np.asarray(flat, np.int64)


def _unsure(coverage: Floats) -> NDArray[np.bool_]:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * REACH_PX + 1,) * 2)
    people = cv2.erode((coverage > SURELY_WHOLE).astype(np.uint8), disc)
    backdrop = cv2.erode((coverage < SURELY_NONE).astype(np.uint8), disc)
    return np.asarray(cv2.max(people, backdrop) == 0)


def _windows(mask: NDArray[np.bool_]) -> Indices:
    """Return the pixels, (n, 9), of every window that holds an unsure one."""
    touched = cv2.dilate(mask.astype(np.uint8), np.ones((SIDE, SIDE), np.uint8))
    touched[[0, -1]] = 0
    touched[:, [0, -1]] = 0
    middle = np.arange(SIDE) - 1
    around = (middle[:, np.newaxis] * mask.shape[1] + middle).ravel()
    return np.asarray(np.flatnonzero(touched)[:, np.newaxis] + around, np.int64)


def _laplacian(colours: Doubles) -> Doubles:
    """Return what each window, (n, 9, 3) 0..1, adds to the matting Laplacian, (n, 9, 9)."""
    size = colours.shape[1]
    away = colours - colours.mean(axis=1, keepdims=True)
    spread = away.transpose(0, 2, 1) @ away / size + np.eye(3) * (EPSILON / size)
    alike = away @ np.linalg.inv(spread) @ away.transpose(0, 2, 1)
    return np.asarray(np.eye(size) - (1 + alike) / size, np.float64)
