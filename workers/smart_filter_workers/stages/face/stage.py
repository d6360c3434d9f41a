"""Face stage: find every face of a photo, from left to right."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypedDict

import numpy as np

from smart_filter_shared.feedback.face_changes import FaceChanges, iou
from smart_filter_shared.results import Face, Faces, Point
from smart_filter_wire.formats import FaceBox
from smart_filter_workers.networks.coordinates import (
    Square,
    estimate_landmarks,
    photo_per_proxy,
    to_photo,
    to_proxy,
)
from smart_filter_workers.results import PreparedPhoto, Srgb8
from smart_filter_workers.stages.face.models.base import FaceDetector

# Side of the square that is looked at, in sides of the box: detectors need some surroundings.
_MARGIN: Final = 2.0
_LOOK_PX: Final = 320
# A detector's box differs from a drawn one more than from another detector's.
_SAME_FACE_IOU: Final = 0.3


class Models(TypedDict):
    """The models of this stage, by task."""

    face: FaceDetector


@dataclass(frozen=True, slots=True)
class Inputs:
    """The stage's inputs for one job; changes: of the faces, by users."""

    prepared: PreparedPhoto
    changes: FaceChanges = field(default_factory=FaceChanges)


def run(models: Models, batch: Sequence[Inputs]) -> list[Faces]:
    """Find the faces of each photo, and change them as users did."""
    photos = [inputs.prepared for inputs in batch]
    faces_by_photo = models["face"](
        [photo.proxy_srgb for photo in photos],
        [tuple(to_proxy(face, photo) for face in photo.proposals) for photo in photos],
    )
    return [
        Faces(tuple(sorted(_change_faces(models["face"], inputs, faces), key=_middle)))
        for faces, inputs in zip(faces_by_photo, batch, strict=True)
    ]


def _change_faces(detect: FaceDetector, inputs: Inputs, faces: Sequence[Face]) -> list[Face]:
    """Return the faces that count, in pixels of the photo; `faces` are in those of its proxy."""
    return [
        *inputs.changes.without_changed([to_photo(face, inputs.prepared) for face in faces]),
        *measure_added_faces(detect, inputs.prepared, inputs.changes.added),
    ]


def _middle(face: Face) -> float:
    left, _, width, _ = face.box
    return left + width / 2


def measure_added_faces(
    detect: FaceDetector, prepared: PreparedPhoto, boxes: Sequence[FaceBox]
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
    box: FaceBox, square: Square, faces: Sequence[Face], per_proxy: Point
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


def _box(left: float, top: float, right: float, bottom: float) -> FaceBox:
    return left, top, right - left, bottom - top
