"""Open eyes by how far the lids are apart, over how long the eye is."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.cards import ModelCard, TaskName
from smart_filter_workers.networks.face_mesh import (
    EYE_WEIGHTS,
    LEFT_EYE,
    MESH_WEIGHTS,
    RIGHT_EYE,
    EyeContours,
    FaceMesh,
    FaceView,
    Mesh,
)
from smart_filter_workers.results import Eyes, Srgb8
from smart_filter_workers.stages.smile.models.base import EyeReader

CARD: Final = ModelCard(
    name="eyelids",
    version="1",
    task=TaskName.EYES,
    family="eyelids",
    title="Aspect ratio of the eyelids",
    source="mediapipe 0.10.21, modules/face_landmark and modules/iris_landmark;"
    " Ablavatski et al. 2020",
    licence="Apache-2.0",
    data_terms="weights: unknown to us; two thresholds: chosen on CEW (research use) and"
    " Eye-State-Detection (none stated)",
    default=True,
    weights=(MESH_WEIGHTS, EYE_WEIGHTS),
    input_size=(192, 192),
    # 224 sharp crops of eyes, and 500 of 24 × 24 pixels, unknown counted as not open.
    quality={"accuracy": 0.982, "accuracy_24px": 0.762},
)

# In sharp crops of eyes 95 of 100 closed ones are below 0.16 and 95 of 100 open ones above
# 0.21; in crops of 24 pixels the two overlap. Between the thresholds nothing is said.
SHUT_BELOW: Final = 0.15
OPEN_ABOVE: Final = 0.17
# Fewer pixels from corner to corner show no lids.
SHORTEST_EYE_PX: Final = 8
# In a profile the far eye is short, and hidden behind the nose.
SHORTEST_OF_OTHER: Final = 0.5
NO_FACE_BELOW: Final = 0.5
# Along each lid of the contour, without the corners that the lids share.
LOWER_LID: Final = slice(1, 8)
UPPER_LID: Final = slice(9, 16)
CORNERS: Final = (0, 8)


def load(weights: Path) -> EyeReader:
    """Load the face mesh and the eye contours from the weights folder."""
    return _Eyelids(FaceMesh(weights), EyeContours(weights))


@dataclass(frozen=True, slots=True)
class _Eyelids:
    face_mesh: FaceMesh
    eye_contours: EyeContours

    def __call__(self, faces: Sequence[FaceView]) -> list[Eyes]:
        """Return the eyes of each face; None for what is too small or turned away."""
        return [self._read(face) for face in faces]

    def _read(self, face: FaceView) -> Eyes:
        mesh = face.mesh(self.face_mesh)
        if mesh.presence < NO_FACE_BELOW:
            return Eyes(left_open=None, right_open=None)
        left, right = _length_px(mesh, LEFT_EYE), _length_px(mesh, RIGHT_EYE)
        shortest = max(SHORTEST_EYE_PX, SHORTEST_OF_OTHER * max(left, right))
        return Eyes(
            left_open=self._is_open(face.picture, mesh, LEFT_EYE) if left >= shortest else None,
            right_open=self._is_open(face.picture, mesh, RIGHT_EYE) if right >= shortest else None,
        )

    def _is_open(self, picture: Srgb8, mesh: Mesh, eye: tuple[int, int]) -> bool | None:
        return verdict(openness(self.eye_contours(picture, mesh, eye)))


def openness(contour: NDArray[np.float32]) -> float:
    """Return how far the lids are apart on average, over the distance of their corners.

    contour: (71, 2) float32 in any unit, as EyeContours draws it.
    Source: after Soukupová & Čech 2016, "Real-time eye blink detection", equation 1.
    """
    gaps = np.linalg.norm(contour[LOWER_LID] - contour[UPPER_LID], axis=1)
    length = np.linalg.norm(contour[CORNERS[0]] - contour[CORNERS[1]])
    return float(gaps.mean() / max(float(length), 1e-6))


def verdict(openness: float) -> bool | None:
    """Return whether an eye is open; None where that cannot be told."""
    if openness > OPEN_ABOVE:
        return True
    return False if openness < SHUT_BELOW else None


def _length_px(mesh: Mesh, eye: tuple[int, int]) -> float:
    return float(np.linalg.norm(mesh.points[eye[0]] - mesh.points[eye[1]]))
