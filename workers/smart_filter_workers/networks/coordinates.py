"""Coordinates: of faces and boxes in pictures of several sizes, and square cuts of pictures."""

import math
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np

from smart_filter_shared.results import Face, Point
from smart_filter_workers.opencv import cv2
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import Doubles, Floats, PreparedPhoto, Srgb8

# Left, top, right and bottom in pixels.
Box: TypeAlias = tuple[float, float, float, float]

# Bilinear sampling skips pixels above this shrinking factor, which shows as noise.
MAX_BILINEAR_SHRINK = 2.0

# Shares of the box, from its top left corner: right eye, left eye, nose, right and left mouth
# corner. Means over 1,201 faces in training photos as CenterFace sees them, made symmetrical. The
# mean deviation is 0.11 of the width and 0.05 of the height; for the nose 0.17 of the width.
_PLACES: Final[tuple[Point, Point, Point, Point, Point]] = (
    (0.28, 0.385),
    (0.72, 0.385),
    (0.5, 0.59),
    (0.32, 0.745),
    (0.68, 0.745),
)


def photo_per_proxy(prepared: PreparedPhoto) -> tuple[float, float]:
    """Return the number of photo pixels for each proxy pixel, along x and y."""
    height, width = prepared.proxy_srgb.shape[:2]
    return prepared.width / width, prepared.height / height


def to_photo(face: Face, prepared: PreparedPhoto) -> Face:
    """Return a face of the proxy in pixels of the photo."""
    per_x, per_y = photo_per_proxy(prepared)
    return scale_face(face, x=per_x, y=per_y)


def to_proxy(face: Face, prepared: PreparedPhoto) -> Face:
    """Return a face of the photo in pixels of its proxy."""
    per_x, per_y = photo_per_proxy(prepared)
    return scale_face(face, x=1 / per_x, y=1 / per_y)


def scale_face(face: Face, *, x: float, y: float) -> Face:
    """Return the face with its coordinates multiplied by `x` and `y`."""
    left, top, width, height = face.box
    right_eye, left_eye, nose, right_mouth, left_mouth = (
        _scale_point(point, x, y) for point in face.landmarks
    )
    return replace(
        face,
        box=(left * x, top * y, width * x, height * y),
        landmarks=(right_eye, left_eye, nose, right_mouth, left_mouth),
    )


def _scale_point(point: Point, x: float, y: float) -> Point:
    return point[0] * x, point[1] * y


def box_iou(box: Box | Floats, boxes: Floats) -> Floats:
    """Return (N,) float32, 0..1: the intersection over union of a box and each of `boxes`.

    box: (4,); boxes: (N, 4) float32; left, top, right, bottom.  Empty boxes overlap nothing.
    """
    start = np.maximum(np.asarray(box[:2], np.float32), boxes[:, :2])
    end = np.minimum(np.asarray(box[2:], np.float32), boxes[:, 2:])
    shared = np.prod(np.maximum(end - start, 0), axis=1)
    areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)
    area = max(0.0, float(box[2] - box[0])) * max(0.0, float(box[3] - box[1]))
    # The lower bound, a millionth of a pixel, avoids dividing by 0 for two empty boxes.
    return np.asarray(shared / np.maximum(areas + area - shared, 1e-6), dtype=np.float32)


def non_max_suppression(
    boxes: Floats, scores: Floats, *, most_iou: float, most: int | None = None
) -> list[int]:
    """Return the boxes that overlap no better-scored one, best first, at most `most`.

    boxes: (N, 4), left, top, right, bottom; scores: (N,).  most_iou: of two boxes that are kept.
    """
    kept: list[int] = []
    left = np.argsort(-scores, kind="stable")
    while len(left) and len(kept) != most:
        best, rest = int(left[0]), left[1:]
        kept.append(best)
        left = rest[box_iou(boxes[best], boxes[rest]) <= most_iou]
    return kept


def box_side(box: Box) -> float:
    """Return the side in pixels of the square with the same area as the box."""
    return math.sqrt(max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1]))


