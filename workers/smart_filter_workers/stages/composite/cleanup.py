"""Clean up a matte: complete faces, remove islands, grow, shrink or harden it.

A faint part is what a network half takes for a person: the back of a chair, a flag, a shadow. On
158 photos with known masks, removing them makes 19 mattes better and 11 worse.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.results import Face
from smart_filter_workers.connected_parts import label_parts, measure_areas
from smart_filter_workers.opencv import cv2
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import (
    HALF_LEVEL,
    WHOLE_LEVEL,
    Bools,
    Bytes,
    Matte8,
    PreparedPhoto,
    Segmentation,
)
from smart_filter_workers.stages.composite.edges import heads

# Parts smaller than this share of the largest one, without a face, are removed.
MAX_ISLAND_SHARE: Final = 0.02
# Parts are found on a coarser grid: a twentieth of the time, and gaps of a pixel or two are
# ignored.
ISLAND_STEP_PX: Final = 4
# Coverage above which a pixel connects parts. Between strands of hair any coverage does.
CONNECTS_ABOVE: Final = 64
# A faint part has less mean coverage than this, and begins at this share of the longest side from
# the sure part of a matte: farther than any edge but that of hair.
FAINT_BELOW: Final = 102
FAINT_FROM: Final = 1 / 64
SURE_FROM: Final = 230
# Smaller faint parts do not show; in pixels of the coarser grid.
LEAST_FAINT_PX: Final = 6
# A faint part between two sure ones, a hand and a body by these shares of the largest one's area,
# is an arm that moved, if it is smaller than a body.
HAND_SHARE, BODY_SHARE = 1 / 400, 1 / 20


def clean_matte(
    segmented: Segmentation, prepared: PreparedPhoto, faces: Sequence[Face]
) -> Segmentation:
    """Return the matte with every face whole, and without detached and faint parts.

    faces: in pixels of the photo.  A matte of whatever stands out is returned unchanged: its parts
    need not be connected, and have no known shape.
    """
    if segmented.any_subject:
        return segmented
    scale = prepared.width / segmented.matte.shape[1]
    matte = heads.complete_faces(segmented.matte, faces, scale=scale)
    return replace(segmented, matte=remove_islands(matte, faces, scale=scale))


def remove_islands(matte: Matte8, faces: Sequence[Face], *, scale: float) -> Matte8:
    """Return the matte without small detached parts that show no face, and without faint parts.

    matte: (h, w) uint8.  faces: in pixels of the photo, which is `scale` times as large; without
    any, all may be hair, so faint parts stay.
    """
    height, width = matte.shape
    rows, columns = max(1, height // ISLAND_STEP_PX), max(1, width // ISLAND_STEP_PX)
    coarse = resize(matte, width=columns, height=rows)
    scale *= ISLAND_STEP_PX
    smooth = np.zeros((rows, columns), np.bool_)
    if faces:
        smooth = heads.hair_likelihood(faces, scale=scale, size=(rows, columns)) == 0
    faint = _find_faint(coarse, smooth)
    connects = coarse > np.where(smooth, np.uint8(CONNECTS_ABOVE), np.uint8(0))
    gone = faint | _find_detached(connects & ~faint, faces, scale=scale)
    if not gone.any():
        return matte
    # Their borders are too faint to connect.
    gone |= (cv2.dilate(gone.view(np.uint8), np.ones((3, 3), np.uint8)) > 0) & ~connects
    kept = cv2.resize(255 * (~gone).view(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.multiply(matte, kept, scale=1 / 255), np.uint8)


def _find_faint(coarse: Matte8, smooth: Bools) -> Bools:
    """Return the (h, w) faint parts; smooth: where there is no hair."""
    reach = max(1, round(FAINT_FROM * max(coarse.shape)))
    sure = coarse >= SURE_FROM
    near = cv2.dilate(sure.view(np.uint8), _disc(reach)) > 0
    far = (coarse > 0) & smooth & ~near
    if not far.any() or not near.any():  # without a sure part, all would be faint
        return np.zeros_like(far)
    labels, count = label_parts(far)
    areas = measure_areas(labels, count)
    coverage = np.bincount(labels.reshape(-1), weights=coarse.reshape(-1), minlength=count)
    is_faint = (areas >= LEAST_FAINT_PX) & (coverage < FAINT_BELOW * areas)
    is_faint[0] = False  # label 0 is everything else
    faint = np.asarray(is_faint[labels], np.bool_)
    if faint.any():
        is_faint[_find_arms(labels, sure, reach=reach + 1)] = False
        faint = np.asarray(is_faint[labels], np.bool_)
    return faint


def _find_arms(labels: NDArray[np.int32], sure: Bools, *, reach: int) -> NDArray[np.int64]:
    """Return the labels of the parts that a hand and a body are near; reach: how near."""
    sure_labels, count = label_parts(sure)
    areas = measure_areas(sure_labels, count)
    areas[0] = 0  # label 0 is everything else
    shares = areas / areas.max()
    part_areas = np.bincount(labels.reshape(-1))
    is_arm = part_areas < BODY_SHARE * areas.max()
    is_arm[0] = False  # as above
    for chosen in (shares >= BODY_SHARE, (shares >= HAND_SHARE) & (shares < BODY_SHARE)):
        near = cv2.dilate(chosen[sure_labels].view(np.uint8), _disc(reach)) > 0
        is_arm &= np.bincount(labels[near], minlength=len(is_arm)) > 0
    return np.flatnonzero(is_arm)


def _disc(radius: int) -> Bytes:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2), np.uint8)


def _find_detached(mask: Bools, faces: Sequence[Face], *, scale: float) -> Bools:
    """Return the (h, w) small parts of a mask without a face."""
    labels, count = label_parts(mask)
    areas = measure_areas(labels, count)
    areas[0] = 0  # label 0 is the background
    is_slip = (areas < MAX_ISLAND_SHARE * areas.max()) & (areas > 0)
    for face in faces:
        x, y, across, down = (side / scale for side in face.box)
        rows = slice(max(0, int(y)), max(0, int(y + down)) + 1)
        columns = slice(max(0, int(x)), max(0, int(x + across)) + 1)
        is_slip[np.unique(labels[rows, columns])] = False
    return np.asarray(is_slip[labels], np.bool_)


def is_covered(face: Face, matte: Matte8, photo_width: int) -> bool:
    """Return whether the matte covers the inner half of a face."""
    scale = matte.shape[1] / photo_width
    x, y, width, height = (side * scale for side in face.box)
    rows = slice(max(0, int(y + height / 4)), max(1, int(y + height * 3 / 4) + 1))
    columns = slice(max(0, int(x + width / 4)), max(1, int(x + width * 3 / 4) + 1))
    inner = matte[rows, columns]
    return bool(inner.size) and float(inner.mean()) > HALF_LEVEL


def grow_matte(matte: Matte8, pixels: int) -> Matte8:
    """Return a matte, (H, W) uint8, grown by this many pixels, or shrunk where negative.

    The border of the picture is no edge: people whom it cuts off stay as they are there.
    """
    if not pixels:
        return matte
    side = 2 * abs(pixels) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    change = cv2.dilate if pixels > 0 else cv2.erode
    return np.asarray(change(matte, disc), np.uint8)


def harden_matte(matte: Matte8) -> Matte8:
    """Return a matte, (H, W) uint8, of 0 and 255 alone: people where they cover half or more."""
    return np.asarray(cv2.threshold(matte, HALF_LEVEL, WHOLE_LEVEL, cv2.THRESH_BINARY)[1], np.uint8)
