"""Faces from bare boxes: the mesh gives presence, angle and landmarks."""

from typing import Final

import numpy as np

from smart_filter_shared.results import Face, Point
from smart_filter_workers.networks.boxes import Box
from smart_filter_workers.networks.faces.face_mesh import LEFT_EYE, RIGHT_EYE, FaceMesh, Mesh
from smart_filter_workers.networks.faces.mean_landmarks import estimate_landmarks
from smart_filter_workers.results import Floats, Srgb8

# Points of the mesh: below and above the tip of the nose, corners of the mouth.
NOSE_POINTS: Final = (1, 4)
RIGHT_MOUTH, LEFT_MOUTH = 61, 291
# Detectors' boxes extend above the hairline, where the mesh ends, by this share of the mesh's
# height. Median over 893 faces of training photos as CenterFace sees them.
FOREHEAD_SHARE: Final = 0.09


def face_from_mesh(picture: Srgb8, box: Box, network: FaceMesh) -> Face | None:
    """Return the face in a box of the picture, from its mesh.

    picture: (H, W, 3) uint8 sRGB; box: upright, around a face, in pixels.  The face's box contains
    the mesh and the forehead, cut at the picture's edges. Its score is the network's probability,
    0..1, of a face. None when the mesh is outside the picture.
    """
    left, top, right, bottom = box
    around = (left, top, right - left, bottom - top)
    mesh = network(picture, Face(box=around, score=1.0, landmarks=estimate_landmarks(around)))
    height, width = picture.shape[:2]
    low, high = mesh.points.min(axis=0), mesh.points.max(axis=0)
    low[1] -= FOREHEAD_SHARE * (high[1] - low[1])
    start, end = (np.clip(corner, 0, (width, height)) for corner in (low, high))
    if (end <= start).any():
        return None
    size = end - start
    return Face(
        box=(float(start[0]), float(start[1]), float(size[0]), float(size[1])),
        score=mesh.presence,
        landmarks=read_landmarks(mesh),
    )


def read_landmarks(mesh: Mesh) -> tuple[Point, Point, Point, Point, Point]:
    """Return right eye, left eye, nose, right and left mouth corner of a mesh."""
    return (
        _point(mesh.points[list(RIGHT_EYE)]),
        _point(mesh.points[list(LEFT_EYE)]),
        _point(mesh.points[list(NOSE_POINTS)]),
        _point(mesh.points[[RIGHT_MOUTH]]),
        _point(mesh.points[[LEFT_MOUTH]]),
    )


def _point(points: Floats) -> Point:
    x, y = points.mean(axis=0)
    return float(x), float(y)
