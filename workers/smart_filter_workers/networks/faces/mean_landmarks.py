"""Estimate five landmarks from a face's box, for detectors that return boxes only."""

from typing import Final

from smart_filter_shared.results import Point

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
