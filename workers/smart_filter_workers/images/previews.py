"""Previews shown before or instead of a picture: a thumbnail and a BlurHash.

BlurHash: about thirty letters from which an app draws a blurred preview of a loading picture.

Implemented here, because existing Python packages loop over every pixel in Python. Source: Wolt,
"BlurHash", Algorithm.md (blurha.sh); the sRGB curve is IEC 61966-2-1.
"""

from typing import Final

import numpy as np

from smart_filter_workers.images.encoding import encode_jpeg
from smart_filter_workers.resampling import downscale, flatten_on_white, shrink
from smart_filter_workers.results import Doubles, EncodedFile, Srgb8
from smart_filter_workers.srgb import decode_curve, encode_curve

THUMBNAIL_PX: Final = 256

_THUMBNAIL_QUALITY: Final = 80
_BLURHASH_PX: Final = 32
# Side of the picture that a BlurHash is computed from, as a multiple of the hash's: reading every
# pixel of 12 megapixels takes 5 ms, and its dozen waves show no difference.
_BLURHASH_SAMPLES: Final = 8
_RGB: Final = 3


# Waves along the longer side and along the shorter side.
LONGER, SHORTER = 4, 3

_LETTERS: Final = (
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"
)
_MAX_AC_STEPS: Final = 82  # levels of the strongest wave's amplitude
_WAVE_LEVELS: Final = 19


def encode_thumbnail(pixels: Srgb8) -> EncodedFile:
    """Return a picture, (H, W, 3) or (H, W, 4) uint8, as a small JPEG."""
    return encode_jpeg(_shrink(pixels, longest_side=THUMBNAIL_PX), quality=_THUMBNAIL_QUALITY)


def compute_blurhash(pixels: Srgb8) -> str:
    """Return the BlurHash of a picture, (H, W, 3) or (H, W, 4) uint8."""
    step = max(1, max(pixels.shape[:2]) // (_BLURHASH_SAMPLES * _BLURHASH_PX))
    return encode_blurhash(_shrink(pixels[::step, ::step], longest_side=_BLURHASH_PX))


def _shrink(pixels: Srgb8, *, longest_side: int) -> Srgb8:
    """Return a picture, (h, w, 3) uint8, with no side above `longest_side`, on white."""
    if pixels.shape[2] == _RGB:
        return shrink(pixels, longest_side=longest_side)
    # Weighting colors by alpha is slow: four pixels for each preview pixel are enough.
    step = max(1, round(max(pixels.shape[:2]) / (2 * longest_side)))
    pixels = pixels[::step, ::step]
    height, width = pixels.shape[:2]
    scale = min(1.0, longest_side / max(height, width))
    small = downscale(
        pixels, width=max(1, round(scale * width)), height=max(1, round(scale * height))
    )
    return flatten_on_white(small)


def encode_blurhash(srgb: Srgb8) -> str:
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


def _waves(linear: Doubles, across: int, down: int) -> Doubles:
    """Return the amplitude of each wave in each color, (down · across, 3), the mean first."""
    height, width = linear.shape[:2]
    columns = np.cos(np.pi * np.outer(np.arange(across), np.arange(width)) / width)
    rows = np.cos(np.pi * np.outer(np.arange(down), np.arange(height)) / height)
    sums = np.einsum("jy,ix,yxc->jic", rows, columns, linear).reshape(-1, 3) / (height * width)
    sums[1:] *= 2
    return np.asarray(sums)


def _levels(linear: Doubles) -> Doubles:
    return np.asarray(np.floor(encode_curve(np.clip(linear, 0, 1)) * 255 + 0.5))


def _digits(number: int, count: int) -> str:
    """Return a number in base 83, highest digit first."""
    base = len(_LETTERS)
    return "".join(_LETTERS[number // base**place % base] for place in reversed(range(count)))
