"""Draw folders of people and their masks: heads and shoulders in front of stripes."""

from pathlib import Path

import cv2
import numpy as np

from smart_filter_workers.results import Matte8, Srgb8

WIDTH, HEIGHT = 72, 96


def folder(where: Path, count: int, *, seed: int = 0) -> Path:
    """Write `images` and `masks` of `count` drawn people below a folder; return it."""
    drawing = np.random.default_rng(seed)
    for name in ("images", "masks"):
        (where / name).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        photo, mask = draw_person(drawing)
        cv2.imwrite(str(where / "images" / f"drawn_{number:03}.png"), photo[..., ::-1])
        cv2.imwrite(str(where / "masks" / f"drawn_{number:03}.png"), mask)
    return where


def draw_person(drawing: np.random.Generator) -> tuple[Srgb8, Matte8]:
    """Draw a person: (HEIGHT, WIDTH, 3) uint8 sRGB, and the (HEIGHT, WIDTH) uint8 mask."""
    photo, mask = _stripes(drawing), np.zeros((HEIGHT, WIDTH), np.uint8)
    middle, head = int(drawing.integers(24, 48)), int(drawing.integers(10, 16))
    top = int(drawing.integers(24, 40))
    skin = tuple(int(level) for level in (230, 180, 150) - drawing.integers(0, 30, 3))
    for canvas, color in ((photo, skin), (mask, 255)):
        cv2.ellipse(canvas, (middle, HEIGHT), (2 * head, HEIGHT - top - head), 0, 0, 360, color, -1)
        cv2.ellipse(canvas, (middle, top), (head, int(1.2 * head)), 0, 0, 360, color, -1)
    noise = drawing.normal(0, 6, photo.shape)
    return np.clip(photo + noise, 0, 255).astype(np.uint8), mask


def _stripes(drawing: np.random.Generator) -> Srgb8:
    """Draw a background: two cold colors, striped at some angle."""
    rows, columns = np.indices((HEIGHT, WIDTH))
    across, down = drawing.uniform(-0.5, 0.5, 2)
    share = (np.sin(across * columns + down * rows + drawing.uniform(0, 6)) + 1)[
        ..., np.newaxis
    ] / 2
    first, second = drawing.integers(0, 120, (2, 3)) + np.array([0, 0, 100])
    return (first * share + second * (1 - share)).astype(np.uint8)
