"""Colors: parse palettes, mix in a perceptual space, and convert to linear light and back."""

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.opencv import cv2
from smart_filter_workers.srgb import decode_curve, encode_curve

# (..., 3) float32, RGB; each function states whether gamma-coded 0..255 or linear light 0..1.
Colors = NDArray[np.float32]

# Linear sRGB to the cone-like space, and that (cube-rooted) to OKLab.
# Source: B. Ottosson 2020, "A perceptual color space for image processing".
_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    np.float32,
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ],
    np.float32,
)
# Enough that the nearest step is a fraction of a level off, which grain hides.
_RAMP_STEPS = 4096
# At most a tenth of a level off, in the darkest colors.
_LIGHT_STEPS = 1 << 14
_FROM_CONES = np.linalg.inv(_TO_CONES)
_FROM_LAB = np.linalg.inv(_TO_LAB)


def parse_hex(palette: Sequence[str]) -> Colors:
    """Return colors written as #rrggbb as (N, 3) linear light, 0..1."""
    coded = [[int(text[at : at + 2], 16) for at in (1, 3, 5)] for text in palette]
    return srgb_to_linear(np.array(coded, np.float32))


def srgb_to_linear(coded: Colors) -> Colors:
    """Return linear light 0..1 of gamma-coded sRGB 0..255."""
    return decode_curve(coded / np.float32(255)).astype(np.float32)


def picture_to_linear(srgb: NDArray[np.uint8]) -> Colors:
    """Return linear light 0..1 of a picture, (H, W, 3) uint8 sRGB."""
    return cv2.LUT(srgb, _linear_levels()).astype(np.float32, copy=False)


@functools.cache
def _linear_levels() -> NDArray[np.float32]:
    return srgb_to_linear(np.arange(256, dtype=np.float32))


def linear_to_srgb(light: Colors) -> Colors:
    """Return gamma-coded sRGB 0..255 of linear light, clipped to 0..1."""
    steps = np.clip(light, 0, 1, dtype=np.float32) * np.float32(_LIGHT_STEPS - 1)
    # Looked up in a ninth of the time of cv2.pow: this function is called for most pixels.
    levels: Colors = _coded_levels()[(steps + np.float32(0.5)).astype(np.uint16)]
    return levels


@functools.cache
def _coded_levels() -> NDArray[np.float32]:
    """Return the gamma-coded levels of evenly spaced light."""
    return (255 * encode_curve(np.linspace(0, 1, _LIGHT_STEPS))).astype(np.float32)


def mix(light: Colors, shares: NDArray[np.float32]) -> Colors:
    """Return colors mixed in OKLab, where a mix of two is neither gray nor dark.

    light: (N, 3) linear.  shares: (..., N), summing to 1 over the last axis.
    Returns (..., 3) gamma-coded 0..255.
    """
    return linear_to_srgb(oklab_to_linear(shares @ linear_to_oklab(light)))


def oklab_to_linear(lab: Colors) -> Colors:
    """Return (..., 3) linear light of OKLab; colors outside of sRGB are beyond 0..1."""
    cones = lab @ _FROM_LAB.T
    # numpy's power of 3 takes ten times as long as the products.
    return np.asarray(cones * cones * cones @ _FROM_CONES.T, np.float32)


def linear_to_oklab(light: Colors) -> Colors:
    """Return (..., 3) OKLab of linear light: lightness 0..1, then green to red, blue to yellow."""
    if not light.size:  # cv2 rejects empty arrays
        return light
    cones = light @ _TO_CONES.T
    # cv2.pow takes an eighth of the time of numpy's cbrt.
    return np.asarray(cv2.pow(cones, 1 / 3).reshape(cones.shape) @ _TO_LAB.T, np.float32)


def ramp(light: Colors, place: NDArray[np.float32]) -> Colors:
    """Return the gamma-coded colors 0..255 at `place`, 0 for the first color and 1 for the last.

    light: (N, 3) linear, evenly spaced.  place: (...) in 0..1, clipped.
    """
    steps = np.linspace(0, 1, _RAMP_STEPS, dtype=np.float32) * (len(light) - 1)
    shares = np.maximum(0, 1 - np.abs(steps[:, None] - np.arange(len(light), dtype=np.float32)))
    table = mix(light, shares.astype(np.float32))
    flat = np.atleast_2d(np.clip(place, 0, 1) * (_RAMP_STEPS - 1)).astype(np.float32)
    # A remap of the table takes a third of the time of numpy's indexing.
    looked_up = cv2.remap(table[None], flat, np.zeros_like(flat), cv2.INTER_NEAREST)
    return looked_up.astype(np.float32, copy=False).reshape(*place.shape, 3)
