"""Smiles by the shape of the mouth in 468 points: wide, corners high, not merely open."""

import math
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.catalog.model_card import Commercial, ModelCard
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.rating import SmileLevel
from smart_filter_workers.networks.faces.face_mesh import (
    LEFT_EYE,
    MESH_WEIGHTS,
    RIGHT_EYE,
    FaceMesh,
)
from smart_filter_workers.networks.runtimes.litert import MEDIAPIPE_DATA_TERMS
from smart_filter_workers.stages.smile.models.base import MeshSmileRater, SmileRater

CARD: Final = ModelCard(
    name="geometry",
    version="1",
    task=TaskName.SMILE,
    family="geometry",
    title="Shape of the mouth in the face mesh",
    source="mediapipe 0.10.21, modules/face_landmark; Kartynnik et al. 2019",
    license="Apache-2.0",
    data_terms=f"weights: {MEDIAPIPE_DATA_TERMS}; the five numbers and three cuts: fitted to 9,000"
    " crops of FERPlus (labels MIT, FER2013 pixels without stated terms)",
    commercial=Commercial.NO,
    weights=(MESH_WEIGHTS,),
    input_size=(192, 192),
    # 3,504 crops of 48 × 48 pixels, FERPlus's public test part; auc: any smile against none.
    quality={
        "accuracy": 0.817,
        "macro_f1": 0.462,
        "kappa": 0.745,
        "auc": 0.918,
        "mae_levels": 0.328,
    },
    # One photo of 512 pixels, as `models bench` measures.
    speed={"cpu_ms": 2.6, "peak_mb": 93.0},
)

# Corners of the mouth, middles of the lips' inner edges, top of the upper lip, base of the nose.
MOUTH_CORNERS: Final = (61, 291)
INNER_LIPS: Final = (13, 14)
UPPER_LIP: Final = 0
NOSE_BASE: Final = 2

# Share of raters who see happiness, as a logistic function of lengths divided by the distance of
# the outer eye corners; least deviance on 9,000 crops of FERPlus's training part.
WIDTH_WEIGHT: Final = 22.08
LIFT_WEIGHT: Final = 9.86
# An open mouth alone is surprise: it raises the corners above the middle of the lips.
OPENING_WEIGHT: Final = -3.08
LIP_TO_NOSE_WEIGHT: Final = -25.21
BIAS: Final = -10.35
# Least score of each level. On the same crops other cuts gain at most 0.01 in kappa and call more
# straight faces mild.
LEVEL_THRESHOLDS: Final = (
    (0.65, SmileLevel.HUGE),
    (0.50, SmileLevel.MODERATE),
    (0.35, SmileLevel.MILD),
)


def load(weights: Path) -> SmileRater:
    """Load the face mesh from the weights folder."""
    return MeshSmileRater(FaceMesh(weights), predict_happiness, LEVEL_THRESHOLDS)


def predict_happiness(points: NDArray[np.float32]) -> float:
    """Return the predicted share of raters, 0..1, who would call the face happy.

    points: (468, 2) float32 in any unit, x to the right and y down.
    """
    across = points[LEFT_EYE[0]] - points[RIGHT_EYE[0]]
    unit = max(float(np.linalg.norm(across)), 1e-6)
    down = np.array([-across[1], across[0]]) / unit
    right_corner, left_corner = (points[index] for index in MOUTH_CORNERS)
    upper_lip, lower_lip = (points[index] for index in INNER_LIPS)
    width = np.linalg.norm(right_corner - left_corner) / unit
    opening = np.linalg.norm(upper_lip - lower_lip) / unit
    lift = ((upper_lip + lower_lip) / 2 - (right_corner + left_corner) / 2) @ down / unit
    lip_to_nose = (points[UPPER_LIP] - points[NOSE_BASE]) @ down / unit
    logit = (
        WIDTH_WEIGHT * width
        + LIFT_WEIGHT * lift
        + OPENING_WEIGHT * opening
        + LIP_TO_NOSE_WEIGHT * lip_to_nose
        + BIAS
    )
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, float(logit)))))
