"""Find the landmarks of faces that users added, by a closer look at each."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from smart_filter_shared.feedback.face_changes import Box, iou
from smart_filter_shared.results import Face, Point
from smart_filter_workers.networks.coordinates import photo_per_proxy
from smart_filter_workers.networks.faces.mean_landmarks import estimate_landmarks
from smart_filter_workers.networks.squares import Square
from smart_filter_workers.results import PreparedPhoto, Srgb8
from smart_filter_workers.stages.face.models.base import FaceDetector

# Side of the square that is looked at, in sides of the box: detectors need some surroundings.
_MARGIN: Final = 2.0
_LOOK_PX: Final = 320
# A detector's box differs from a drawn one more than from another detector's.
_SAME_FACE_IOU: Final = 0.3


def measure_added_faces(
    detect: FaceDetector, prepared: PreparedPhoto, boxes: Sequence[Box]
) -> list[Face]:
    """Return the face in each box, which is in pixels of the photo.

    Where the detector sees no face even so, the landmarks are at their mean positions in the box.
    """
    if not boxes:
        return []
    across, down = photo_per_proxy(prepared)
    squares = [
        Square(
            center=((x + width / 2) / across, (y + height / 2) / down),
            side=max(1.0, _MARGIN * max(width / across, height / down)),
            angle=0.0,
        )
        for x, y, width, height in boxes
    ]
    looks = [_look(square, prepared.proxy_srgb) for square in squares]
    seen = detect(looks, [()] * len(looks))
    return [
        Face(box, 1.0, _landmarks(box, square, faces, (across, down)), added=True)
        for box, square, faces in zip(boxes, squares, seen, strict=True)
    ]


def _look(square: Square, picture: Srgb8) -> Srgb8:
    part, within = square.near(picture)
    return np.rint(255 * within.cut(part, _LOOK_PX)).astype(np.uint8)


def _landmarks(
    box: Box, square: Square, faces: Sequence[Face], per_proxy: Point
) -> tuple[Point, Point, Point, Point, Point]:
    """Return the landmarks of the face that fits the box best.

    faces: in pixels of the look at the square.  per_proxy: pixels of the photo, along x and y.
    """
    placed = [
        square.to_picture(np.array([*_corners(face), *face.landmarks], np.float32), _LOOK_PX)
        * np.array(per_proxy, np.float32)
        for face in faces
    ]
    fits = [iou(box, _box(*map(float, points[:2].flat))) for points in placed]
    if not fits or max(fits) < _SAME_FACE_IOU:
        return estimate_landmarks(box)
    right_eye, left_eye, nose, right_mouth, left_mouth = (
        (float(x), float(y)) for x, y in placed[fits.index(max(fits))][2:]
    )
    return right_eye, left_eye, nose, right_mouth, left_mouth


def _corners(face: Face) -> tuple[Point, Point]:
    x, y, width, height = face.box
    return (x, y), (x + width, y + height)


def _box(left: float, top: float, right: float, bottom: float) -> Box:
    return left, top, right - left, bottom - top
