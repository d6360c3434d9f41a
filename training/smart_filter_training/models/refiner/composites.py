"""Put people in front of other backgrounds, among them walls of the people's own colors."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from smart_filter_shared.presets import PRESETS
from smart_filter_workers.backgrounds import library
from smart_filter_workers.opencv import cv2
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import Floats, Matte8, Srgb8

Rng = np.random.Generator

# The shares of walls and of the product's designs; the others are backgrounds of photos.
WALL_SHARE, DESIGN_SHARE = 0.35, 0.2
# A wall has the mean color of a square of people of this side, as a share of the longer side, with
# light that changes by some levels, large spots and noise.
PATCH_SIDE: Final = 0.08
WALL_LIGHT, SPOT_LEVELS, SPOTS, NOISE_LEVELS = 25.0, 12.0, (2, 12), (1.0, 8.0)
# The part of a photo's background that is shown, as a share of its sides.
SHOWN: Final = (0.4, 1.0)
# People's colors near their outline are means of pixels that show nothing else, over this blur.
WHOLE_FROM, COLOR_BLUR_PX = 242, 4.0
_LEAST_WEIGHT: Final = 1e-3
_MIN_PEOPLE_PX: Final = 50


def draw_background(rng: Rng, srgb: Srgb8, target: Matte8, backgrounds: Sequence[Srgb8]) -> Srgb8:
    """Return a background for the people of a photo: (H, W, 3) uint8, of the photo's size.

    srgb: (H, W, 3) uint8; target: (H, W) uint8, its people.  backgrounds: of other photos, may be
    none.
    """
    height, width = target.shape
    kind = rng.random()
    if kind < WALL_SHARE and np.count_nonzero(target >= WHOLE_FROM) >= _MIN_PEOPLE_PX:
        return draw_wall(rng, srgb, target)
    if kind < WALL_SHARE + DESIGN_SHARE or not backgrounds:
        name = PRESETS[int(rng.integers(len(PRESETS)))].name
        seed = int(rng.integers(1000))
        return library.draw_uncached(name, seed=seed, width=width, height=height)
    background = backgrounds[int(rng.integers(len(backgrounds)))]
    shown = rng.uniform(*SHOWN)
    spans = []
    for length in background.shape[:2]:
        size = max(1, int(length * shown))
        start = int(rng.integers(length - size + 1))
        spans.append(slice(start, start + size))
    part = np.ascontiguousarray(background[spans[0], spans[1]][:, :: rng.choice((-1, 1))])
    return resize(part, width=width, height=height)


def draw_wall(rng: Rng, srgb: Srgb8, target: Matte8) -> Srgb8:
    """Return an uneven wall of the color of some part of the people, such as hair or a shirt."""
    height, width = target.shape
    rows, columns = np.nonzero(target >= WHOLE_FROM)
    at = int(rng.integers(len(rows)))
    reach_px = max(2, int(PATCH_SIDE * max(height, width) / 2))
    patch = np.s_[
        max(0, rows[at] - reach_px) : rows[at] + reach_px,
        max(0, columns[at] - reach_px) : columns[at] + reach_px,
    ]
    color = srgb[patch][target[patch] >= WHOLE_FROM].mean(axis=0)
    across, down = rng.uniform(-WALL_LIGHT, WALL_LIGHT, 2)
    light = np.add.outer(np.linspace(-1, 1, height) * down, np.linspace(-1, 1, width) * across)
    spots = rng.normal(0, SPOT_LEVELS, (int(rng.integers(*SPOTS)),) * 2).astype(np.float32)
    light = light + cv2.resize(spots, (width, height), interpolation=cv2.INTER_CUBIC)
    noise = rng.normal(0, rng.uniform(*NOISE_LEVELS), srgb.shape)
    wall = np.clip(color + light[..., np.newaxis] + noise, 0, 255)
    return np.asarray(wall, np.uint8)


def compose(srgb: Srgb8, target: Matte8, background: Srgb8) -> Srgb8:
    """Return the people of a photo in front of a background; all are of one size."""
    alpha = (target / np.float32(255))[..., np.newaxis]
    joined = estimate_colors(srgb, target) * alpha + background * (1 - alpha)
    return np.rint(joined).astype(np.uint8)


def estimate_colors(srgb: Srgb8, target: Matte8) -> Floats:
    """Return the people's own colors, (H, W, 3) float32: at outlines without the background."""
    whole = (target >= WHOLE_FROM).astype(np.float32)
    weight = cv2.GaussianBlur(whole, (0, 0), COLOR_BLUR_PX)[..., np.newaxis]
    colors = cv2.GaussianBlur(srgb * whole[..., np.newaxis], (0, 0), COLOR_BLUR_PX)
    near = (target > 0) & (target < WHOLE_FROM)
    replaced = near[..., np.newaxis] & (weight > _LEAST_WEIGHT)
    return np.where(replaced, colors / np.maximum(weight, _LEAST_WEIGHT), srgb).astype(np.float32)
