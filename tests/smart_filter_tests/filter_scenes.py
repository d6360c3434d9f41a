"""Scenes for filters: faces anywhere on a canvas, smiling or not, turned by any angle."""

import math
from collections.abc import Sequence

import numpy as np

from smart_filter_shared.catalog.scalars import Scalar
from smart_filter_shared.presets import Mood
from smart_filter_shared.rating import SmileLevel
from smart_filter_shared.recipe import Filter
from smart_filter_shared.results import Face, Point, Smile
from smart_filter_wire.findings import Eyes
from smart_filter_workers.results import Bools, Bytes, Matte8
from smart_filter_workers.stages.composite.filters import drawing
from smart_filter_workers.stages.composite.filters.drawing import FilterVerdict

# A face seen from the front: x across, y down from the middle of its eyes, in eye distances.
_FRONT = ((-0.5, 0), (0.5, 0), (0, 0.6), (-0.4, 1.16), (0.4, 1.16))


def a_face(x: float, y: float, unit: float, *, roll: float = 0, turned: float = 0) -> Face:
    """Make a face whose eyes are around x, y and `unit` apart; roll: clockwise, in radians.

    turned: how far the nose is off to the right, in units.
    """
    cos, sin = math.cos(roll), math.sin(roll)

    def at(across: float, down: float) -> Point:
        return (
            x + unit * (cos * across - sin * down),
            y + unit * (sin * across + cos * down),
        )

    right_eye, left_eye, nose, right_mouth, left_mouth = (
        at(across + (turned if down == 0.6 else 0), down) for across, down in _FRONT
    )
    return Face(
        box=(x - 1.1 * unit, y - 0.9 * unit, 2.2 * unit, 2.9 * unit),
        score=0.9,
        landmarks=(right_eye, left_eye, nose, right_mouth, left_mouth),
    )


def a_scene(
    faces: Sequence[Face],
    *,
    width: int = 240,
    height: int = 180,
    smiles: Sequence[SmileLevel] | None = None,
    mood: Mood | None = Mood.JOYFUL,
    people: Matte8 | None = None,
    seed: int = 1,
) -> drawing.Scene:
    """Make a scene in which all faces smile broadly by default."""
    levels = [SmileLevel.HUGE] * len(faces) if smiles is None else list(smiles)
    return drawing.Scene(
        width=width,
        height=height,
        heads=drawing.find_heads(
            faces,
            smiles=[Smile(level, 0.5) for level in levels],
            eyes=[Eyes(left_open=True, right_open=True)] * len(faces),
            people=people,
            width=width,
            height=height,
        ),
        mood=mood,
        people=people,
        seed=seed,
    )


def a_picture(width: int = 240, height: int = 180, *, channels: int = 3) -> Bytes:
    """Make a gradient; with alpha, its left third is transparent and its middle half covered."""
    x, y = np.meshgrid(np.linspace(60, 180, width), np.linspace(0, 60, height))
    picture = np.stack([x, x + y / 2, 200 - y], axis=-1).astype(np.uint8)
    if channels == 3:
        return np.ascontiguousarray(picture)
    alpha = np.full((height, width, 1), 255, np.uint8)
    alpha[:, : 2 * width // 3] = 128
    alpha[:, : width // 3] = 0
    picture[:, : width // 3] = 0
    return np.ascontiguousarray(np.concatenate([picture, alpha], axis=-1))


def draw(picture: Bytes, seen: drawing.Scene, name: str, **params: Scalar) -> FilterVerdict:
    required: dict[str, Scalar] = {"text": "Hello"} if name == "caption" else {}
    asked = Filter(name, {**required, **params})
    return drawing.load_plugin(name).draw(picture, seen, asked.parameters)


def changed_pixels(before: Bytes, after: Bytes) -> Bools:
    """Return a mask of the pixels that differ, (H, W)."""
    return np.asarray((before != after).any(axis=-1))
