"""Open eyes by the lids and the iris: how high the upper lid stands above the corners."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.cards import ModelCard, TaskName
from smart_filter_workers.networks import eye_contours
from smart_filter_workers.networks.eye_contours import EyeContour, EyeContours
from smart_filter_workers.networks.face_mesh import (
    LEFT_EYE,
    MESH_WEIGHTS,
    RIGHT_EYE,
    FaceMesh,
    FaceView,
    Mesh,
)
from smart_filter_workers.results import Eyes, Srgb8
from smart_filter_workers.stages.smile.models.base import EyeReader
from smart_filter_workers.stages.smile.sight import sight_of

CARD: Final = ModelCard(
    name="iris",
    version="1",
    task=TaskName.EYES,
    family="iris",
    title="Height of the upper lid, and of the iris",
    source="mediapipe 0.10.21, modules/face_landmark and modules/iris_landmark;"
    " Ablavatski et al. 2020",
    licence="Apache-2.0",
    data_terms="weights: unknown to us; four numbers: fitted to CEW (research use) and"
    " Eye-State-Detection (none stated)",
    stands_in=True,
    weights=(MESH_WEIGHTS, eye_contours.WEIGHTS),
    input_size=(64, 64),
    # 224 sharp crops of eyes, and 500 of 24 × 24 pixels, unknown counted as not open.
    quality={"accuracy": 1.0, "accuracy_24px": 0.920},
    # A photo of one face, its mesh included; 3.3 where the smile has drawn it already.
    speed={"cpu_ms": 5.6},
)

# Whether an eye is open, as a logistic function of three lengths over the distance of its
# corners: least deviance on 932 sharp crops of eyes and 3,645 of 24 × 24 pixels, both sets
# weighing the same. The height of the upper lid alone parts all sharp crops and 91 in 100
# small ones; the distance between the lids, seen once, parts 99 and 81 in 100.
LIFT: Final = 98.89
# Where the network draws the mirror image of an eye otherwise it sees no lids.
DISAGREEMENT: Final = -8.11
# A tall iris means that the corners were drawn too near to one another.
IRIS: Final = -13.68
OFFSET: Final = -1.65
# In between nothing is said: one small crop in fourteen, no sharp one.
SHUT_BELOW: Final = 0.27
OPEN_ABOVE: Final = 0.62
# Behind dark glasses the network draws what it likes; only a face in shadow is so clear.
OPEN_IN_THE_DARK_ABOVE: Final = 0.996
# Along each lid, without the corners that the lids share.
LOWER_LID: Final = slice(1, 8)
UPPER_LID: Final = slice(9, 16)
CORNERS: Final = (0, 8)
TOP_OF_IRIS, BOTTOM_OF_IRIS = 2, 4


def load(weights: Path) -> EyeReader:
    """Load the face mesh and the eye contours from the weights folder."""
    return _Iris(FaceMesh(weights), EyeContours(weights))


@dataclass(frozen=True, slots=True)
class _Iris:
    face_mesh: FaceMesh
    eye_contours: EyeContours

    def __call__(self, faces: Sequence[FaceView]) -> list[Eyes]:
        """Return the eyes of each face; None for what is too small, turned away or covered."""
        return [self._read(face) for face in faces]

    def _read(self, face: FaceView) -> Eyes:
        mesh = face.mesh(self.face_mesh)
        sight = sight_of(face.picture, mesh)
        read = {
            eye: verdict(self._openness(face.picture, mesh, eye), in_the_dark=sight.dark)
            for eye, is_seen in ((RIGHT_EYE, sight.right), (LEFT_EYE, sight.left))
            if is_seen
        }
        return Eyes(left_open=read.get(LEFT_EYE), right_open=read.get(RIGHT_EYE))

    def _openness(self, picture: Srgb8, mesh: Mesh, eye: tuple[int, int]) -> float:
        return openness(*self.eye_contours(picture, mesh, eye))


def openness(contour: EyeContour, mirrored: EyeContour) -> float:
    """Return how likely an eye is open, 0..1, by what was drawn on it and on its mirror image.

    Both in the same unit and axes, the points in the same order.
    """
    lids, iris = (contour.lids + mirrored.lids) / 2, (contour.iris + mirrored.iris) / 2
    across = lids[CORNERS[1]] - lids[CORNERS[0]]
    length = max(float(np.linalg.norm(across)), 1e-6)
    up = np.array([across[1], -across[0]], np.float32) / length
    middle = (lids[CORNERS[0]] + lids[CORNERS[1]]) / 2
    lift = float(((lids[UPPER_LID] - middle) @ up).mean()) / length
    disagreement = _mean_length(contour.lids - mirrored.lids) / length
    height = float(np.linalg.norm(iris[TOP_OF_IRIS] - iris[BOTTOM_OF_IRIS])) / length
    logit = LIFT * lift + DISAGREEMENT * disagreement + IRIS * height + OFFSET
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, logit))))


def verdict(openness: float, *, in_the_dark: bool) -> bool | None:
    """Return whether an eye is open; None where that cannot be told."""
    if in_the_dark:
        return True if openness > OPEN_IN_THE_DARK_ABOVE else None
    if openness > OPEN_ABOVE:
        return True
    return False if openness < SHUT_BELOW else None


def _mean_length(vectors: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(vectors, axis=1).mean())
