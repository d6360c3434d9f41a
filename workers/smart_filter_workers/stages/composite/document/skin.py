"""Compare the skin's color in parts of a face: a shadow, a tint, or something before the mouth."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from smart_filter_shared.results import Face
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Floats, Srgb8

# Parts of a face: how far aside of its middle in distances of the eyes, and below the eyes in
# distances from eyes to mouth. Two on each cheek, then the brow's sides, and the chin.
_CHEEKS: Final = ((-0.45, 0.45), (0.45, 0.45), (-0.4, 0.75), (0.4, 0.75))
_OTHERS: Final = ((-0.3, -0.35), (0.3, -0.35), (0.0, 1.45))
_PART: Final = 0.3  # their side, in distances of the eyes
# Each half of the lips: its middle aside of the mouth's, and its size, in the mouth's width and
# distances of the eyes; and the range of lightness down it, 7 and more in 57 of 60 portraits.
_HALVES: Final = (-0.2, 0.2)
_HALF: Final = (0.25, 0.3)
_FLAT: Final = 6.0
# The lower lip and the chin: below the mouth; width and height in distances of the eyes. A cover
# has less chroma than this share of the cheeks', or half of it where it is lighter: so have
# two of 59 portraits, whose mouths are open, and 52 or 53 with a mask painted on.
_LOWER: Final = ((0.17, (0.3, 0.12)), (0.45, (0.3, 0.3)))
_PALE: Final = (0.4, 0.5)
# The part that an open eye fills, in distances of the eyes, and the deviation of lightness in it:
# 4.96 and more in open eyes of these portraits; dark glasses are flat.
_EYE: Final = (0.42, 0.22)
_FLAT_EYE: Final = 4.0
# Hues of skin and lips in CIELAB, in degrees; and the chroma from which a color has a hue. All of
# 60 portraits of benchmarks.documents but one are within, in the light that they were taken in.
_HUES: Final = (-20.0, 95.0)
_LEAST_CHROMA: Final = 8.0


@dataclass(frozen=True, slots=True)
class Skin:
    """What the skin's colors say.

    darker: how much darker the second darkest part of the face is than the lightest, as a share of
    its lightness; the darkest may be hair.
    is_tinted: the cheeks have no skin's color.  hides_mouth: half the lips has none, or is flat, or
    something covers the lower lip or the chin.  hides_eyes: one is flat, as behind dark glasses.
    """

    darker: float
    is_tinted: bool
    hides_mouth: bool
    hides_eyes: bool


def measure_skin(photo_srgb: Srgb8, face: Face) -> Skin:
    """Return what a face's colors say.  photo_srgb: (H, W, 3) uint8; face: in its pixels."""
    right_eye, left_eye, _, right, left = np.asarray(face.landmarks, np.float32)
    eyes, mouth = (right_eye + left_eye) / 2, (right + left) / 2
    across, down = left_eye - right_eye, mouth - eyes
    apart = float(np.hypot(*across))
    size = (_PART * apart, _PART * apart)
    parts = [
        _cut_lab(photo_srgb, eyes + aside * across + below * down, size).mean(axis=(0, 1))
        for aside, below in (*_CHEEKS, *_OTHERS)
    ]
    _, dark, *_, light = sorted(float(part[0]) for part in parts)
    cheeks = np.mean(parts[: len(_CHEEKS)], axis=0)
    size = (_HALF[0] * float(np.hypot(*(left - right))), _HALF[1] * apart)
    halves = [_cut_lab(photo_srgb, mouth + side * (left - right), size) for side in _HALVES]
    return Skin(
        darker=1 - dark / max(1.0, light),
        is_tinted=not _is_skin(cheeks),
        hides_mouth=any(
            not _is_skin(half.mean(axis=(0, 1))) or np.ptp(half[..., 0].mean(axis=1)) < _FLAT
            for half in halves
            if len(half) >= size[1]  # the photo has all of it
        )
        or any(
            _is_cover(_cut_lab(photo_srgb, mouth + below * down, (x * apart, y * apart)), cheeks)
            for below, (x, y) in _LOWER
        ),
        hides_eyes=any(
            _cut_lab(photo_srgb, eye, (_EYE[0] * apart, _EYE[1] * apart))[..., 0].std() < _FLAT_EYE
            for eye in (right_eye, left_eye)
        ),
    )


def _is_cover(part: Floats, cheeks: Floats) -> bool:
    """Return whether a part has another color than the skin of the cheeks; gray skin has none."""
    color, chroma = part.mean(axis=(0, 1)), float(np.hypot(*cheeks[1:]))
    is_pale = float(np.hypot(*color[1:])) < _PALE[int(color[0] > cheeks[0])] * chroma
    # Black: the photo has none of it.
    return chroma >= _LEAST_CHROMA and color[0] >= 1 and (is_pale or not _is_skin(color))


def _is_skin(lab: Floats) -> bool:
    hue = float(np.degrees(np.arctan2(lab[2], lab[1])))
    return float(np.hypot(*lab[1:])) < _LEAST_CHROMA or _HUES[0] <= hue <= _HUES[1]


def _cut_lab(photo_srgb: Srgb8, center: Floats, size: tuple[float, float]) -> Floats:
    """Return a part in CIELAB, (h, w, 3) float32: lightness 0..100, a and b; black outside."""
    low, high = center - np.array(size) / 2, center + np.array(size) / 2
    (left, top), (right, bottom) = np.maximum(low, 0).astype(int), np.maximum(high, -1).astype(int)
    part = photo_srgb[top : bottom + 1, left : right + 1]
    if not part.size:
        return np.zeros((1, 1, 3), np.float32)
    return np.asarray(cv2.cvtColor(part.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)
