"""Drawn scenes that stand upright: what networks of orientation are tried on."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH_PX, HEIGHT_PX = 160, 120


def scene(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a scene, (120, 160, 3) uint8: a light sky, dark ground, and trees on it."""
    picture = np.empty((HEIGHT_PX, WIDTH_PX, 3), np.float32)
    horizon = int(rng.integers(45, 75))
    picture[:horizon] = rng.uniform(170, 240, 3)
    picture[horizon:] = rng.uniform(40, 110, 3)
    for _ in range(4):
        x, y = int(rng.integers(0, WIDTH_PX)), int(rng.integers(horizon, HEIGHT_PX - 5))
        trunk, crown = (30.0, 60.0, 90.0), (30.0, float(rng.uniform(90, 150)), 40.0)
        cv2.rectangle(picture, (x - 2, y - 30), (x + 2, y), trunk, -1)
        cv2.circle(picture, (x, y - 32), 11, crown, -1)
    return np.clip(picture + rng.normal(0, 6, picture.shape), 0, 255).astype(np.uint8)


def folder(place: Path, count: int, *, seed: int = 0) -> Path:
    """Write so many scenes."""
    place.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for number in range(count):
        cv2.imwrite(str(place / f"scene{number:04d}.png"), scene(rng))
    return place
