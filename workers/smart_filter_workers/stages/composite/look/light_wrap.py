"""Light wrap: the background's light on the people's edge, as a camera shows it.

A lens spreads a little of all light, and a surface seen at a grazing angle reflects the light
behind it. Both mix light, not levels, so the computation is in linear light, where a bright sky
does reach dark hair. The square stands in for sRGB's curve: 3 levels off at most.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Floats, Matte8, Srgb8, Srgba8
from smart_filter_workers.stages.composite.look import coarse_grid

# Chosen by looking. Shares of the picture's longer side: the reach of the light, and the size of
# the area of the background whose light is averaged.
REACH_SHARE: Final = 0.005
SPREAD_SHARE: Final = 0.04
AUTO_STRENGTH: Final = 0.15
# Share of the wrapped light at the very edge, at strength 1. People around a straight edge cover
# half of the reach; thin parts, which cover less, get no more light than that.
MAX_SHARE: Final = 0.6
EDGE_SHINE: Final = 0.5
_SEEN_FROM: Final = 0.05
_RGB: Final = 3
_SQUARES: Final = np.arange(256, dtype=np.float32) ** 2


@dataclass(frozen=True, slots=True)
class SurroundingLight:
    """The blurred light of a ground, in small maps of the same size.

    squares: (h, w, 3) float32, levels 0..255 squared.  there: (h, w) float32, 0..1, the opacity of
    the ground.
    """

    squares: Floats
    there: Floats


def measure_light(ground: Srgb8 | Srgba8) -> SurroundingLight:
    """Return the light of a ground; transparent parts give none."""
    small = coarse_grid.sample_picture(ground)
    squares = _SQUARES[small[..., :_RGB]]
    sigma_px = SPREAD_SHARE * max(small.shape[:2])
    if small.shape[2] == _RGB:
        soft = coarse_grid.blur_map(squares, sigma_px=sigma_px)
        return SurroundingLight(soft, np.ones(soft.shape[:2], np.float32))
    alpha = small[..., _RGB].astype(np.float32) / np.float32(255)
    there = coarse_grid.blur_map(alpha, sigma_px=sigma_px)
    soft = coarse_grid.blur_map(squares * alpha[..., np.newaxis], sigma_px=sigma_px)
    soft /= np.maximum(there, np.float32(1e-3))[..., np.newaxis]
    return SurroundingLight(soft, there)


def wrap_light(
    picture: Srgb8 | Srgba8,
    matte: Matte8,
    people: Floats,
    around: SurroundingLight,
    *,
    strength: float,
) -> None:
    """Add the surrounding light to the people's edge, in place.

    picture: (H, W, 3 or 4), the people already composited; matte: (H, W) uint8; people: the same as
    a map of the picture's grid.  around: the result of `measure_light` for the ground.
    """
    grid = coarse_grid.make_grid(*matte.shape)
    near = 1 - coarse_grid.blur_map(people, sigma_px=REACH_SHARE * max(people.shape))
    shine = grid.fit_map(around.there)[1:-1, 1:-1] * near
    active = (shine > _SEEN_FROM) & (people > 0)
    per_shine = np.float32(MAX_SHARE * strength / EDGE_SHINE / 255)
    share = grid.fit_map(np.minimum(shine, np.float32(EDGE_SHINE)) * per_shine)
    squares = grid.fit_map(around.squares)
    for block in grid.blocks(active):
        part = picture[block]
        weight = grid.enlarge_block(share, block) * matte[block]
        colors = part[..., :_RGB]
        mixed = cv2.multiply(colors, colors, dtype=cv2.CV_32F)
        lit = cv2.subtract(grid.enlarge_block(squares, block), mixed)
        cv2.multiply(lit, cv2.cvtColor(weight, cv2.COLOR_GRAY2RGB), lit)
        cv2.add(mixed, lit, mixed)
        part[..., :_RGB] = cv2.convertScaleAbs(cv2.sqrt(mixed, mixed))
