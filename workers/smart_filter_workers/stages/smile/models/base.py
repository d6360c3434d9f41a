"""Interfaces of the two kinds of models of the smile stage, and models by points of a network.

Which eyes of a face can be judged: large enough, in the picture, not turned away or covered.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from smart_filter_shared.rating import SmileLevel
from smart_filter_shared.results import Smile
from smart_filter_wire.findings import Eyes
from smart_filter_workers.networks.faces.eyes import EyeContour, EyeContourNetwork
from smart_filter_workers.networks.faces.face_mesh import (
    LEFT_EYE,
    RIGHT_EYE,
    FaceMesh,
    FaceView,
    Mesh,
    square_around,
)
from smart_filter_workers.results import Floats, Srgb8

# Below this presence the points of a mesh are arbitrary.
_NO_FACE_BELOW: Final = 0.1
# Least score of each level, the highest first.
LevelThresholds = Sequence[tuple[float, SmileLevel]]

NO_FACE_BELOW: Final = 0.5
# An eye with fewer pixels from corner to corner shows no lids.
MIN_EYE_PX: Final = 8
# When a head turns, its far eye becomes short and hides behind the nose.
MIN_EYE_RATIO: Final = 0.5
# Width and height of the face in pixels when skin is compared: small enough that one pixel is a
# patch of skin.
SKIN_SIZE_PX: Final = 96
# Points of the mesh below each eye, where glasses reach, and on the cheek, which they do not reach.
BELOW_RIGHT_EYE: Final = (110, 24, 23, 22, 26, 228, 229, 230, 231, 232)
BELOW_LEFT_EYE: Final = (339, 254, 253, 252, 256, 448, 449, 450, 451, 452)
RIGHT_CHEEK: Final = (50, 205, 36, 187, 101)
LEFT_CHEEK: Final = (280, 425, 266, 411, 330)
NOSE_TIP: Final = 1
# Source of the weights of red, green and blue: Rec. 601, luma.
LUMA: Final = (0.299, 0.587, 0.114)
# HUE: a difference of hue counts half of one of lightness. BLACK keeps the logarithm finite.
HUE: Final = 0.5
BLACK: Final = 4.0
# Of 720 faces in portraits 33 wear dark glasses: 32 of them are above this, and so are nine others,
# whose eyes are in shadow.
DARK_ABOVE: Final = 0.65


class SmileRater(Protocol):
    """Rates how much each face smiles; safe to call from several threads."""

    def __call__(self, faces: Sequence[FaceView], /) -> Sequence[Smile]:
        """Return the smile of each face, in the same order."""
        ...


class EyeReader(Protocol):
    """Reads whether the eyes of each face are open; safe to call from several threads."""

    def __call__(self, faces: Sequence[FaceView], /) -> Sequence[Eyes]:
        """Return the eyes of each face, in the same order."""
        ...


@dataclass(frozen=True, slots=True)
class MeshSmileRater:
    """Rates smiles by the points of the face mesh.

    measure: returns the score, 0..1, of a face's points, (468, 2) float32.
    """

    network: FaceMesh
    measure: Callable[[Floats], float]
    thresholds: LevelThresholds

    def __call__(self, faces: Sequence[FaceView]) -> list[Smile]:
        """Return the smile of each face; a face whose points are not found does not smile."""
        return [self._rate(face) for face in faces]

    def _rate(self, face: FaceView) -> Smile:
        mesh = face.mesh(self.network)
        if mesh.presence < _NO_FACE_BELOW:
            return Smile(SmileLevel.NONE, 0.0)
        score = self.measure(mesh.points)
        return Smile(to_level(score, self.thresholds), score)


@dataclass(frozen=True, slots=True)
class ContourEyeReader:
    """Reads eyes by the contours of their lids and irises.

    judge: returns whether an eye is open, None if unknown, by its contour, its mirror image's, and
    whether the face wears dark glasses or is in shadow.
    """

    face_mesh: FaceMesh
    eye_contours: EyeContourNetwork
    judge: Callable[[EyeContour, EyeContour, bool], bool | None]

    def __call__(self, faces: Sequence[FaceView]) -> list[Eyes]:
        """Return the eyes of each face; None for one too small, turned away or covered."""
        return [self._read_eyes(face) for face in faces]

    def _read_eyes(self, face: FaceView) -> Eyes:
        mesh = face.mesh(self.face_mesh)
        sight = check_visibility(face.picture, mesh)
        read = {
            eye: self.judge(*self.eye_contours(face.picture, mesh, eye), sight.dark)
            for eye, is_seen in ((RIGHT_EYE, sight.right), (LEFT_EYE, sight.left))
            if is_seen
        }
        return Eyes(left_open=read.get(LEFT_EYE), right_open=read.get(RIGHT_EYE))


def to_level(score: float, thresholds: LevelThresholds) -> SmileLevel:
    """Return the level of a score of 0..1."""
    return next((level for least, level in thresholds if score >= least), SmileLevel.NONE)


@dataclass(frozen=True, slots=True)
class EyeVisibility:
    """The eyes of a face that can be judged.

    right, left: whether that eye of the person can be judged; dark: whether both are behind dark
    glasses, or in a shadow that looks like them.
    """

    right: bool
    left: bool
    dark: bool


def check_visibility(picture: Srgb8, mesh: Mesh) -> EyeVisibility:
    """Return which eyes of the face can be judged.

    picture: (H, W, 3) uint8 sRGB; mesh: of a face in it.
    """
    if mesh.presence < NO_FACE_BELOW or is_profile(mesh):
        return EyeVisibility(right=False, left=False, dark=False)
    right, left = _length_px(mesh, RIGHT_EYE), _length_px(mesh, LEFT_EYE)
    shortest = max(MIN_EYE_PX, MIN_EYE_RATIO * max(right, left))
    return EyeVisibility(
        right=right >= shortest and _is_inside(picture, mesh, RIGHT_EYE),
        left=left >= shortest and _is_inside(picture, mesh, LEFT_EYE),
        dark=measure_darkness(picture, mesh) > DARK_ABOVE,
    )


def is_profile(mesh: Mesh) -> bool:
    """Return whether the tip of the nose is beyond the outer corner of an eye."""
    start, end = mesh.points[RIGHT_EYE[0]], mesh.points[LEFT_EYE[0]]
    across = end - start
    along = float((mesh.points[NOSE_TIP] - start) @ across)
    return not 0 <= along <= float(across @ across)


def measure_darkness(picture: Srgb8, mesh: Mesh) -> float:
    """Return how much the skin below the eyes differs from the cheeks: 0 alike, 1 dark glass.

    picture: (H, W, 3) uint8 sRGB; mesh: of a face in it.  The lighter eye counts, because a shadow
    often covers one. The measure is the drop of the logarithm of luma from cheek to eye, plus half
    the spread of that drop over red, green and blue.
    """
    square = square_around(mesh.points)
    part, there = square.near(picture)
    skin = np.log(there.cut(part, SKIN_SIZE_PX) * 255 + BLACK)
    points = square.to_cut(mesh.points, SKIN_SIZE_PX)
    return min(
        _fall(_skin_at(skin, points, cheek) - _skin_at(skin, points, below))
        for below, cheek in ((BELOW_RIGHT_EYE, RIGHT_CHEEK), (BELOW_LEFT_EYE, LEFT_CHEEK))
    )


def _fall(by_channel: Floats) -> float:
    return max(0.0, float(by_channel @ np.array(LUMA))) + HUE * float(np.ptp(by_channel))


def _skin_at(skin: Floats, points: Floats, indices: tuple[int, ...]) -> Floats:
    """Return the median color of some points, (3,) float32."""
    columns, rows = np.clip(np.round(points[list(indices)]), 0, SKIN_SIZE_PX - 1).astype(int).T
    return np.asarray(np.median(skin[rows, columns], axis=0), dtype=np.float32)


def _length_px(mesh: Mesh, eye: tuple[int, int]) -> float:
    return float(np.linalg.norm(mesh.points[eye[0]] - mesh.points[eye[1]]))


def _is_inside(picture: Srgb8, mesh: Mesh, eye: tuple[int, int]) -> bool:
    corners = mesh.points[list(eye)]
    height, width = picture.shape[:2]
    return bool((corners >= 0).all() and (corners <= (width, height)).all())
