"""Appearance of a picture as a background: main colors, brightness, moods, thumbnail.

Thumbnails of pictures are made on upload; thumbnails of designs are shipped
(`smart_filter_shared.presets.thumbnails`): drawing all takes seconds, and the API does not draw.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.presets import PRESETS, Mood, Preset, thumbnails
from smart_filter_shared.presets.thumbnails import HEIGHT_PX, WIDTH_PX
from smart_filter_workers import images
from smart_filter_workers.backgrounds import colors, library
from smart_filter_workers.backgrounds.choice import color_layout
from smart_filter_workers.backgrounds.colors import Colors
from smart_filter_workers.images import EncodingOptions
from smart_filter_workers.opencv import cv2
from smart_filter_workers.resampling import shrink
from smart_filter_workers.results import EncodedFile, Srgb8
from smart_filter_workers.srgb import LUMA_WEIGHTS

PALETTE_SIZE: Final = 5

# Colors are counted on this many pixels a side: finer grain is not a color that people would name.
_SIDE_PX: Final = 96
_ROUNDS: Final = 12
# In OKLab: colors closer than this are merged. The eye sees a difference from 0.02 on.
_MERGE_DISTANCE: Final = 0.04
# Mean luma from which a picture is light, and below which it is dark; mean chroma in OKLab from
# which it is colorful. For 95 of the 134 generated designs these limits suggest one of their moods.
_LIGHT_FROM: Final = 0.6
_DARK_BELOW: Final = 0.38
_COLORFUL_FROM: Final = 0.075

# Oversampling factor: grain, which is finer than a thumbnail's pixels, would otherwise take more
# bytes than the design.
_OVERSAMPLING: Final = 3
_SEED: Final = 0
_ENCODING: Final = EncodingOptions("webp", quality=80, small=True)


@dataclass(frozen=True, slots=True)
class Appearance:
    """The description of a picture.

    palette: at most five colors as #rrggbb, the largest share first.
    brightness: mean Rec. 709 luma, 0 black to 1 white.
    impression: its mean colors by place, in the format of a preset.
    """

    palette: tuple[str, ...]
    brightness: float
    impression: str


def describe(srgb: Srgb8) -> Appearance:
    """Return the appearance of a picture, (H, W, 3) uint8 sRGB; deterministic."""
    small = shrink(srgb, longest_side=_SIDE_PX)
    brightness = float(np.dot(cv2.mean(srgb)[:3], LUMA_WEIGHTS)) / 255
    light = colors.srgb_to_linear(small.reshape(-1, 3).astype(np.float32))
    by_place = color_layout.to_hex(color_layout.measure([small]))
    return Appearance(_palette(light), round(brightness, 3), by_place)


def suggest_moods(palette: Sequence[str], brightness: float) -> tuple[Mood, ...]:
    """Return the moods that suit a picture, best first, by its light and its colors alone.

    Light pictures are joyful if they are colorful, otherwise tender; dark ones tense or sad.
    """
    lab = colors.linear_to_oklab(colors.parse_hex(palette))
    is_colorful = float(np.hypot(lab[:, 1], lab[:, 2]).mean()) >= _COLORFUL_FROM
    if brightness >= _LIGHT_FROM:
        return (Mood.JOYFUL, Mood.SURPRISED) if is_colorful else (Mood.TENDER, Mood.CALM)
    if brightness >= _DARK_BELOW:
        return (Mood.JOYFUL, Mood.CALM) if is_colorful else (Mood.CALM, Mood.SERIOUS)
    return (Mood.TENSE, Mood.SERIOUS) if is_colorful else (Mood.SERIOUS, Mood.SAD)


def _palette(light: Colors) -> tuple[str, ...]:
    """Return a few main colors of (N, 3) linear light (Lloyd's k-means, in OKLab)."""
    lab = colors.linear_to_oklab(light)
    centers = _choose_initial_colors(lab)
    for _ in range(_ROUNDS):
        nearest = _nearest(lab, centers)
        centers = np.stack([lab[nearest == index].mean(axis=0) for index in np.unique(nearest)])
    nearest = _nearest(lab, centers)
    shares = np.bincount(nearest, minlength=len(centers))
    order = np.argsort(-shares, kind="stable")
    means = np.stack([light[nearest == index].mean(axis=0) for index in order if shares[index]])
    return tuple(
        f"#{red:02x}{green:02x}{blue:02x}"
        for red, green, blue in np.round(colors.linear_to_srgb(means)).astype(int)
    )


def _choose_initial_colors(lab: Colors) -> Colors:
    """Return the initial centers: the color nearest the mean, then each time the farthest one.

    Source: Gonzalez 1985, "Clustering to minimize the maximum intercluster distance".
    """
    away = ((lab - lab.mean(axis=0)) ** 2).sum(axis=-1)
    centers = [lab[int(away.argmin())]]
    while len(centers) < PALETTE_SIZE:
        away = np.stack([((lab - center) ** 2).sum(axis=-1) for center in centers]).min(axis=0)
        if away.max() < _MERGE_DISTANCE**2:
            break
        centers.append(lab[int(away.argmax())])
    return np.stack(centers)


def _nearest(lab: Colors, centers: Colors) -> NDArray[np.intp]:
    """Return the index of the center nearest to each color."""
    away = np.stack([((lab - center) ** 2).sum(axis=-1) for center in centers])
    return np.asarray(away.argmin(axis=0), np.intp)


def from_picture(srgb: Srgb8) -> EncodedFile:
    """Return the thumbnail of a background, (H, W, 3) uint8 sRGB: its middle, shrunk."""
    return images.encode(library.crop_to_cover(srgb, width=WIDTH_PX, height=HEIGHT_PX), _ENCODING)


def from_design(preset: Preset) -> EncodedFile:
    """Return the thumbnail of a generated background."""
    width, height = _OVERSAMPLING * WIDTH_PX, _OVERSAMPLING * HEIGHT_PX
    return from_picture(library.draw_uncached(preset.name, seed=_SEED, width=width, height=height))


if __name__ == "__main__":
    folder = Path(thumbnails.__file__).parent
    for old in folder.glob("*.webp"):
        old.unlink()
    for preset in PRESETS:
        (folder / thumbnails.file_name(preset)).write_bytes(from_design(preset).content)
