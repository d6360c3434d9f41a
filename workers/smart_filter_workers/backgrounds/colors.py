"""Colors: parse palettes, mix in a perceptual space, and convert to linear light and back.

Color names: describe a color by lightness, strength and hue, and name it.
"""

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Bytes
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

# Colors below this chroma (OKLCH) look black, gray or white, or at most cream or slate.
NEUTRAL_BELOW: Final = 0.04
# Least share of the clothes that counts as one of their colors: less is a button.
MIN_SHARE: Final = 0.12
MAX_COLORS: Final = 3
_MIN_PIXELS: Final = 12

_HUES: Final = 12
_LIGHTNESSES: Final = 4
_GREEN_HUE: Final = 118
# Hue in degrees at which a name begins (chosen by looking at circles of OKLCH at chroma 0.12).
_NAMES: Final = (
    (0, "pink"),
    (12, "red"),
    (37, "orange"),
    (80, "yellow"),
    (_GREEN_HUE, "green"),
    (175, "turquoise"),
    (225, "blue"),
    (285, "purple"),
    (330, "pink"),
)
# Brown is dark orange and dull neighboring hues, beige is light and duller; dark pink is wine.
_BROWN_HUE: Final = 20
_BROWN_CHROMA: Final = 0.12
_BEIGE_CHROMA: Final = 0.08
_BROWN: Final = 0.62
_PINK: Final = 0.5
_DARK: Final = 0.35
_LIGHT: Final = 0.8
# A name is certain if the place's light and the camera cannot have changed it: errors of lightness,
# chroma and hue up to these values; for chroma at least this share of it.
_LIGHTNESS_ERROR: Final = 0.08
_CHROMA_ERROR: Final = 0.015
_CHROMA_ERROR_SHARE: Final = 0.15
_HUE_ERROR: Final = 10
# Least share of the clothes for their color, and for being dark or light (by looking at 40 training
# photos: with less, long hair and prints passed as the clothes' color).
_MAIN_SHARE: Final = 0.6
_LARGE_SHARE: Final = 0.4
# Limits of lightness that everyone would call dark or light.
_SURELY_DARK: Final = 0.42
_SURELY_LIGHT: Final = 0.75


def parse_hex(palette: Sequence[str]) -> Colors:
    """Return colors written as #rrggbb as (N, 3) linear light, 0..1."""
    coded = [[int(text[at : at + 2], 16) for at in (1, 3, 5)] for text in palette]
    return srgb_to_linear(np.array(coded, np.float32))


def srgb_to_linear(coded: Colors) -> Colors:
    """Return linear light 0..1 of gamma-coded sRGB 0..255."""
    return decode_curve(coded / np.float32(255)).astype(np.float32)


def picture_to_linear(srgb: Bytes) -> Colors:
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


def apply_curves(curves: Bytes | None, srgb: Bytes) -> Bytes:
    """Return pixels, (h, w, 3), with levels mapped through curves, (256, 3); None: as they are."""
    return srgb if curves is None else np.asarray(cv2.LUT(srgb, curves[np.newaxis]), np.uint8)


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


@dataclass(frozen=True, slots=True)
class NamedColor:
    """One color of an object, and its share of the object.

    lightness: 0..1, chroma: 0..0.3, hue: degrees, all of OKLCH.  share: 0..1.
    """

    lightness: float
    chroma: float
    hue: float
    share: float

    @property
    def lab(self) -> tuple[float, float, float]:
        """The color in OKLab."""
        turn = np.deg2rad(self.hue)
        return (
            self.lightness,
            self.chroma * float(np.cos(turn)),
            self.chroma * float(np.sin(turn)),
        )

    @property
    def name(self) -> str:
        """The color's usual name."""
        if self.chroma < NEUTRAL_BELOW:
            if self.lightness < _DARK:
                return "black"
            return "white" if self.lightness > _LIGHT else "gray"
        hue = next((name for begins, name in reversed(_NAMES) if self.hue >= begins), "pink")
        if hue == "pink" and self.lightness < _PINK:
            return "red" if self.hue < _NAMES[1][0] else "purple"
        if _BROWN_HUE <= self.hue < _GREEN_HUE and self.chroma < _BROWN_CHROMA:
            return _dull(hue, self)
        return hue

    @property
    def certain_name(self) -> str:
        """The certain name, or `dark` or `light`; "" when none of them is certain."""
        if self.share >= _MAIN_SHARE and len(names := self._possible_names()) == 1:
            return names.pop()
        if self.share < _LARGE_SHARE or _SURELY_DARK <= self.lightness <= _SURELY_LIGHT:
            return ""
        return "dark" if self.lightness < _SURELY_DARK else "light"

    def _possible_names(self) -> set[str]:
        """Return the names of the color with every error of lightness, chroma and hue."""
        aside = max(_CHROMA_ERROR, _CHROMA_ERROR_SHARE * self.chroma)
        return {
            replace(
                self,
                lightness=self.lightness + lighter * _LIGHTNESS_ERROR,
                chroma=max(self.chroma + stronger * aside, 0),
                hue=(self.hue + turned * _HUE_ERROR) % 360,
            ).name
            for lighter, stronger, turned in itertools.product((-1, 0, 1), repeat=3)
        }


def to_named_color(lab: NDArray[np.float32], share: float) -> NamedColor:
    """Return an OKLab color, (3,), as a named color."""
    lightness, green_red, blue_yellow = (float(value) for value in lab)
    hue = float(np.rad2deg(np.arctan2(blue_yellow, green_red))) % 360
    return NamedColor(lightness, float(np.hypot(green_red, blue_yellow)), hue, share)


def find_dominant(lab: Colors) -> tuple[NamedColor, ...]:
    """Return the main colors of (N, 3) OKLab pixels, the most common first.

    Pixels are counted by hue and lightness, neutral ones by lightness alone; the color of each of
    the fullest bins is its mean.
    """
    if len(lab) < _MIN_PIXELS:
        return ()
    lightness = np.clip(lab[:, 0] * _LIGHTNESSES, 0, _LIGHTNESSES - 1).astype(np.int64)
    hue = np.arctan2(lab[:, 2], lab[:, 1]) / (2 * np.pi) * _HUES
    sector = np.round(hue).astype(np.int64) % _HUES
    # Dark cloth has low but visible chroma, so the limit does not depend on lightness.
    sector[np.hypot(lab[:, 1], lab[:, 2]) < NEUTRAL_BELOW] = _HUES
    bins = sector * _LIGHTNESSES + lightness
    count = np.bincount(bins, minlength=(_HUES + 1) * _LIGHTNESSES)
    dominant = []
    for fullest in np.argsort(-count, kind="stable")[:MAX_COLORS]:
        share = float(count[fullest]) / len(lab)
        if share >= MIN_SHARE:
            dominant.append(to_named_color(lab[bins == fullest].mean(axis=0), share))
    return tuple(dominant)


def color_spread(colors: Sequence[NamedColor]) -> float:
    """Return the difference of colors: the root mean square distance from their mean, in OKLab."""
    if not colors:
        return 0.0
    lab = np.array([color.lab for color in colors])
    shares = np.array([color.share for color in colors])
    mean = np.average(lab, axis=0, weights=shares)
    return float(np.sqrt(np.average(((lab - mean) ** 2).sum(axis=-1), weights=shares)))


def _dull(hue: str, tone: NamedColor) -> str:
    """Return the name of a red, an orange or a yellow of low chroma."""
    if tone.lightness < _BROWN:
        return "brown"
    return "beige" if hue == "orange" and tone.chroma < _BEIGE_CHROMA else hue
