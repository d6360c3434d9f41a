"""The background's light on the people's edge, as it creeps around them before a camera.

A lens spreads a little of all light, and what is seen at a grazing angle mirrors what is
behind it. Both mix light, not levels: it is done in linear light (a bright sky does reach
dark hair), with the square for sRGB's curve, 3 levels off at most.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from smart_filter_workers.results import Matte8, Srgb8
from smart_filter_workers.stages.composite.look import maps
from smart_filter_workers.stages.composite.matting.blocks import Floats
from smart_filter_workers.stages.composite.models.base import Srgba8

# Chosen by looking. Of the picture's longer side: how far the light reaches, and how large a
# part of the background shines together.
REACH: Final = 0.005
SPREAD: Final = 0.04
AUTO: Final = 0.15
# At the very edge, of what is seen there, at strength 1.
MOST: Final = 0.6
_SEEN_FROM: Final = 0.05
_RGB: Final = 3
_SQUARES: Final = np.arange(256, dtype=np.float32) ** 2


@dataclass(frozen=True, slots=True)
class Around:
    """The light of a ground, softly, in small maps of the same size.

    squares: (h, w, 3) float32, levels 0..255 squared.  there: (h, w) float32, 0..1, how much of
    the ground there is.
    """

    squares: Floats
    there: Floats


def light(ground: Srgb8 | Srgba8) -> Around:
    """Return the light of a ground; of what is not there, none comes."""
    small = maps.glance(ground)
    squares = _SQUARES[small[..., :_RGB]]
    sigma_px = SPREAD * max(small.shape[:2])
    if small.shape[2] == _RGB:
        soft = maps.blurred(squares, sigma_px=sigma_px)
        return Around(soft, np.ones(soft.shape[:2], np.float32))
    alpha = small[..., _RGB].astype(np.float32) / np.float32(255)
    there = maps.blurred(alpha, sigma_px=sigma_px)
    soft = maps.blurred(squares * alpha[..., np.newaxis], sigma_px=sigma_px)
    soft /= np.maximum(there, np.float32(1e-3))[..., np.newaxis]
    return Around(soft, there)


def wrap(
    picture: Srgb8 | Srgba8, matte: Matte8, people: Floats, around: Around, *, strength: float
) -> None:
    """Let the light from around fall on the people's edge, in place.

    picture: (H, W, 3 or 4), the people laid on; matte: (H, W) uint8; people: the same, as a map
    of the picture's grid.  around: what `light` made of the ground.
    """
    grid = maps.grid(*matte.shape)
    near = 1 - maps.blurred(people, sigma_px=REACH * max(people.shape))
    shine = grid.fitted(around.there)[1:-1, 1:-1] * near
    active = (shine > _SEEN_FROM) & (people > 0)
    share = grid.fitted(shine * np.float32(2 * MOST * strength / 255))
    squares = grid.fitted(around.squares)
    for block in grid.blocks(active):
        part = picture[block]
        weight = grid.part(share, block) * matte[block]
        mixed = cv2.LUT(part[..., :_RGB], _SQUARES)
        lit = cv2.subtract(grid.part(squares, block), mixed)
        cv2.multiply(lit, cv2.cvtColor(weight, cv2.COLOR_GRAY2RGB), lit)
        cv2.add(mixed, lit, mixed)
        part[..., :_RGB] = cv2.convertScaleAbs(cv2.sqrt(mixed, mixed))
