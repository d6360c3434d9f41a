"""Draw the pictures of reports: mattes in gray, errors in color, boxes."""

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.networks.coordinates import Box
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Matte8, Srgb8

Color: TypeAlias = tuple[int, int, int]

# sRGB; also distinguishable with red-green color blindness.
FALSE_POSITIVE: Final[Color] = (230, 97, 20)
FALSE_NEGATIVE: Final[Color] = (40, 110, 255)
CORRECT: Final[Color] = (60, 220, 130)
DIM: Final[Color] = (150, 150, 150)
# Contrast of the gray photo under a difference.
_FADED_SHARE: Final = 0.45
_PAPER: Final = 120
# Width of a box's line, as a share of the picture's longest side.
_LINE: Final = 0.006
# Side of a checkerboard's squares in pixels, and their two grays.
_SQUARE_PX: Final = 16
_LIGHT, _DARK = 235, 205


def draw_matte(matte: Matte8) -> Srgb8:
    """Return a matte as a picture: (H, W, 3) uint8."""
    return np.ascontiguousarray(np.repeat(matte[..., np.newaxis], 3, axis=2))


def draw_difference(srgb: Srgb8, matte: Matte8, truth: Matte8, counted: NDArray[np.bool_]) -> Srgb8:
    """Draw the errors of a matte over a faint photo, and return the picture.

    srgb: (H, W, 3) uint8; matte, truth: (H, W) uint8; counted: (H, W) bool, the pixels that
    are compared.  Returns (H, W, 3) uint8.
    """
    faint = _FADED_SHARE * cv2.cvtColor(srgb, cv2.COLOR_RGB2GRAY).astype(np.float32) + _PAPER
    ground = np.repeat(faint[..., np.newaxis], 3, axis=2)
    excess = (matte.astype(np.float32) - truth) / 255 * counted
    for part, color in ((excess, FALSE_POSITIVE), (-excess, FALSE_NEGATIVE)):
        share = np.clip(part, 0, 1)[..., np.newaxis]
        ground = (1 - share) * ground + share * np.array(color, np.float32)
    return np.clip(np.rint(ground), 0, 255).astype(np.uint8)


def draw_boxes(srgb: Srgb8, of: Mapping[Color, Iterable[Box]]) -> Srgb8:
    """Draw boxes of several colors onto a copy of a photo, and return the copy."""
    drawn = srgb.copy()
    line = max(1, round(_LINE * max(srgb.shape)))
    for color, several in of.items():
        for left, top, right, bottom in several:
            corners = (round(left), round(top)), (round(right), round(bottom))
            cv2.rectangle(drawn, *corners, color, line, cv2.LINE_AA)
    return drawn


def draw_on_checkerboard(srgba: NDArray[np.uint8]) -> Srgb8:
    """Return a cut-out, (H, W, 4) uint8 with straight alpha, on a checkerboard."""
    height, width = srgba.shape[:2]
    rows, columns = (np.arange(length) // _SQUARE_PX for length in (height, width))
    odd = (rows[:, np.newaxis] + columns) % 2 == 1
    board = np.where(odd, _DARK, _LIGHT).astype(np.float32)[..., np.newaxis]
    alpha = srgba[..., 3:].astype(np.float32) / 255
    return np.rint(alpha * srgba[..., :3] + (1 - alpha) * board).astype(np.uint8)


def fit_longest_side(srgb: Srgb8, *, longest_side_px: int) -> Srgb8:
    """Return a picture fitted to a longest side; small pictures grow by whole factors."""
    height, width = srgb.shape[:2]
    scale = longest_side_px / max(height, width)
    if scale > 1:
        # Nearest-neighbor, so that the pixels of small crops stay visible.
        times = int(scale)
        size = (width * times, height * times)
        return np.asarray(cv2.resize(srgb, size, interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(srgb, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
