"""BlurHash: about thirty letters from which an app draws a blurred preview of a loading picture.

Implemented here, because existing Python packages loop over every pixel in Python. Source: Wolt,
"BlurHash", Algorithm.md (blurha.sh); the sRGB curve is IEC 61966-2-1.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.results import Srgb8
from smart_filter_workers.srgb import decode_curve, encode_curve

Floats = NDArray[np.float64]

# Waves along the longer side and along the shorter side.
LONGER, SHORTER = 4, 3

_LETTERS: Final = (
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"
)
_MAX_AC_STEPS: Final = 82  # levels of the strongest wave's amplitude
_WAVE_LEVELS: Final = 19


def encode(srgb: Srgb8) -> str:
    """Return the BlurHash of a picture, (h, w, 3) uint8; 32 pixels a side are enough."""
    height, width = srgb.shape[:2]
    across, down = (LONGER, SHORTER) if width >= height else (SHORTER, LONGER)
    waves = _waves(decode_curve(srgb / 255.0), across, down)
    mean, others = waves[0], waves[1:]
    steps = min(_MAX_AC_STEPS, max(0, int(np.abs(others).max() * 166 - 0.5)))
    strongest = (steps + 1) / 166
    scaled = np.sign(others) * np.sqrt(np.abs(others) / strongest)
    levels = np.clip(np.floor(scaled * 9 + 9.5), 0, _WAVE_LEVELS - 1).astype(int)
    red, green, blue = (int(level) for level in _levels(mean))
    digits = [
        _digits(across - 1 + (down - 1) * 9, 1),
        _digits(steps, 1),
        _digits((red << 16) + (green << 8) + blue, 4),
        *(_digits(int(r) * 361 + int(g) * 19 + int(b), 2) for r, g, b in levels),
    ]
    return "".join(digits)


def _waves(linear: Floats, across: int, down: int) -> Floats:
    """Return the amplitude of each wave in each color, (down · across, 3), the mean first."""
    height, width = linear.shape[:2]
    columns = np.cos(np.pi * np.outer(np.arange(across), np.arange(width)) / width)
    rows = np.cos(np.pi * np.outer(np.arange(down), np.arange(height)) / height)
    sums = np.einsum("jy,ix,yxc->jic", rows, columns, linear).reshape(-1, 3) / (height * width)
    sums[1:] *= 2
    return np.asarray(sums)


def _levels(linear: Floats) -> Floats:
    return np.asarray(np.floor(encode_curve(np.clip(linear, 0, 1)) * 255 + 0.5))


def _digits(number: int, count: int) -> str:
    """Return a number in base 83, highest digit first."""
    base = len(_LETTERS)
    return "".join(_LETTERS[number // base**place % base] for place in reversed(range(count)))
