"""Convert faces between the pixels of one picture at different sizes."""

from dataclasses import replace

from smart_filter_shared.results import Face, Point
from smart_filter_workers.results import PreparedPhoto


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
