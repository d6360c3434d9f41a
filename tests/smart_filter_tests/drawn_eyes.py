"""Draw crops of eyes in open/ and closed/ for tests of eye networks."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE_PX = 32


def crop(rng: np.random.Generator, *, is_open: bool) -> NDArray[np.uint8]:
    skin, dark = int(rng.integers(110, 200)), int(rng.integers(0, 60))
    picture = np.full((SIDE_PX, SIDE_PX), skin, np.uint8)
    x, y = (16 + int(value) for value in rng.integers(-2, 3, 2))
    if is_open:
        cv2.ellipse(picture, (x, y), (10, 6), 0, 0, 360, 245, -1)
        cv2.circle(picture, (x, y), 5, dark, -1)
    else:
        cv2.ellipse(picture, (x, y - 2), (10, 5), 0, 20, 160, dark, 1)
    noise = rng.normal(0, 5, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def folder(place: Path, count: int, *, seed: int = 0) -> Path:
    """Write `count` crops of either kind; two of each person, as their names show."""
    rng = np.random.default_rng(seed)
    for name in ("open", "closed"):
        (place / name).mkdir(parents=True)
        for number in range(count):
            side = "RL"[number % 2]
            path = place / name / f"drawn_{name}-{seed}-{number // 2:04d}_{side}.png"
            cv2.imwrite(str(path), crop(rng, is_open=name == "open"))
    return place
