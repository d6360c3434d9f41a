"""Draw a face with known blur, light and noise."""

import cv2
import numpy as np

from smart_filter_shared.results import Face
from smart_filter_workers.results import Matte8, Srgb8

WIDTH, HEIGHT = 640, 480


def a_face(*, x: float = 220, y: float = 120, width: float = 160, turn: float = 0.0) -> Face:
    """Make a face; turn: how far its nose is off, as a share of the distance of the eyes."""
    eyes, mouth = y + 0.4 * width, y + 0.9 * width
    left, right, middle = x + 0.3 * width, x + 0.7 * width, x + 0.5 * width
    return Face(
        box=(x, y, width, 1.25 * width),
        score=0.9,
        landmarks=(
            (left, eyes),
            (right, eyes),
            (middle + turn * 0.4 * width, y + 0.65 * width),
            (left, mouth),
            (right, mouth),
        ),
    )


def a_portrait(
    *faces: Face, skin: int = 180, blur_px: float = 0, noise: float = 0
) -> tuple[Srgb8, Matte8]:
    """Make a photo with faces on bodies in front of a gray wall, and the matte of the people."""
    gray = np.full((HEIGHT, WIDTH), 90, np.float32)
    matte = np.zeros((HEIGHT, WIDTH), np.uint8)
    for face in faces:
        x, y, width, height = (round(side) for side in face.box)
        for canvas, level in ((gray, skin), (matte, 255)):
            cv2.rectangle(canvas, (x, y), (x + width, HEIGHT), level, -1)
        for place_x, place_y in face.landmarks:
            half = max(2, width // 12)
            corner = round(place_x) - half, round(place_y) - half // 2
            cv2.rectangle(gray, corner, (corner[0] + 2 * half, corner[1] + half), skin / 4, -1)
        assert height > 0
    if blur_px:
        gray = cv2.GaussianBlur(gray, (0, 0), blur_px).astype(np.float32)
    gray += np.random.default_rng(3).normal(0, noise, gray.shape) if noise else 0
    levels = np.clip(np.round(gray), 0, 255).astype(np.uint8)
    return np.repeat(levels[..., np.newaxis], 3, axis=2), matte
