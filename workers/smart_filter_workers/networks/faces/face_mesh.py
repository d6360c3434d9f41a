"""Face mesh: 468 points on a face, by LiteRT.

Source: Kartynnik, Ablavatski, Grishchenko & Grundmann 2019, "Real-time facial surface geometry from
monocular video on mobile GPUs"; the network file ships with the package mediapipe.

Faces from bare boxes: the mesh gives presence, angle and landmarks.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.catalog.model_card import WeightsFile
from smart_filter_shared.results import Face, Head, Point
from smart_filter_workers.networks.coordinates import Box, Square, estimate_landmarks
from smart_filter_workers.networks.runtimes.litert import LiteRtNetwork
from smart_filter_workers.results import Floats, Srgb8

MESH_WEIGHTS = WeightsFile(
    "face_landmark.tflite", "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814"
)
MESH_SIZE_PX = 192
MESH_POINTS = 468
# Side of the network's input squares, in widths of the face, as in its training.
FACE_MARGIN = 1.5
# Outer and inner corner of each eye among the 468 points.
RIGHT_EYE = (33, 133)
LEFT_EYE = (263, 362)
# The middle of the hairline and the chin; the face's right and left side, before the ears.
HAIRLINE, CHIN = 10, 152
# The line of the chin, whose lowest point a tilted head has aside; the middles of the eyelids.
_CHIN_LINE: Final = (176, 148, CHIN, 377, 400)
_EYELIDS: Final = (159, 145, 386, 374)
FACE_SIDES = (234, 454)
LIPS = (13, 14)
# A square shows no face below this presence.
NO_FACE_BELOW = 0.5
# The line from hairline to chin of a face that looks straight ahead: the median of 88 portraits
# that are turned aside by less than 12 degrees.
REST_PITCH = 6.6

# Points of the mesh: below and above the tip of the nose, corners of the mouth.
NOSE_POINTS: Final = (1, 4)
RIGHT_MOUTH, LEFT_MOUTH = 61, 291
# Detectors' boxes extend above the hairline, where the mesh ends, by this share of the mesh's
# height. Median over 893 faces of training photos as CenterFace sees them.
FOREHEAD_SHARE: Final = 0.09


@dataclass(frozen=True, slots=True)
class Mesh:
    """The points of one face.

    points: (468, 2) float32, pixels of the picture; presence: the network's probability, 0..1, that
    the square shows a face.
    yaw, pitch: turn of the head in degrees, by the depths of the points; yaw is above 0 to the
    person's right, pitch above 0 downward.
    """

    points: Floats
    presence: float
    yaw: float = 0.0
    pitch: float = 0.0


class FaceMesh:
    """Finds 468 points on a face; any thread may call it."""

    def __init__(self, weights: Path) -> None:
        self._network = LiteRtNetwork(weights / MESH_WEIGHTS.name)

    def __call__(self, picture: Srgb8, face: Face) -> Mesh:
        """Return the points of `face`, whose coordinates are pixels of `picture`.

        picture: (H, W, 3) uint8 sRGB.  A second pass crops by the first one's points, because a
        detector's box is loose and its eyes give only a rough angle.
        """
        first = self._within(picture, _square_of(face))
        return self._within(picture, square_around(first.points))

    def _within(self, picture: Srgb8, square: Square) -> Mesh:
        outputs = self._network(square.cut(picture, MESH_SIZE_PX)[np.newaxis])
        points = outputs["conv2d_21"].reshape(MESH_POINTS, 3)
        across, _, aside = points[FACE_SIDES[1]] - points[FACE_SIDES[0]]
        _, down, forward = points[CHIN] - points[HAIRLINE]
        return Mesh(
            points=square.to_picture(points[:, :2], MESH_SIZE_PX),
            presence=_sigmoid(float(outputs["conv2d_31"].item())),
            yaw=math.degrees(math.atan2(aside, across)),
            pitch=math.degrees(math.atan2(forward, down)) - REST_PITCH,
        )


class FaceView:
    """One face in a picture for several models; its mesh is computed once.

    picture: (H, W, 3) uint8 sRGB; face: its coordinates are pixels of `picture`.
    Not safe for several threads.
    """

    def __init__(self, picture: Srgb8, face: Face) -> None:
        self.picture = picture
        self.face = face
        self._mesh: Mesh | None = None

    @property
    def computed_mesh(self) -> Mesh | None:
        """The points of the face if a model has asked for them."""
        return self._mesh

    def mesh(self, network: FaceMesh) -> Mesh:
        """Return the points of the face, computed on the first call."""
        if self._mesh is None:
            self._mesh = network(self.picture, self.face)
        return self._mesh


def measure_head(mesh: Mesh, per_px: tuple[float, float]) -> Head | None:
    """Return how a head is held; None for a mesh that is of no face.

    per_px: pixels of the photo for one of the mesh's picture, along x and y.
    """
    if mesh.presence < NO_FACE_BELOW:
        return None

    def place(x: float, y: float) -> Point:
        return round(float(x * per_px[0]), 1), round(float(y * per_px[1]), 1)

    points = mesh.points
    across = points[LEFT_EYE[0]] - points[RIGHT_EYE[0]]
    lips = points[LIPS[1]] - points[LIPS[0]]
    return Head(
        chin=place(points[CHIN, 0], points[_CHIN_LINE, 1].max()),
        eyes=place(*points[_EYELIDS, :].mean(axis=0)),
        hairline=place(*points[HAIRLINE]),
        yaw=round(mesh.yaw, 1),
        pitch=round(mesh.pitch, 1),
        roll=round(math.degrees(math.atan2(across[1], across[0])), 1),
        mouth_open=round(float(np.hypot(*lips) / max(1e-6, np.hypot(*across))), 3),
    )


def square_around(points: Floats) -> Square:
    """Return the square that contains the mesh, turned by the line of its eyes."""
    across = points[LEFT_EYE[0]] - points[RIGHT_EYE[0]]
    angle = math.atan2(across[1], across[0])
    along = np.array([math.cos(angle), math.sin(angle)])
    axes = np.stack([along, [-along[1], along[0]]])
    upright = points @ axes.T
    low, high = upright.min(axis=0), upright.max(axis=0)
    center = (low + high) / 2 @ axes
    return Square(
        center=(float(center[0]), float(center[1])),
        side=max(1.0, FACE_MARGIN * float(max(high - low))),
        angle=angle,
    )


def square_around_eye(points: Floats, eye: tuple[int, int], *, side: float) -> Square:
    """Return the square around an eye, turned by the line of its corners.

    points: of a mesh; eye: RIGHT_EYE or LEFT_EYE; side: in lengths of the eye.
    """
    outer, inner = points[eye[0]], points[eye[1]]
    start, end = (outer, inner) if eye == RIGHT_EYE else (inner, outer)
    return Square(
        center=(float(outer[0] + inner[0]) / 2, float(outer[1] + inner[1]) / 2),
        side=max(1.0, side * float(np.linalg.norm(end - start))),
        angle=math.atan2(end[1] - start[1], end[0] - start[0]),
    )


def _square_of(face: Face) -> Square:
    left, top, width, height = face.box
    right_eye, left_eye = face.landmarks[:2]
    return Square(
        center=(left + width / 2, top + height / 2),
        side=max(1.0, FACE_MARGIN * max(width, height)),
        angle=math.atan2(left_eye[1] - right_eye[1], left_eye[0] - right_eye[0]),
    )


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, logit))))


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
