"""Scenes as other cameras and lights would have shown them, upright still."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.networks.scenes import SIZE_PX

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Draw = np.random.Generator

LEAST_SHARE: Final = 0.75
GAMMA: Final = 0.25
COLOUR, BRIGHTNESS = (0.8, 1.2), (-25.0, 25.0)
GREY_SHARE: Final = 0.15
BLURRED_SHARE, BLUR_PX = 0.2, (0.4, 1.2)


def augment(rng: Draw, scenes: Bytes) -> tuple[Floats]:
    """Return the scenes otherwise cut and lit: (N, SIZE_PX, SIZE_PX, 3) float32 of 0..255.

    scenes: (N, H, H, 3) uint8 sRGB.  Half of them mirrored.
    """
    return (np.stack([_other(rng, scene) for scene in scenes]),)


def as_they_are(scenes: Bytes) -> Floats:
    """Return scenes as the network takes them: (N, SIZE_PX, SIZE_PX, 3) float32 of 0..255."""
    return np.stack([_resized(scene) for scene in scenes]).astype(np.float32)


def _other(rng: Draw, scene: Bytes) -> Floats:
    side = len(scene)
    width, height = (int(side * rng.uniform(LEAST_SHARE, 1)) for _ in range(2))
    left, top = int(rng.integers(0, side - width + 1)), int(rng.integers(0, side - height + 1))
    seen = _resized(scene[top : top + height, left : left + width])
    if rng.random() < 1 / 2:
        seen = np.ascontiguousarray(seen[:, ::-1])
    if rng.random() < GREY_SHARE:
        seen = np.repeat(cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY)[..., np.newaxis], 3, axis=2)
    if rng.random() < BLURRED_SHARE:
        seen = np.asarray(cv2.GaussianBlur(seen, (0, 0), rng.uniform(*BLUR_PX)), dtype=np.uint8)
    table = 255 * (np.arange(256) / 255) ** np.exp(rng.normal(0, GAMMA))
    lit = table[seen] * rng.uniform(*COLOUR, 3) + rng.uniform(*BRIGHTNESS)
    return np.asarray(np.clip(lit, 0, 255), dtype=np.float32)


def _resized(scene: Bytes) -> Bytes:
    how = cv2.INTER_AREA if min(scene.shape[:2]) >= SIZE_PX else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(scene, (SIZE_PX, SIZE_PX), interpolation=how), dtype=np.uint8)
