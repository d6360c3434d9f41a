"""Compare the skin's color in parts of a face: a shadow, a tint, or something before the mouth."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from smart_filter_shared.results import Face
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Floats, Srgb8

# Side of a part, and how far above the eyes the brow is, in distances of the eyes.
_PART: Final = 0.25
_LIPS: Final = (0.6, 0.2)  # width and height, in the mouth's width and distances of the eyes
# Hues of skin and lips in CIELAB, in degrees; and the chroma from which a color has a hue. All of
# 60 portraits of benchmarks.documents but one are within, in the light that they were taken in.
_HUES: Final = (-20.0, 95.0)
_LEAST_CHROMA: Final = 8.0
# Lips with less of the cheeks' chroma are something black, white or gray.
_LIPS_CHROMA: Final = 1 / 3
# The brow's lightness, of the cheeks', in even light.
_BROW: Final = (0.65, 1.6)


@dataclass(frozen=True, slots=True)
class Skin:
    """What the skin's colors say.

    is_tinted: the cheeks have no skin's color.  hides_mouth: the place of the lips has none.
    is_uneven: the brow is much darker or lighter than the cheeks.
    """

    is_tinted: bool
    hides_mouth: bool
    is_uneven: bool


def measure_skin(photo_srgb: Srgb8, face: Face) -> Skin:
    """Return what a face's colors say.  photo_srgb: (H, W, 3) uint8; face: in its pixels."""
    right_eye, left_eye, _, right, left = np.asarray(face.landmarks, np.float32)
    eyes, mouth = (right_eye + left_eye) / 2, (right + left) / 2
    apart = float(np.hypot(*(left_eye - right_eye)))
    up = (eyes - mouth) / max(1.0, float(np.hypot(*(eyes - mouth))))
    side = (_PART * apart, _PART * apart)
    brow = _mean_lab(photo_srgb, eyes + _PART * apart * up, side)
    cheeks = np.mean(
        [
            _mean_lab(photo_srgb, (eye + corner) / 2, side)
            for eye, corner in ((right_eye, right), (left_eye, left))
        ],
        axis=0,
    )
    width = float(np.hypot(*(left - right)))
    lips = _mean_lab(photo_srgb, mouth, (_LIPS[0] * width, _LIPS[1] * apart))
    chroma, of_lips = (float(np.hypot(*part[1:])) for part in (cheeks, lips))
    lightness = float(brow[0] / max(1.0, cheeks[0]))
    return Skin(
        is_tinted=not _is_skin(cheeks),
        hides_mouth=not _is_skin(lips)
        or (chroma >= _LEAST_CHROMA and of_lips < _LIPS_CHROMA * chroma),
        is_uneven=not _BROW[0] <= lightness <= _BROW[1],
    )


def _is_skin(lab: Floats) -> bool:
    hue = float(np.degrees(np.arctan2(lab[2], lab[1])))
    return float(np.hypot(*lab[1:])) < _LEAST_CHROMA or _HUES[0] <= hue <= _HUES[1]


def _mean_lab(photo_srgb: Srgb8, center: Floats, size: tuple[float, float]) -> Floats:
    """Return the mean of a part in CIELAB, (3,) float32: lightness 0..100, a and b."""
    x, y = (float(each) for each in center)
    across, down = (max(1.0, each / 2) for each in size)
    left, top = (max(0, int(each)) for each in (x - across, y - down))
    part = photo_srgb[top : max(top, int(y + down)) + 1, left : max(left, int(x + across)) + 1]
    if not part.size:
        return np.zeros(3, np.float32)
    lab = cv2.cvtColor(part.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return np.asarray(lab.reshape(-1, 3).mean(axis=0), np.float32)
