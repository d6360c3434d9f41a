"""A face built around the crop of one eye, for models that read the eyes of a face."""

from typing import Final

import numpy as np

from smart_filter_shared.results import Face
from smart_filter_workers.networks.faces.face_mesh import (
    LEFT_EYE,
    MESH_POINTS,
    RIGHT_EYE,
    FaceMesh,
    FaceView,
    Mesh,
)
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Srgb8

# An eye fills a little over half of its crop. The square around it that the contours' network
# sees is 2.3 times as long as the eye, that is a third larger than the crop. The figures of the
# first model were measured in this way.
_EYE: Final = 0.58
_SQUARE: Final = 4 / 3
# Proportions of the face around the eyes, in distances of the eyes: height of the forehead and of
# the rest; positions of nose, mouth, chin, and of the corners of the mouth.
_ABOVE, _BELOW = 0.55, 1.05
_NOSE, _MOUTH, _CHIN = 0.55, 1.05, 1.5
_MOUTH_CORNER: Final = 0.42


class KnownFace(FaceView):
    """A face with a known mesh, so that no network has to find it."""

    def __init__(self, picture: Srgb8, face: Face, mesh: Mesh) -> None:
        super().__init__(picture, face)
        self._given_mesh = mesh

    def mesh(self, network: FaceMesh) -> Mesh:
        """Return the known mesh."""
        del network
        return self._given_mesh


def build_face(crop: Srgb8) -> FaceView:
    """Return a face that has the crop as its right eye, and mirrored as its left eye.

    crop: (H, W, 3) uint8 sRGB.  The rest of the face repeats the edges of the crops.
    """
    height, width = crop.shape[:2]
    side = max(height, width)
    apart = round(_SQUARE * side)
    tile = _add_border(crop, apart - height, apart - width)
    band = np.hstack([tile, tile[:, ::-1]])
    above = round(_ABOVE * apart)
    picture = cv2.copyMakeBorder(band, above, round(_BELOW * apart), 0, 0, cv2.BORDER_REPLICATE)
    across = np.array([apart / 2, above + apart / 2], np.float32)
    eye, eyes = np.array([_EYE * side / 2, 0], np.float32), np.array([apart, 0], np.float32)
    middle = across + eyes / 2
    down, aside = np.array([0, apart], np.float32), np.array([_MOUTH_CORNER * apart, 0], np.float32)
    nose, mouth = middle + _NOSE * down, middle + _MOUTH * down
    points = np.tile(nose, (MESH_POINTS, 1))
    points[RIGHT_EYE[0]], points[RIGHT_EYE[1]] = across - eye, across + eye
    points[LEFT_EYE[0]], points[LEFT_EYE[1]] = across + eyes + eye, across + eyes - eye
    # Corners and lips of the mouth; chin, forehead and cheeks, by the numbers of the mesh.
    points[61], points[291] = mouth - aside, mouth + aside
    points[[0, 13, 14, 17]] = mouth
    points[152], points[10] = middle + _CHIN * down, middle - down
    points[234], points[454] = middle - eyes, middle + eyes
    landmarks = (across, across + eyes, nose, mouth - aside, mouth + aside)
    right_eye, left_eye, tip, right_corner, left_corner = (
        (float(x), float(y)) for x, y in landmarks
    )
    face = Face(
        box=(0.0, 0.0, float(picture.shape[1]), float(picture.shape[0])),
        score=1.0,
        landmarks=(right_eye, left_eye, tip, right_corner, left_corner),
    )
    return KnownFace(np.asarray(picture, dtype=np.uint8), face, Mesh(points, presence=1.0))


def _add_border(crop: Srgb8, down: int, across: int) -> Srgb8:
    """Return the crop with the given numbers of additional rows and columns, its edges repeated."""
    top, left = down // 2, across // 2
    border = cv2.copyMakeBorder(crop, top, down - top, left, across - left, cv2.BORDER_REPLICATE)
    return np.asarray(border, dtype=np.uint8)
