"""What a picture looks like as a background: its main colours, brightness, and moods."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.presets import Mood
from smart_filter_workers import images
from smart_filter_workers.backgrounds import colours, impressions
from smart_filter_workers.backgrounds.colours import Colours
from smart_filter_workers.results import Srgb8

PALETTE_COLOURS: Final = 5

# Colours are gathered from this many pixels a side: finer grain is no colour that one names.
_SIDE_PX: Final = 96
_ROUNDS: Final = 12
# OKLab. Closer than this, two colours are one; the eye sees a difference from 0.02 on.
_ALIKE: Final = 0.04
# Mean luma from which a picture is light, and below which it is dark; mean chroma in OKLab from
# which it is colourful. Of the 104 generated designs 95 share a mood with what is told by these.
_LIGHT: Final = 0.6
_DARK: Final = 0.38
_COLOURFUL: Final = 0.075


@dataclass(frozen=True, slots=True)
class Appearance:
    """What one would say of a picture.

    palette: at most five colours as #rrggbb, that of the largest share first.
    brightness: mean Rec. 709 luma, 0 black to 1 white.
    impression: its mean colours by place, as a preset holds them.
    """

    palette: tuple[str, ...]
    brightness: float
    impression: str


def of(srgb: Srgb8) -> Appearance:
    """Look at a picture, (H, W, 3) uint8 sRGB; the same picture always looks the same."""
    small = images.shrink(srgb, longest_side=_SIDE_PX)
    red, green, blue, _ = cv2.mean(srgb)
    brightness = (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255  # ITU-R BT.709
    light = colours.linear(small.reshape(-1, 3).astype(np.float32))
    by_place = impressions.written(impressions.seen_in([small]))
    return Appearance(_palette(light), round(brightness, 3), by_place)


def moods(palette: Sequence[str], brightness: float) -> tuple[Mood, ...]:
    """Return what a picture goes with, the best first, by its light and its colours alone.

    Light ones are joyful when they are colourful, else tender; dark ones tense or sad.
    """
    lab = colours.oklab(colours.read(palette))
    is_colourful = float(np.hypot(lab[:, 1], lab[:, 2]).mean()) >= _COLOURFUL
    if brightness >= _LIGHT:
        return (Mood.JOYFUL, Mood.SURPRISED) if is_colourful else (Mood.TENDER, Mood.CALM)
    if brightness >= _DARK:
        return (Mood.JOYFUL, Mood.CALM) if is_colourful else (Mood.CALM, Mood.SERIOUS)
    return (Mood.TENSE, Mood.SERIOUS) if is_colourful else (Mood.SERIOUS, Mood.SAD)


def _palette(light: Colours) -> tuple[str, ...]:
    """Gather (N, 3) linear light into a few colours (Lloyd's k-means, in OKLab)."""
    lab = colours.oklab(light)
    centres = _far_apart(lab)
    for _ in range(_ROUNDS):
        nearest = _nearest(lab, centres)
        centres = np.stack([lab[nearest == one].mean(axis=0) for one in np.unique(nearest)])
    nearest = _nearest(lab, centres)
    shares = np.bincount(nearest, minlength=len(centres))
    order = np.argsort(-shares, kind="stable")
    means = np.stack([light[nearest == one].mean(axis=0) for one in order if shares[one]])
    return tuple(
        f"#{red:02x}{green:02x}{blue:02x}"
        for red, green, blue in np.round(colours.coded(means)).astype(int)
    )


def _far_apart(lab: Colours) -> Colours:
    """Return colours to begin with: the mean's neighbour, then whatever is farthest from those.

    Source: Gonzalez 1985, "Clustering to minimize the maximum intercluster distance".
    """
    away = ((lab - lab.mean(axis=0)) ** 2).sum(axis=-1)
    found = [lab[int(away.argmin())]]
    while len(found) < PALETTE_COLOURS:
        away = np.stack([((lab - one) ** 2).sum(axis=-1) for one in found]).min(axis=0)
        if away.max() < _ALIKE**2:
            break
        found.append(lab[int(away.argmax())])
    return np.stack(found)


def _nearest(lab: Colours, centres: Colours) -> NDArray[np.intp]:
    """Return which of the centres each colour is nearest to."""
    away = np.stack([((lab - one) ** 2).sum(axis=-1) for one in centres])
    return np.asarray(away.argmin(axis=0), np.intp)
