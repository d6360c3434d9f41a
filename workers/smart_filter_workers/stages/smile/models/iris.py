"""Open eyes by the lids and the iris: how high the upper lid is above the eye's corners."""

import math
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.catalog.model_card import Commercial, ModelCard
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.networks.faces import eyes
from smart_filter_workers.networks.faces.eyes import EyeContour, EyeContourNetwork, EyeThresholds
from smart_filter_workers.networks.faces.face_mesh import MESH_WEIGHTS, FaceMesh
from smart_filter_workers.networks.runtimes.litert import MEDIAPIPE_DATA_TERMS
from smart_filter_workers.stages.smile.models.base import ContourEyeReader, EyeReader

CARD: Final = ModelCard(
    name="iris",
    version="1",
    task=TaskName.EYES,
    family="iris",
    title="Height of the upper lid, and of the iris",
    source="mediapipe 0.10.21, modules/face_landmark and modules/iris_landmark;"
    " Ablavatski et al. 2020",
    license="Apache-2.0",
    data_terms=f"weights: {MEDIAPIPE_DATA_TERMS}; four numbers: fitted to CEW (research use) and"
    " Eye-State-Detection (none stated)",
    commercial=Commercial.NO,
    weights=(MESH_WEIGHTS, eyes.WEIGHTS),
    input_size=(64, 64),
    # 224 sharp crops of eyes, and 500 of 24 × 24 pixels, unknown counted as not open.
    quality={"accuracy": 1.0, "accuracy_24px": 0.920},
    # A photo of one face, its mesh included; 3.3 if the smile model has already made the mesh.
    speed={"cpu_ms": 5.6},
)

# Probability that an eye is open, as a logistic function of three lengths divided by the distance
# of its corners: least deviance on 932 sharp crops of eyes and 3,645 of 24 × 24 pixels, both sets
# with the same weight. The height of the upper lid alone separates all sharp crops and 91 in 100
# small ones; the distance between the lids, from one pass, separates 99 and 81 in 100.
LIFT_WEIGHT: Final = 98.89
# If the network draws an eye and its mirror image differently, it sees no lids.
DISAGREEMENT_WEIGHT: Final = -8.11
# A tall iris means that the corners were drawn too close together.
IRIS_WEIGHT: Final = -13.68
BIAS: Final = -1.65
# Between the two cuts the eye is not judged: one small crop in fourteen, no sharp one.
CUTS: Final = EyeThresholds(shut_below=0.27, open_above=0.62)
# Behind dark glasses the network's points are arbitrary; only a face in shadow scores this high.
DARK_CUTS: Final = EyeThresholds(shut_below=0, open_above=0.996)
# Points along the upper lid, without the corners, which both lids share.
UPPER_LID: Final = slice(9, 16)
CORNERS: Final = (0, 8)
TOP_OF_IRIS, BOTTOM_OF_IRIS = 2, 4


def load(weights: Path) -> EyeReader:
    """Load the face mesh and the eye contours from the weights folder."""
    return ContourEyeReader(FaceMesh(weights), EyeContourNetwork(weights), _judge)


def _judge(contour: EyeContour, mirrored: EyeContour, is_dark: bool) -> bool | None:  # noqa: FBT001 - the reader calls it
    return (DARK_CUTS if is_dark else CUTS).judge(predict_openness(contour, mirrored))


def predict_openness(contour: EyeContour, mirrored: EyeContour) -> float:
    """Return the probability, 0..1, that an eye is open, by its contour and its mirror image's.

    Both contours in the same unit and axes, their points in the same order.
    """
    lids, iris = (contour.lids + mirrored.lids) / 2, (contour.iris + mirrored.iris) / 2
    across = lids[CORNERS[1]] - lids[CORNERS[0]]
    length = max(float(np.linalg.norm(across)), 1e-6)
    up = np.array([across[1], -across[0]], np.float32) / length
    middle = (lids[CORNERS[0]] + lids[CORNERS[1]]) / 2
    lift = float(((lids[UPPER_LID] - middle) @ up).mean()) / length
    disagreement = _mean_length(contour.lids - mirrored.lids) / length
    height = float(np.linalg.norm(iris[TOP_OF_IRIS] - iris[BOTTOM_OF_IRIS])) / length
    logit = LIFT_WEIGHT * lift + DISAGREEMENT_WEIGHT * disagreement + IRIS_WEIGHT * height + BIAS
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, logit))))


def _mean_length(vectors: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(vectors, axis=1).mean())
