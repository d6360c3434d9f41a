"""What reports show of a photo: mattes as grey, what is amiss in colour, boxes."""

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.networks.boxes import Box
from smart_filter_workers.results import Matte8, Srgb8

Colour: TypeAlias = tuple[int, int, int]

# sRGB; told apart by people who see red and green alike.
TOO_MUCH: Final[Colour] = (230, 97, 20)
MISSING: Final[Colour] = (40, 110, 255)
RIGHT: Final[Colour] = (60, 220, 130)
DIM: Final[Colour] = (150, 150, 150)
# Of the grey photo under a difference.
_FAINT: Final = 0.45
_PAPER: Final = 120
# Of a box's line, as a share of the picture's longest side.
_LINE: Final = 0.006
# Pixels of a chequerboard's squares, and their greys.
_SQUARE_PX: Final = 16
_LIGHT, _DARK = 235, 205


def grey(matte: Matte8) -> Srgb8:
    """Return a matte as a picture: (H, W, 3) uint8."""
    return np.ascontiguousarray(np.repeat(matte[..., np.newaxis], 3, axis=2))


def differing(srgb: Srgb8, matte: Matte8, known: Matte8, counted: NDArray[np.bool_]) -> Srgb8:
    """Show over a faint photo where a matte says too much, and where it lacks.

    srgb: (H, W, 3) uint8; matte, known: (H, W) uint8; counted: (H, W) bool, where they are
    compared.  Returns (H, W, 3) uint8.
    """
    faint = _FAINT * cv2.cvtColor(srgb, cv2.COLOR_RGB2GRAY).astype(np.float32) + _PAPER
    ground = np.repeat(faint[..., np.newaxis], 3, axis=2)
    amiss = (matte.astype(np.float32) - known) / 255 * counted
    for part, colour in ((amiss, TOO_MUCH), (-amiss, MISSING)):
        share = np.clip(part, 0, 1)[..., np.newaxis]
        ground = (1 - share) * ground + share * np.array(colour, np.float32)
    return np.clip(np.rint(ground), 0, 255).astype(np.uint8)


def boxes(srgb: Srgb8, of: Mapping[Colour, Iterable[Box]]) -> Srgb8:
    """Draw boxes of several colours onto a copy of a photo."""
    drawn = srgb.copy()
    line = max(1, round(_LINE * max(srgb.shape)))
    for colour, several in of.items():
        for left, top, right, bottom in several:
            corners = (round(left), round(top)), (round(right), round(bottom))
            cv2.rectangle(drawn, *corners, colour, line, cv2.LINE_AA)
    return drawn


def chequered(srgba: NDArray[np.uint8]) -> Srgb8:
    """Lay a cut-out, (H, W, 4) uint8 with straight alpha, on a chequerboard."""
    height, width = srgba.shape[:2]
    rows, columns = (np.arange(length) // _SQUARE_PX for length in (height, width))
    odd = (rows[:, np.newaxis] + columns) % 2 == 1
    board = np.where(odd, _DARK, _LIGHT).astype(np.float32)[..., np.newaxis]
    alpha = srgba[..., 3:].astype(np.float32) / 255
    return np.rint(alpha * srgba[..., :3] + (1 - alpha) * board).astype(np.uint8)


def fitted(srgb: Srgb8, *, longest_side_px: int) -> Srgb8:
    """Return a picture with its longest side at so many pixels; small ones grow by whole steps."""
    height, width = srgb.shape[:2]
    scale = longest_side_px / max(height, width)
    if scale > 1:
        # Pixels of small crops stay to be seen.
        times = int(scale)
        size = (width * times, height * times)
        return np.asarray(cv2.resize(srgb, size, interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(srgb, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
