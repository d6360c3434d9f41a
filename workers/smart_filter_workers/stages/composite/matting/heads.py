"""Heads: where hair is to be expected, and faces that a matte must not let shine through."""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.results import Face, Matte8
from smart_filter_workers.stages.composite.matting.blocks import Floats

# Widths of a face's box to either side of its middle, heights above its upper and below its
# lower border: hair, long hair ends on the shoulders; and fur, which shoes and bags have none of.
HAIR_REACH: Final = (1.6, 0.8, 1.0)
FUR_REACH: Final = (3.0, 0.8, 4.0)
# Beyond that, this far from the middle to the border again, it becomes unlikely.
FADES_OVER: Final = 0.25
# What fades so slowly is drawn on a coarser grid: a photo may show forty faces.
STEP_PX: Final = 4
# A matte so soft, in pixels from the middle of its unsure band to where it is sure, may be fur.
SOFT_FROM_PX, SOFT_TO_PX = 2.0, 3.5

# Of a face's box: the ellipse inside which no background shows, and how far beyond it is soft.
FACE_ACROSS, FACE_DOWN = 0.42, 0.5
FACE_FADES_OVER: Final = 0.3
# A face with less mean coverage is somebody who is not wanted, or nobody.
WANTED_FROM: Final = 0.35
# A mean that says somebody is whole already.
WHOLE_FROM: Final = 0.995


def hair(faces: Sequence[Face], *, scale: float, size: tuple[int, int]) -> Floats:
    """Return how near to a head every place is, (h, w) float32, 0..1.

    faces: in pixels of a photo that is `scale` times as large as the answer; size: the answer's
    height and width.
    """
    return _near(faces, HAIR_REACH, scale=scale, size=size)


def fur(faces: Sequence[Face], *, scale: float, sure: NDArray[np.bool_]) -> Floats:
    """Return how likely fur is at every place, (h, w) float32, 0..1.

    faces, scale: as for hair; sure: (h, w), where the matte is.  When nobody's face was seen,
    all that is soft may be fur.
    """
    soft = _softness(sure)
    if not faces:
        return soft
    size = (sure.shape[0], sure.shape[1])
    return np.minimum(soft, _near(faces, FUR_REACH, scale=scale, size=size))


def whole(matte: Matte8, faces: Sequence[Face], *, scale: float) -> Matte8:
    """Return the matte with every face whole that is mostly there.

    matte: (h, w) uint8.  faces: in pixels of the photo, which is `scale` times as large.
    """
    made = matte
    for face in faces:
        x, y, across, down = (side / scale for side in face.box)
        rows = slice(max(0, int(y - down / 2)), max(0, int(y + 1.5 * down)) + 1)
        columns = slice(max(0, int(x - across / 2)), max(0, int(x + 1.5 * across)) + 1)
        part = matte[rows, columns]
        if not part.size:
            continue
        middle = (x + across / 2 - columns.start, y + down / 2 - rows.start)
        radii = (max(0.5, FACE_ACROSS * across), max(0.5, FACE_DOWN * down))
        away = _away((part.shape[0], part.shape[1]), middle, radii)
        inner = part[away <= 1]
        if not inner.size or not WANTED_FROM < inner.mean() / 255 < WHOLE_FROM:
            continue
        if made is matte:
            made = matte.copy()
        least = 255 * np.clip(1 + (1 - away) / FACE_FADES_OVER, 0, 1)
        np.maximum(made[rows, columns], least.astype(np.uint8), out=made[rows, columns])
    return made


def _near(
    faces: Sequence[Face],
    reach: tuple[float, float, float],
    *,
    scale: float,
    size: tuple[int, int],
) -> Floats:
    """Return what lies around faces, (h, w) float32, 1 inside to 0 outside of ellipses."""
    beside, above, below = reach
    coarse = (-(-size[0] // STEP_PX), -(-size[1] // STEP_PX))
    total = np.zeros(coarse, np.float32)
    scale *= STEP_PX
    for face in faces:
        x, y, across, down = (side / scale for side in face.box)
        radii = (max(1.0, beside * across), max(1.0, (above + 1 + below) / 2 * down))
        middle = (x + across / 2, y + (1 + below - above) / 2 * down)
        away = _away(coarse, middle, radii)
        np.maximum(total, np.clip(1 + (1 - away) / FADES_OVER, 0, 1), out=total)
    return np.asarray(cv2.resize(total, (size[1], size[0])), np.float32)


def _softness(sure: NDArray[np.bool_]) -> Floats:
    """Return how far, 0..1, the matte nearby is as soft as fur, (h, w) float32."""
    inside = cv2.distanceTransform((~sure).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    side = 2 * round(SOFT_TO_PX) + 1
    widest = cv2.dilate(inside, np.ones((side, side), np.uint8))
    likely = (widest - SOFT_FROM_PX) / (SOFT_TO_PX - SOFT_FROM_PX)
    return np.asarray(np.clip(likely, 0, 1), np.float32)


def _away(size: tuple[int, int], middle: tuple[float, float], radii: tuple[float, float]) -> Floats:
    """Return how far every pixel is from an ellipse's middle, (h, w), 1 on its outline."""
    x = (np.arange(size[1], dtype=np.float32) + 0.5 - middle[0]) / radii[0]
    y = (np.arange(size[0], dtype=np.float32) + 0.5 - middle[1]) / radii[1]
    return np.asarray(np.sqrt(np.square(x) + np.square(y)[:, np.newaxis]), np.float32)
