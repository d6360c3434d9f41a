"""Crops of faces as other cameras, detectors and hands would have made them."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

# A detector's square is off by so much: pixels of 48, a factor, degrees.
SHIFT_PX: Final = 3.0
SCALE: Final = 0.14
TURN_DEGREES: Final = 14.0
SHEAR: Final = 0.08
# Light: a power and a factor, each as far from 1, and levels up or down.
GAMMA: Final = 0.4
CONTRAST: Final = 0.3
BRIGHTNESS: Final = 25.0
# Small faces are enlarged, compressed ones are blocky, and hands and hair cover some.
SMALL_SHARE, SMALL_PX = 0.15, (18, 40)
JPEG_SHARE, JPEG_QUALITY = 0.15, (15, 70)
COVERED_SHARE, COVERED_PX = 0.25, (6, 18)


def augment(rng: np.random.Generator, crops: Bytes) -> tuple[Floats]:
    """Return the crops otherwise cut, lit and seen: (N, 48, 48, 1) float32 of 0..255.

    crops: (N, 48, 48) uint8 grey.
    """
    return (np.stack([_other(rng, crop) for crop in crops])[..., np.newaxis],)


def as_they_are(crops: Bytes) -> Floats:
    """Return crops as the network takes them: (N, 48, 48, 1) float32 of 0..255."""
    return crops[..., np.newaxis].astype(np.float32)


def _other(rng: np.random.Generator, crop: Bytes) -> Floats:
    seen = _moved(rng, crop)
    if rng.random() < SMALL_SHARE:
        seen = _small(rng, seen)
    if rng.random() < JPEG_SHARE:
        seen = _compressed(rng, seen)
    lit = _lit(rng, seen)
    if rng.random() < COVERED_SHARE:
        _cover(rng, lit)
    return lit


def _moved(rng: np.random.Generator, crop: Bytes) -> Bytes:
    side = crop.shape[0]
    scale = np.exp(rng.uniform(-SCALE, SCALE))
    turn = np.radians(rng.uniform(-TURN_DEGREES, TURN_DEGREES))
    mirror = -1.0 if rng.random() < 1 / 2 else 1.0
    along = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) * scale
    sheared = along @ np.array([[mirror, rng.uniform(-SHEAR, SHEAR)], [0.0, 1.0]])
    centre = np.array([side / 2 - 0.5, side / 2 - 0.5])
    shift = rng.uniform(-SHIFT_PX, SHIFT_PX, 2)
    matrix = np.column_stack([sheared, centre + shift - sheared @ centre])
    moved = cv2.warpAffine(
        crop, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(moved, dtype=np.uint8)


def _small(rng: np.random.Generator, crop: Bytes) -> Bytes:
    side = int(rng.integers(*SMALL_PX))
    small = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, crop.shape, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _compressed(rng: np.random.Generator, crop: Bytes) -> Bytes:
    quality = int(rng.integers(*JPEG_QUALITY))
    _, content = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_GRAYSCALE), dtype=np.uint8)


def _lit(rng: np.random.Generator, crop: Bytes) -> Floats:
    gamma = np.exp(rng.uniform(-GAMMA, GAMMA))
    contrast = np.exp(rng.uniform(-CONTRAST, CONTRAST))
    brightness = rng.uniform(-BRIGHTNESS, BRIGHTNESS)
    levels = 255 * (np.arange(256) / 255) ** gamma
    table = np.clip((levels - 128) * contrast + 128 + brightness, 0, 255).astype(np.float32)
    return np.asarray(table[crop], dtype=np.float32)


def _cover(rng: np.random.Generator, crop: Floats) -> None:
    height, width = rng.integers(*COVERED_PX, 2)
    top, left = rng.integers(0, crop.shape[0] - height), rng.integers(0, crop.shape[1] - width)
    crop[top : top + height, left : left + width] = rng.uniform(0, 255)
