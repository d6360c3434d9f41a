"""Heads: where hair is likely, and faces that the background must not shine through."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.results import Face
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Floats, Matte8

# Widths of a face's box to either side of its middle, heights above its upper and below its lower
# border: for hair, where long hair ends on the shoulders, and for fur, as far as shoes and bags,
# which have none.
HAIR_REACH: Final = (1.6, 0.8, 1.0)
FUR_REACH: Final = (3.0, 0.8, 4.0)
# Beyond that range, the likelihood fades out over this share of the distance from the middle.
FADE_SHARE: Final = 0.25
# A map that fades this slowly is drawn on a coarser grid: a photo may show forty faces.
STEP_PX: Final = 4
# A matte this soft, in pixels from the middle of its unsure band to its sure part, may be fur.
SOFT_FROM_PX, SOFT_TO_PX = 2.0, 3.5

# Shares of a face's box: the ellipse inside which no background shows, and the width of its soft
# border.
FACE_ACROSS, FACE_DOWN = 0.42, 0.5
FACE_FADE_SHARE: Final = 0.3
# A face with less mean coverage belongs to a person who was left out, or to no person.
WANTED_FROM: Final = 0.35
# A face with more mean coverage in this share of the ellipse is whole already: in a profile, the
# outer part is background.
WHOLE_FROM: Final = 0.995
MIDDLE_SHARE: Final = 0.75


def hair_likelihood(faces: Sequence[Face], *, scale: float, size: tuple[int, int]) -> Floats:
    """Return the likelihood of hair at each pixel, (h, w) float32, 0..1, by nearby heads.

    faces: in pixels of a photo that is `scale` times as large as the result; size: the result's
    height and width.
    """
    return _near_faces(faces, HAIR_REACH, scale=scale, size=size)


def fur_likelihood(faces: Sequence[Face], *, scale: float, sure: NDArray[np.bool_]) -> Floats:
    """Return the likelihood of fur at each pixel, (h, w) float32, 0..1.

    faces, scale: as for hair; sure: (h, w), the sure pixels of the matte.  Without any face, every
    soft edge may be fur.
    """
    soft = _softness(sure)
    if not faces:
        return soft
    size = (sure.shape[0], sure.shape[1])
    return np.minimum(soft, _near_faces(faces, FUR_REACH, scale=scale, size=size))


def complete_faces(matte: Matte8, faces: Sequence[Face], *, scale: float) -> Matte8:
    """Return the matte with each face that is mostly covered made whole.

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
        away = _ellipse_distance((part.shape[0], part.shape[1]), middle, radii)
        inner = part[away <= 1]
        if not inner.size or inner.mean() / 255 <= WANTED_FROM:
            continue
        core = part[away <= MIDDLE_SHARE]
        if core.size and core.mean() / 255 >= WHOLE_FROM:
            continue
        if made is matte:
            made = matte.copy()
        least = 255 * np.clip(1 + (1 - away) / FACE_FADE_SHARE, 0, 1)
        np.maximum(made[rows, columns], least.astype(np.uint8), out=made[rows, columns])
    return made


def _near_faces(
    faces: Sequence[Face],
    reach: tuple[float, float, float],
    *,
    scale: float,
    size: tuple[int, int],
) -> Floats:
    """Return the area around faces, (h, w) float32: 1 inside ellipses, fading to 0 outside."""
    sideways, above, below = reach
    coarse = (-(-size[0] // STEP_PX), -(-size[1] // STEP_PX))
    total = np.zeros(coarse, np.float32)
    scale *= STEP_PX
    for face in faces:
        x, y, across, down = (side / scale for side in face.box)
        radii = (max(1.0, sideways * across), max(1.0, (above + 1 + below) / 2 * down))
        middle = (x + across / 2, y + (1 + below - above) / 2 * down)
        away = _ellipse_distance(coarse, middle, radii)
        np.maximum(total, np.clip(1 + (1 - away) / FADE_SHARE, 0, 1), out=total)
    return np.asarray(cv2.resize(total, (size[1], size[0])), np.float32)


def _softness(sure: NDArray[np.bool_]) -> Floats:
    """Return the likelihood, 0..1, of fur by the softness of the matte nearby, (h, w) float32."""
    inside = cv2.distanceTransform((~sure).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    side = 2 * round(SOFT_TO_PX) + 1
    widest = cv2.dilate(inside, np.ones((side, side), np.uint8))
    likely = (widest - SOFT_FROM_PX) / (SOFT_TO_PX - SOFT_FROM_PX)
    return np.asarray(np.clip(likely, 0, 1), np.float32)


def _ellipse_distance(
    size: tuple[int, int], middle: tuple[float, float], radii: tuple[float, float]
) -> Floats:
    """Return the distance of each pixel from an ellipse's middle, (h, w), 1 on its outline."""
    x = (np.arange(size[1], dtype=np.float32) + 0.5 - middle[0]) / radii[0]
    y = (np.arange(size[0], dtype=np.float32) + 0.5 - middle[1]) / radii[1]
    return np.asarray(np.sqrt(np.square(x) + np.square(y)[:, np.newaxis]), np.float32)
