"""The people's colours, brought toward the light that they are to stand in.

White balance, exposure and contrast are three curves, one a channel, found on a few thousand
pixels: the tint that a grey thing would have in the background's light, less the one it has in
the photo's; how light the background is; and how strongly its lights and darks differ. Means
and spreads in a perceptual space are Reinhard's; that greys tell of the light, not everybody's
mean colour, is what keeps faces and a red dress as they are.

Source: Reinhard et al. 2001, "Color transfer between images"; Huo et al. 2006, "Robust automatic
white balance algorithm using gray color points in images".
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.backgrounds import colours
from smart_filter_workers.results import Face, Srgb8
from smart_filter_workers.stages.composite.look import maps
from smart_filter_workers.stages.composite.matting.blocks import Floats
from smart_filter_workers.stages.composite.models.base import CutOut, Srgba8

# Chosen by looking, in OKLab: at strength 1, and what `auto` takes of it.
AUTO: Final = 0.5
# How much of the background's own colour a grey thing before it shows, and of the photo's tint
# that is taken back.
BOUNCED: Final = 0.4
CORRECTED: Final = 0.6
MOST_TINT: Final = 0.045
EXPOSED: Final = 0.25
LEAST_LIGHTNESS, MOST_LIGHTNESS = -0.08, 0.04
CONTRASTED: Final = 0.3
# Designs are flatter than people ever are: who follows that far turns grey.
LEAST_CONTRAST, MOST_CONTRAST = -0.06, 0.12
# A photo that is rightly exposed lies around here; a dark coat alone makes it no darker.
ORDINARY_LIGHTNESS: Final = (0.5, 0.7)
# What has less chroma and is neither black nor burnt out is grey, and shows the light's tint;
# of so few pixels of a photo nothing is learnt.
GREY_CHROMA: Final = 0.035
GREY_LIGHTNESS: Final = (0.3, 0.95)
LEAST_GREY: Final = 0.02
# Skin may turn by so much of its chroma to the side, at strength 1: 7 degrees of hue; and grow
# paler and ruddier by so much.
SKIN_TURNS: Final = 0.12
SKIN_PALES, SKIN_GLOWS = -0.08, 0.2
# Where no face is known: the mean of skins' OKLab a and b, hue 52 degrees.
SKIN_AB: Final = (0.043, 0.055)
_RGB: Final = 3


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to the people's colours, in OKLab.

    tint: what a middle grey becomes, a and b; lightness: how much it gains; contrast: the
    factor by which levels differ from `pivot`.
    """

    tint: tuple[float, float]
    lightness: float
    contrast: float
    pivot: float


def toward(
    cut: CutOut, ground: Srgb8 | Srgba8, *, strength: float, faces: Sequence[Face]
) -> CutOut:
    """Return a cut-out in the ground's light.

    faces: in pixels of the cut-out.
    """
    change = found(cut, ground, strength=strength, faces=faces)
    if change is None:
        return cut
    curves = curve(change)
    return replace(
        cut,
        curves=np.rint(curves).astype(np.uint8),
        people_srgb=_put_through(curves, cut.people_srgb),
        backdrop_srgb=_put_through(curves, cut.backdrop_srgb),
    )


def found(
    cut: CutOut, ground: Srgb8 | Srgba8, *, strength: float, faces: Sequence[Face]
) -> Change | None:
    """Return what brings the people into the ground's light; None where there is no ground."""
    there = _lab(maps.glance(ground))
    if not len(there):
        return None
    photo = _lab(maps.glance(cut.photo_srgb))
    somebody = maps.glance(cut.matte[..., None])[..., 0].reshape(-1) > 127  # noqa: PLR2004 - half
    people = photo[somebody]
    if not len(people):
        return None
    tint = BOUNCED * there[:, 1:].mean(axis=0) - CORRECTED * _tint(photo)
    tint = _for_skin(_no_longer(tint, MOST_TINT), _skin(cut, faces))
    pivot = float(np.clip(people[:, 0].mean(), *ORDINARY_LIGHTNESS))
    lightness = EXPOSED * (float(there[:, 0].mean()) - pivot)
    spread = float(there[:, 0].std()) / max(float(people[:, 0].std()), 1e-3)
    contrast = CONTRASTED * (min(spread, 2.0) - 1)
    return Change(
        tint=(strength * float(tint[0]), strength * float(tint[1])),
        lightness=strength * float(np.clip(lightness, LEAST_LIGHTNESS, MOST_LIGHTNESS)),
        contrast=1 + strength * float(np.clip(contrast, LEAST_CONTRAST, MOST_CONTRAST)),
        pivot=pivot,
    )


