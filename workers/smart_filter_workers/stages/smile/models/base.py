"""Interfaces of the two kinds of models of the smile stage, and models by points of a network."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.rating import SmileLevel
from smart_filter_shared.results import Smile
from smart_filter_wire.findings import Eyes
from smart_filter_workers.networks.faces.eye_contours import EyeContour, EyeContourNetwork
from smart_filter_workers.networks.faces.face_mesh import LEFT_EYE, RIGHT_EYE, FaceMesh, FaceView
from smart_filter_workers.stages.smile.eye_visibility import check_visibility

# Below this presence the points of a mesh are arbitrary.
_NO_FACE_BELOW: Final = 0.1
# Least score of each level, the highest first.
LevelThresholds = Sequence[tuple[float, SmileLevel]]


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
    measure: Callable[[NDArray[np.float32]], float]
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