@dataclass(frozen=True, slots=True)
class Square:
    """A square in a picture, in the picture's pixels.

    center: x and y; side: its length in pixels; angle: radians from the picture's x axis to the
    square's, clockwise on the picture.
    """

    center: Point
    side: float
    angle: float

    def cut(self, picture: Srgb8, size: int, *, black_beyond: bool = False) -> Floats:
        """Return the square as a crop, (size, size, 3) float32 RGB in 0..1.

        picture: (H, W, 3) uint8 sRGB. Beyond its edges the crop repeats the edge's pixels, or is
        black, as in the network's training.
        """
        matrix = self._to_picture(size)
        if self.side > MAX_BILINEAR_SHRINK * size:
            scale = size / self.side
            picture, scale_x, scale_y = _shrink(picture, scale)
            matrix = np.diag((scale_x, scale_y)) @ matrix
        crop = cv2.warpAffine(
            picture,
            matrix,
            (size, size),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT if black_beyond else cv2.BORDER_REPLICATE,
        )
        return np.divide(crop, 255, dtype=np.float32)

    def near(self, picture: Srgb8) -> tuple[Srgb8, "Square"]:
        """Return a part of a picture that contains the square at any angle, and the square in it.

        `cut` shrinks its whole input. For a square that is small in a photo and large compared to
        the crop, that would take longer than all other steps.
        """
        height, width = picture.shape[:2]
        reach = self.side * math.sqrt(1 / 2) + MAX_BILINEAR_SHRINK
        left = min(width - 1, max(0, math.floor(self.center[0] - reach)))
        top = min(height - 1, max(0, math.floor(self.center[1] - reach)))
        right = max(left + 1, math.ceil(self.center[0] + reach))
        bottom = max(top + 1, math.ceil(self.center[1] + reach))
        center = (self.center[0] - left, self.center[1] - top)
        return picture[top:bottom, left:right], replace(self, center=center)

    def to_picture(self, points: Floats, size: int) -> Floats:
        """Return (N, 2) float32 points of a crop of `size` pixels in the picture's pixels."""
        matrix = self._to_picture(size)
        return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], dtype=np.float32)

    def to_cut(self, points: Floats, size: int) -> Floats:
        """Return (N, 2) float32 points of the picture in pixels of a crop of `size` pixels."""
        matrix = self._to_picture(size)
        # The axes are perpendicular and equally long: the inverse is the transpose, scaled.
        per_px = size / self.side
        inside = (points - matrix[:, 2]) @ matrix[:, :2] * per_px * per_px
        return np.asarray(inside, dtype=np.float32)

    def paste(self, cut: Floats, height: int, width: int) -> Floats:
        """Return a crop pasted back in its place: (height, width) float32, 0 outside the square.

        cut: (size, size) float32.
        """
        pasted = cv2.warpAffine(cut, self._to_picture(len(cut)), (width, height))
        return np.asarray(pasted, dtype=np.float32)

    def _to_picture(self, size: int) -> Doubles:
        """Return the (2, 3) matrix from pixels of the crop to pixels of the picture."""
        along = np.array([math.cos(self.angle), math.sin(self.angle)]) * self.side / size
        down = np.array([-along[1], along[0]])
        corner = np.array(self.center) - (along + down) * size / 2
        return np.asarray(np.stack([along, down, corner], axis=1), dtype=np.float64)


def _shrink(picture: Srgb8, scale: float) -> tuple[Srgb8, float, float]:
    """Return the picture shrunk to about `scale`, and its exact scale along x and y."""
    height, width = picture.shape[:2]
    across, down = max(1, round(width * scale)), max(1, round(height * scale))
    return resize(picture, width=across, height=down), across / width, down / height


def estimate_landmarks(
    box: tuple[float, float, float, float],
) -> tuple[Point, Point, Point, Point, Point]:
    """Return right eye, left eye, nose, right and left mouth corner of an upright face.

    box: left, top, width and height; the landmarks are in the same pixels.
    """
    left, top, width, height = box
    right_eye, left_eye, nose, right_mouth, left_mouth = (
        (left + x * width, top + y * height) for x, y in _PLACES
    )
    return right_eye, left_eye, nose, right_mouth, left_mouth
