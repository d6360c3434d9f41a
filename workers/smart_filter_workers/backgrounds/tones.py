"""Colours as people speak of them: how light, how strong, what hue, and their names."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.backgrounds.colours import Colours

# Below this chroma (OKLCH) a colour is black, grey or white to the eye, cream or slate at most.
NEUTRAL: Final = 0.04
# Parts of clothes: what is less is a button.
LEAST_SHARE: Final = 0.12
MOST_TONES: Final = 3
_FEWEST_PIXELS: Final = 12

_HUES: Final = 12
_LIGHTNESSES: Final = 4
_GREEN_HUE: Final = 118
# Hue in degrees where a name begins (chosen by looking at circles of OKLCH at chroma 0.12).
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
# Brown is dark orange and what is dull beside it, beige is light and duller; dark pink is wine.
_BROWN_HUE: Final = 20
_BROWN_CHROMA: Final = 0.12
_BEIGE_CHROMA: Final = 0.08
_BROWN: Final = 0.62
_PINK: Final = 0.5
_DARK: Final = 0.35
_LIGHT: Final = 0.8
# A name is sure when the light of the place, and what a camera made of it, cannot have changed
# it: lightness, chroma and hue may be wrong by so much, the chroma by a share of it at least.
_WRONG_LIGHTNESS: Final = 0.08
_WRONG_CHROMA: Final = 0.015
_WRONG_CHROMA_SHARE: Final = 0.15
_WRONG_HUE: Final = 10
# What has less of something is not its colour, nor what makes it dark or light (by looking at 40
# training photos: below, long hair and prints were taken for the clothes' colour).
_MOST: Final = 0.6
_MUCH: Final = 0.4
# What anybody calls dark or light.
_SURELY_DARK: Final = 0.42
_SURELY_LIGHT: Final = 0.75


@dataclass(frozen=True, slots=True)
class Tone:
    """One colour, and how much of something it is.

    lightness: 0..1, chroma: 0..0.3, hue: degrees, all of OKLCH.  share: 0..1.
    """

    lightness: float
    chroma: float
    hue: float
    share: float

    @property
    def lab(self) -> tuple[float, float, float]:
        """The colour in OKLab."""
        turn = np.deg2rad(self.hue)
        return (
            self.lightness,
            self.chroma * float(np.cos(turn)),
            self.chroma * float(np.sin(turn)),
        )

    @property
    def name(self) -> str:
        """What people call it."""
        if self.chroma < NEUTRAL:
            return _neutral(self.lightness)
        hue = next((name for begins, name in reversed(_NAMES) if self.hue >= begins), "pink")
        if hue == "pink" and self.lightness < _PINK:
            return "red" if self.hue < _NAMES[1][0] else "purple"
        if _BROWN_HUE <= self.hue < _GREEN_HUE and self.chroma < _BROWN_CHROMA:
            return _dull(hue, self)
        return hue

    @property
    def sure_name(self) -> str:
        """What everybody calls it, else `dark` or `light`; "" when it is neither for certain."""
        aside = max(_WRONG_CHROMA, _WRONG_CHROMA_SHARE * self.chroma)
        names = {
            replace(
                self,
                lightness=self.lightness + lighter * _WRONG_LIGHTNESS,
                chroma=max(self.chroma + stronger * aside, 0),
                hue=(self.hue + turned * _WRONG_HUE) % 360,
            ).name
            for lighter, stronger, turned in itertools.product((-1, 0, 1), repeat=3)
        }
        if len(names) == 1 and self.share >= _MOST:
            return names.pop()
        if self.share < _MUCH or _SURELY_DARK <= self.lightness <= _SURELY_LIGHT:
            return ""
        return "dark" if self.lightness < _SURELY_DARK else "light"


def tone(lab: NDArray[np.float32], share: float) -> Tone:
    """Return an OKLab colour, (3,), as a tone."""
    lightness, green_red, blue_yellow = (float(one) for one in lab)
    hue = float(np.rad2deg(np.arctan2(blue_yellow, green_red))) % 360
    return Tone(lightness, float(np.hypot(green_red, blue_yellow)), hue, share)


def dominant(lab: Colours) -> tuple[Tone, ...]:
    """Return the tones that most of (N, 3) OKLab pixels have, the commonest first.

    Pixels are counted by hue and lightness, neutral ones by lightness alone; of the fullest
    bins each is one tone, their mean.
    """
    if len(lab) < _FEWEST_PIXELS:
        return ()
    lightness = np.clip(lab[:, 0] * _LIGHTNESSES, 0, _LIGHTNESSES - 1).astype(np.int64)
    hue = np.arctan2(lab[:, 2], lab[:, 1]) / (2 * np.pi) * _HUES
    sector = np.round(hue).astype(np.int64) % _HUES
    # Dark stuff shows little chroma, but what there is can be seen: so lightness counts less.
    sector[np.hypot(lab[:, 1], lab[:, 2]) < NEUTRAL] = _HUES
    bins = sector * _LIGHTNESSES + lightness
    count = np.bincount(bins, minlength=(_HUES + 1) * _LIGHTNESSES)
    found = []
    for fullest in np.argsort(-count, kind="stable")[:MOST_TONES]:
        share = float(count[fullest]) / len(lab)
        if share >= LEAST_SHARE:
            found.append(tone(lab[bins == fullest].mean(axis=0), share))
    return tuple(found)


def apart(found: Sequence[Tone]) -> float:
    """Return how unlike tones are: the root mean square distance from their mean, in OKLab."""
    if not found:
        return 0.0
    lab = np.array([one.lab for one in found])
    shares = np.array([one.share for one in found])
    mean = np.average(lab, axis=0, weights=shares)
    return float(np.sqrt(np.average(((lab - mean) ** 2).sum(axis=-1), weights=shares)))


def _dull(hue: str, tone: Tone) -> str:
    """Return what is said of a red, an orange or a yellow of little chroma."""
    if tone.lightness < _BROWN:
        return "brown"
    return "beige" if hue == "orange" and tone.chroma < _BEIGE_CHROMA else hue


def _neutral(lightness: float) -> str:
    if lightness < _DARK:
        return "black"
    return "white" if lightness > _LIGHT else "grey"
