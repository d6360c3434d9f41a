"""Closed form: coverage that is linear in colour in every window of three by three pixels at once.

What ColourLines approaches in a few rounds of large windows is solved here, on a larger picture,
for the pixels that are still unsure: single strands of hair come out, at a dozen times the cost.
Our own forty lines in place of PyMatting's: those hold entries for every pixel of the picture,
150 MB of compiler besides, and compile for half a minute when first imported.
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
# Memory goes by unsure pixels, 1.5 KB each. Where more are unsure, little is there to learn from.
MOST_UNSURE: Final = 120_000

Indices = NDArray[np.int32]
Doubles = NDArray[np.float64]


def solved(coverage: Floats, srgb: Srgb8, *, doubt: Floats) -> Floats:
    """Return the coverage, (h, w) float32, 0..1, solved where it is unsure.

    coverage: (h, w) float32, 0..1; srgb: (h, w, 3) uint8; doubt: (h, w) float32, 0..1, how
    little colours tell people from what is behind them.
    Source: Levin, Lischinski & Weiss 2008, "A closed-form solution to natural image matting",
    equations 12 and 14; the known pixels are fixed as in Grady 2005, and the unknown ones held.
    """
    # Half a second and 30 MB that only this edge needs.
    from scipy.sparse import coo_matrix, diags_array  # noqa: PLC0415
    from scipy.sparse.linalg import cg  # noqa: PLC0415

    unsure = _unsure(coverage)
    number = np.cumsum(unsure.ravel(), dtype=np.int32) - 1
    unknowns = int(number[-1]) + 1
    if not 0 < unknowns <= MOST_UNSURE or min(coverage.shape) < 3:  # noqa: PLR2004 - a window
        return coverage
    flat = np.round(coverage.ravel()).astype(np.float64)
    flat[unsure.ravel()] = coverage.ravel()[unsure.ravel()]
    windows = _windows(unsure)
    entries = _laplacian(srgb.reshape(-1, 3)[windows] / 255)
    rows = np.broadcast_to(windows[:, :, np.newaxis], entries.shape)
    columns = np.broadcast_to(windows[:, np.newaxis, :], entries.shape)
    is_row = unsure.ravel()[rows]
    rows, columns, values = rows[is_row], columns[is_row], entries[is_row]
    is_unknown = unsure.ravel()[columns]
    known = ~is_unknown
    pull = np.bincount(
        number[rows[known]], values[known] * flat[columns[known]], minlength=unknowns
    )
    matrix = coo_matrix(
        (values[is_unknown], (number[rows[is_unknown]], number[columns[is_unknown]])),
        shape=(unknowns, unknowns),
    ).tocsr()
    hold = HOLD + HOLD_IN_DOUBT * doubt.ravel()[unsure.ravel()].astype(np.float64)
    matrix = matrix + diags_array(hold)
    before = flat[unsure.ravel()]
    found, _ = cg(
        matrix,
        hold * before - pull,
        x0=before,
        rtol=TOLERANCE,
        maxiter=ROUNDS,
        M=diags_array(1 / matrix.diagonal()),
    )
    flat[unsure.ravel()] = np.clip(found, 0, 1)
    return flat.reshape(coverage.shape).astype(np.float32)


def _unsure(coverage: Floats) -> NDArray[np.bool_]:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * REACH_PX + 1,) * 2)
    people = cv2.erode((coverage > SURELY_WHOLE).astype(np.uint8), disc)
    backdrop = cv2.erode((coverage < SURELY_NONE).astype(np.uint8), disc)
    return np.asarray(cv2.max(people, backdrop) == 0)


def _windows(unsure: NDArray[np.bool_]) -> Indices:
    """Return the pixels, (n, 9), of every window that holds an unsure one."""
    touched = cv2.dilate(unsure.astype(np.uint8), np.ones((3, 3), np.uint8))
    touched[[0, -1]] = 0
    touched[:, [0, -1]] = 0
    width = unsure.shape[1]
    around = [down * width + across for down in (-1, 0, 1) for across in (-1, 0, 1)]
    middles = np.flatnonzero(touched).astype(np.int32)
    return middles[:, np.newaxis] + np.array(around, np.int32)


def _laplacian(colours: Doubles) -> Doubles:
    """Return what each window, (n, 9, 3) 0..1, adds to the matting Laplacian, (n, 9, 9)."""
    size = colours.shape[1]
    away = colours - colours.mean(axis=1, keepdims=True)
    spread = away.transpose(0, 2, 1) @ away / size + np.eye(3) * (EPSILON / size)
    alike = away @ np.linalg.inv(spread) @ away.transpose(0, 2, 1)
    return np.asarray(np.eye(size) - (1 + alike) / size, np.float64)
