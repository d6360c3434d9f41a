"""Estimate the photo's camera, so that a drawn place has the people's horizon, floor and grain."""

from typing import Final

import numpy as np

from smart_filter_shared.results import Frame
from smart_filter_workers.backgrounds.sheet import GRAIN_LEVELS, Camera
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Srgb8
from smart_filter_workers.stages.composite.inputs import Inputs

# From the eyes to the soles, in heights of a detected face: an adult's eyes are at 160 cm, and a
# detector's box is 20 cm high.
EYES_TO_SOLES: Final = 8.0
# Without a face: from the crown to the eyes, in heights of the body.
CROWN_TO_EYES: Final = 0.07
# A photographer's wall is a third of the distance to the camera behind the people, so it meets the
# floor this far down from eye level to their soles.
WALL_SHARE: Final = 0.76
# People who end this share of the height above the photo's lower border stand in the picture.
_STANDS_ABOVE: Final = 0.015
_SEEN_FROM: Final = 128
# Side of the part of the photo in which noise is measured, and of its blocks; the smoothest tenth
# of the blocks shows noise alone.
_NOISE_SIDE_PX: Final = 512
_BLOCK_PX: Final = 16
_SMOOTH_QUANTILE: Final = 0.1
# Levels of triangular noise with a standard deviation of one level, and the most grain drawn.
_TRIANGULAR: Final = 6**0.5
_MAX_GRAIN: Final = 6.0


def estimate(inputs: Inputs, frame: Frame) -> Camera:
    """Return the camera of a photo in shares of the canvas."""
    grain = measure_grain(inputs.photo.srgb) * min(1.0, frame.scale)
    grain_levels = float(np.clip(grain, GRAIN_LEVELS, _MAX_GRAIN))
    ground = find_ground(inputs)
    if ground is None:
        return Camera(grain_levels=grain_levels)
    horizon, lowest = (frame.place((0, row))[1] / frame.height for row in ground)
    return Camera(horizon, horizon + WALL_SHARE * (lowest - horizon), grain_levels)


def find_ground(inputs: Inputs) -> tuple[float, float] | None:
    """Return the rows of the people's eyes and soles in pixels of the photo, also beyond its end.

    None: there are neither faces nor people who end in the photo.
    """
    faces = inputs.detected_faces
    people = _standing_rows(inputs)
    if faces:
        eyes = float(np.median([face.landmarks[0][1] + face.landmarks[1][1] for face in faces])) / 2
        height = EYES_TO_SOLES * float(np.median([face.box[3] for face in faces]))
        return eyes, eyes + height if people is None else people[1]
    if people is None:
        return None
    crown, soles = people
    return crown + CROWN_TO_EYES * (soles - crown), soles


def _standing_rows(inputs: Inputs) -> tuple[float, float] | None:
    """Return the rows of the crown and the soles of people in a photo, in its pixels.

    None: they are cut off by the lower border, or there are none.
    """
    if inputs.segmented is None:
        return None
    matte = inputs.segmented.matte
    rows = np.flatnonzero((matte >= _SEEN_FROM).any(axis=1))
    if not len(rows) or rows[-1] + 1 >= (1 - _STANDS_ABOVE) * len(matte):
        return None
    scale = inputs.photo.srgb.shape[0] / len(matte)
    return float(rows[0] * scale), float((rows[-1] + 1) * scale)


def measure_grain(srgb: Srgb8) -> float:
    """Return the noise of a photo, (H, W, 3) uint8 sRGB, as levels of triangular grain.

    Source: Immerkaer 1996, "Fast noise variance estimation", over the smoothest blocks.
    """
    height, width = srgb.shape[:2]
    top, left = max(0, (height - _NOISE_SIDE_PX) // 2), max(0, (width - _NOISE_SIDE_PX) // 2)
    green = srgb[top : top + _NOISE_SIDE_PX, left : left + _NOISE_SIDE_PX, 1]
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    rough = np.abs(cv2.filter2D(green, cv2.CV_32F, kernel))
    size = max(1, rough.shape[1] // _BLOCK_PX), max(1, rough.shape[0] // _BLOCK_PX)
    blocks = cv2.resize(rough, size, interpolation=cv2.INTER_AREA)
    deviation: float = float(np.quantile(blocks, _SMOOTH_QUANTILE)) * (np.pi / 2) ** 0.5 / 6
    return float(_TRIANGULAR * deviation)
