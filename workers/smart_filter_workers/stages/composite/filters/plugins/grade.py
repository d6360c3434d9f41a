"""Color grading of the whole picture, people and background alike, in a look for the mood."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from smart_filter_shared.catalog.parameters import Parameters, float_of, str_of
from smart_filter_shared.presets import Mood
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Bytes, Floats, Srgb8, Srgba8
from smart_filter_workers.srgb import LUMA_WEIGHTS
from smart_filter_workers.stages.composite.filters.drawing import FilterVerdict, Scene

_RGBA: Final = 4
# Rows processed at a time: intermediate results stay in the processor's cache.
_ROWS: Final = 64


@dataclass(frozen=True, slots=True)
class _Look:
    """How levels change; color shifts of red, green and blue are in levels of 255.

    contrast: 0 unchanged, 1 a strong S-curve, below 0 flatter.  lift: level of black.  bend: change
    of middle tones, in levels; positive is brighter.  saturation: 1 unchanged. shadows, lights:
    shifts of dark and of light tones.
    """

    title: str
    contrast: float = 0.0
    lift: float = 0.0
    bend: float = 0.0
    saturation: float = 1.0
    shadows: tuple[float, float, float] = (0, 0, 0)
    lights: tuple[float, float, float] = (0, 0, 0)


_LOOKS: Final[Mapping[str, _Look]] = {
    "sunny": _Look("warm and bright", 0.14, 2, 8, 1.11, (3, 0, -6), (10, 4, -11)),
    "airy": _Look("light and quiet", -0.1, 8, 10, 0.92, (-3, 2, 5), (0, 3, 3)),
    "blush": _Look("soft and rosy", -0.08, 10, 6, 0.96, (10, 0, 5), (6, -1, -2)),
    "pop": _Look("vivid", 0.27, 0, 4, 1.24, (-3, -2, 6), (3, 2, -3)),
    "editorial": _Look(
        "restrained, cool in the shadows", 0.24, 3, -2, 0.84, (-8, 0, 8), (6, 2, -5)
    ),
    "dusk": _Look("faded and blue", 0.0, 11, -3, 0.82, (-5, 0, 13), (-2, 0, 5)),
    "steel": _Look("hard and cold", 0.36, 0, -5, 0.64, (-6, 0, 5), (-3, 2, 3)),
    "mono": _Look("black and white", 0.24, 3, 3, 0.0, (2, 1, 0), (3, 2, -1)),
}
_GRADE_BY_MOOD: Final[Mapping[Mood, str]] = {
    Mood.JOYFUL: "sunny",
    Mood.CALM: "airy",
    Mood.TENDER: "blush",
    Mood.SURPRISED: "pop",
    Mood.SERIOUS: "editorial",
    Mood.SAD: "dusk",
    Mood.TENSE: "steel",
}


def draw(picture: Srgb8 | Srgba8, scene: Scene, parameters: Parameters) -> FilterVerdict:
    """Grade a picture in the requested look, or in the one that suits the mood."""
    name, why = str_of(parameters, "look"), ""
    if name == "auto":
        if scene.mood is None:
            return FilterVerdict(applied=False, reason="the mood was not read")
        name = _GRADE_BY_MOOD[scene.mood]
        why = f", for a {scene.mood} mood"
    strength = float_of(parameters, "strength")
    look = _LOOKS[name]
    saturation = _saturation_matrix(1 + strength * (look.saturation - 1))
    curves = _curves(look, strength)
    if picture.shape[2] == _RGBA:  # alpha stays
        saturation = np.pad(saturation, ((0, 1), (0, 1)))
        saturation[3, 3] = 1
        curves = np.dstack([curves, np.arange(256, dtype=np.uint8)[:, None]])
    for row in range(0, picture.shape[0], _ROWS):
        _apply_grade(picture[row : row + _ROWS], saturation, curves)
    return FilterVerdict(applied=True, reason=f"{name}: {look.title}{why}")


def _apply_grade(part: Srgb8 | Srgba8, saturation: Floats, curves: Bytes) -> None:
    """Grade some rows in place; fully transparent pixels stay 0."""
    cv2.LUT(cv2.transform(part, saturation), curves, dst=part)
    if part.shape[2] == _RGBA:
        cv2.copyTo(np.zeros_like(part), cv2.inRange(part[..., 3], 0, 0), part)


def _saturation_matrix(share: float) -> Floats:
    """Return the matrix that moves colors away from their gray, or toward it."""
    gray = np.tile(np.array(LUMA_WEIGHTS, np.float32), (3, 1))
    return np.asarray(share * np.eye(3) + (1 - share) * gray, np.float32)


def _curves(look: _Look, strength: float) -> Bytes:
    """Return the new level for each level of red, green and blue, (256, 1, 3)."""
    level = np.linspace(0, 1, 256)
    # Move toward a smooth step, which is steepest in the middle, or away from it.
    toned = level + look.contrast * (level * level * (3 - 2 * level) - level)
    toned += look.bend / 255 * 4 * level * (1 - level)
    toned = look.lift / 255 * (1 - toned) + toned
    # Full strength a third of the way from black and from white, and 0 at the ends: black and white
    # stay, except for the lift.
    shadows = 6.75 * level * (1 - level) ** 2
    lights = 6.75 * level**2 * (1 - level)
    tinted = [
        toned + (dark * shadows + light * lights) / 255
        for dark, light in zip(look.shadows, look.lights, strict=True)
    ]
    graded = level[:, None] + strength * (np.stack(tinted, axis=1) - level[:, None])
    return np.clip(255 * graded + 0.5, 0, 255).astype(np.uint8)[:, None]