def curve(change: Change) -> NDArray[np.float32]:
    """Return the curves, (256, 3) float32, from level to level 0..255 of red, green and blue."""
    light = colours.linear(np.arange(256, dtype=np.float32))
    lightness = np.cbrt(light)  # OKLab's of a grey
    # Nothing happens to black and white themselves, so that nothing is clipped.
    room = 4 * lightness * (1 - lightness)
    moved = lightness + room * (
        change.lightness + (change.contrast - 1) * (lightness - change.pivot)
    )
    # In shares of light, as another light would have it; at the same luminance.
    grey = np.array([[0.7, 0, 0], [0.7, *change.tint]], np.float32)
    plain, tinted = colours.from_oklab(grey)
    levels = colours.coded((moved**3)[:, None] * (tinted / plain))
    return np.maximum.accumulate(levels, axis=0)


def _lab(pixels: NDArray[np.uint8]) -> Floats:
    """Return the OKLab of what is there of some pixels, (N, 3)."""
    flat = pixels.reshape(-1, pixels.shape[2])
    if flat.shape[1] > _RGB:
        flat = flat[flat[:, _RGB] > 127]  # noqa: PLR2004 - half
    light = colours.linear(np.arange(256, dtype=np.float32))
    return colours.oklab(light[flat[:, :_RGB]])


def _tint(photo: Floats) -> Floats:
    """Return what greys of a photo tell of its light, OKLab a and b; nought where there are few."""
    chroma = np.hypot(photo[:, 1], photo[:, 2])
    low, high = GREY_LIGHTNESS
    grey = photo[(chroma < GREY_CHROMA) & (photo[:, 0] > low) & (photo[:, 0] < high)]
    if len(grey) < LEAST_GREY * len(photo):
        return np.zeros(2, np.float32)
    return np.asarray(grey[:, 1:].mean(axis=0), np.float32)


def _skin(cut: CutOut, faces: Sequence[Face]) -> Floats:
    """Return OKLab a and b of the middle of faces; of skins in general where none is known."""
    height, width = cut.matte.shape
    seen = []
    for face in faces:
        x, y, across, down = face.box
        rows = slice(max(0, int(y + 0.3 * down)), max(0, min(height, int(y + 0.8 * down))))
        columns = slice(max(0, int(x + 0.25 * across)), max(0, min(width, int(x + 0.75 * across))))
        part = cut.photo_srgb[rows, columns]
        if part.size:
            seen.append(_lab(maps.glance(part))[:, 1:].mean(axis=0))
    return np.asarray(np.mean(seen, axis=0) if seen else SKIN_AB, np.float32)


def _for_skin(tint: Floats, skin: Floats) -> Floats:
    """Return as much of a tint as skin bears: it turns little, and does not grow pale."""
    chroma = float(np.hypot(*skin))
    along = skin / max(chroma, 1e-3)
    aside = np.array([-along[1], along[0]], np.float32)
    turn = float(np.clip(tint @ aside, -SKIN_TURNS * chroma, SKIN_TURNS * chroma))
    more = float(np.clip(tint @ along, SKIN_PALES * chroma, SKIN_GLOWS * chroma))
    return np.asarray(more * along + turn * aside, np.float32)


def _no_longer(vector: Floats, most: float) -> Floats:
    return np.asarray(vector * min(1.0, most / max(float(np.hypot(*vector)), 1e-6)), np.float32)


def _put_through(curves: NDArray[np.float32], srgb: Floats) -> Floats:
    """Return (h, w, 3) float32 levels put through curves, whole levels only."""
    return np.asarray(cv2.LUT(cv2.convertScaleAbs(srgb), curves[None]), np.float32)
