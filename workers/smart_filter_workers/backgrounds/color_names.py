"""Color names: describe a color by lightness, strength and hue, and name it."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.backgrounds.colors import Colors

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
            return _neutral(self.lightness)
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


def _neutral(lightness: float) -> str:
    if lightness < _DARK:
        return "black"
    return "white" if lightness > _LIGHT else "gray"
