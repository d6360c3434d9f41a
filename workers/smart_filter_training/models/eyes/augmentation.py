"""Patches of eyes as other faces, cameras and lights would have shown them."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.networks.eye_patches import SIZE_PX
from smart_filter_workers.networks.squares import Square

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Draw = np.random.Generator

# How far what a mesh draws, and whoever cut a data set, is off: deviations in sides of the
# crop, in radians, and of the logarithm of the side.
SHIFT_ACROSS, SHIFT_DOWN, TURN, SCALE = 0.04, 0.05, 0.11, 0.09
# Small faces are enlarged.
SMALL_SHARE, SMALL_PX = 0.25, (12, 32)
BLURRED_SHARE, BLUR_PX = 0.2, (0.4, 1.5)
SHAKEN_SHARE, SHAKE_PX = 0.1, 5
GAMMA_SHARE, GAMMA = 0.5, 0.35
SIDE_LIGHT_SHARE, SIDE_LIGHT = 0.4, 0.8
CONTRAST, BRIGHTNESS = (0.6, 1.3), (-0.15, 0.15)
# Glasses shine; their rims, and hair, are dark.
SHINE_SHARE, SHINE_WIDTH, SHINE = 0.1, (0.03, 0.2), (0.2, 0.8)
RIM_SHARE, RIM_WIDTH, RIM = 0.1, (0.02, 0.06), (0.3, 0.9)
NOISE_SHARE, NOISE = 0.4, (0.005, 0.04)


def augment(rng: Draw, crops: Bytes) -> tuple[Floats]:
    """Return the crops otherwise cut, lit and seen: (N, SIZE_PX, SIZE_PX, 1) float32 in 0..1.

    crops: (N, H, H) uint8 grey.  Half of them mirrored: eyes come from both sides.
    """
    return (np.stack([_other(rng, crop) for crop in crops])[..., np.newaxis],)


def as_they_are(crops: Bytes) -> Floats:
    """Return the whole of crops as the network takes them: (N, SIZE_PX, SIZE_PX, 1) float32."""
    side = crops.shape[1]
    whole = Square(centre=(side / 2, side / 2), side=float(side), angle=0.0)
    return np.stack([whole.cut(crop, SIZE_PX) for crop in crops])[..., np.newaxis]


def _other(rng: Draw, crop: Bytes) -> Floats:
    if rng.random() < SMALL_SHARE:
        side = int(rng.integers(*SMALL_PX))
        crop = np.asarray(cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    if rng.random() < 1 / 2:
        crop = np.ascontiguousarray(crop[:, ::-1])
    patch = _behind(rng, _lit(rng, _blurred(rng, _moved(rng, crop))))
    if rng.random() < NOISE_SHARE:
        patch = patch + rng.normal(0, rng.uniform(*NOISE), patch.shape).astype(np.float32)
    return np.asarray(np.clip(patch, 0, 1), dtype=np.float32)


def _moved(rng: Draw, crop: Bytes) -> Floats:
    side = len(crop)
    moved = Square(
        centre=(
            side * (0.5 + float(rng.normal(0, SHIFT_ACROSS))),
            side * (0.5 + float(rng.normal(0, SHIFT_DOWN))),
        ),
        side=side * float(np.exp(rng.normal(0, SCALE))),
        angle=float(rng.normal(0, TURN)),
    )
    return moved.cut(crop, SIZE_PX)


def _blurred(rng: Draw, patch: Floats) -> Floats:
    """Return the patch out of focus, or as a hand shook, or as it is."""
    if rng.random() < BLURRED_SHARE:
        patch = np.asarray(cv2.GaussianBlur(patch, (0, 0), rng.uniform(*BLUR_PX)), np.float32)
    if rng.random() < SHAKEN_SHARE:
        shape = (1, SHAKE_PX) if rng.random() < 1 / 2 else (SHAKE_PX, 1)
        patch = np.asarray(cv2.blur(patch, shape), np.float32)
    return patch


def _lit(rng: Draw, patch: Floats) -> Floats:
    """Return the patch under another light: its curve, from one side, and as a whole."""
    if rng.random() < GAMMA_SHARE:
        patch = np.asarray(patch ** np.exp(rng.normal(0, GAMMA)), np.float32)
    if rng.random() < SIDE_LIGHT_SHARE:
        patch = patch * (1 + rng.uniform(0, SIDE_LIGHT) * _across(rng.uniform(0, 2 * np.pi)))
    return np.asarray(patch * rng.uniform(*CONTRAST) + rng.uniform(*BRIGHTNESS), np.float32)


def _behind(rng: Draw, patch: Floats) -> Floats:
    """Return the patch behind a glass that shines, or behind a rim or a strand of hair."""
    if rng.random() < SHINE_SHARE:
        patch = patch + (1 - patch) * _line(rng, SHINE_WIDTH) * rng.uniform(*SHINE)
    if rng.random() < RIM_SHARE:
        patch = patch * (1 - _line(rng, RIM_WIDTH) * rng.uniform(*RIM))
    return patch


def _line(rng: Draw, width: tuple[float, float]) -> Floats:
    """Return how much of each pixel a soft line covers: (SIZE_PX, SIZE_PX) float32 in 0..1."""
    away = np.abs(_across(rng.uniform(0, np.pi)) - rng.uniform(-0.4, 0.4))
    return np.asarray(np.clip(1 - (away / rng.uniform(*width)) ** 2, 0, 1), np.float32)


def _across(angle: float) -> Floats:
    """Return how far each pixel lies from the middle along a direction, in sides."""
    rows, columns = _PLACES
    return np.asarray(np.cos(angle) * columns + np.sin(angle) * rows, np.float32)


_PLACES: Final = (np.mgrid[0:SIZE_PX, 0:SIZE_PX].astype(np.float32) + 0.5) / SIZE_PX - 0.5
