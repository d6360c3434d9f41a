"""Smiles by how far the mouth has moved from rest toward a mean smile, both as published.

No number here was fitted to photos. The limits between levels were chosen by hand.
"""

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
from smart_filter_workers.stages.smile.models.geometry import (
    MOUTH_CORNERS,
    NOSE_BASE,
    UPPER_LIP,
)

CARD: Final = ModelCard(
    name="mouth",
    version="1",
    task=TaskName.SMILE,
    family="expression",
    title="Position of the mouth between rest and a mean smile",
    source="mediapipe 0.10.21, modules/face_landmark; Farkas 1994, Tarantili et al. 2005",
    license="Apache-2.0",
    data_terms=MEDIAPIPE_DATA_TERMS,
    commercial=Commercial.YES,
    stands_in=True,
    weights=(MESH_WEIGHTS,),
    input_size=(192, 192),
    # 3,504 crops of 48 × 48 pixels, FERPlus's public test part; auc: any smile against none.
    quality={
        "accuracy": 0.771,
        "macro_f1": 0.401,
        "kappa": 0.666,
        "auc": 0.886,
        "mae_levels": 0.388,
    },
)

# Lengths at rest in millimeters, means of young women and men: from outer corner to outer corner of
# the eyes, from corner to corner of the mouth, from the base of the nose to the lips' meeting and
# to the top of the upper lip.
# Source: Farkas 1994, "Anthropometry of the head and face", 2nd edition, norms of North American
# white young adults: ex-ex, ch-ch, sn-sto, sn-ls; not compared with the printed tables.
EYES_MM: Final = 89.5
MOUTH_MM: Final = 52.4
NOSE_TO_CORNERS_MM: Final = 21.2
NOSE_TO_LIP_MM: Final = 14.9
# A mean spontaneous smile: the mouth becomes wider by this share, its corners move up and out at
# this angle in degrees, and the upper lip rises by this share; here: of its height below the nose.
# Source: Tarantili, Halazonetis & Spyropoulos 2005, "The spontaneous smile in dynamic motion",
# abstract: 27 %, about 47°, 28 %; means of 15 children of 10.5 years on average.
WIDENING: Final = 0.27
CORNER_ANGLE: Final = 47.0
LIP_RISE: Final = 0.28

# The same in distances of the outer eye corners: width of the mouth, height of its corners and of
# the upper lip below the base of the nose; and their change from rest to a mean smile.
REST: Final = np.array([MOUTH_MM, NOSE_TO_CORNERS_MM, NOSE_TO_LIP_MM]) / EYES_MM
SMILE_PATH: Final = np.array(
    [
        WIDENING * REST[0],
        -np.tan(np.radians(CORNER_ANGLE)) * WIDENING * REST[0] / 2,
        -LIP_RISE * REST[2],
    ]
)
# Least score of each level: quarters of the way to a mean smile, chosen by hand.
LEVEL_THRESHOLDS: Final = (
    (0.75, SmileLevel.HUGE),
    (0.50, SmileLevel.MODERATE),
    (0.25, SmileLevel.MILD),
)


def load(weights: Path) -> SmileRater:
    """Load the face mesh from the weights folder."""
    return MeshSmileRater(FaceMesh(weights), measure_smile, LEVEL_THRESHOLDS)


def measure_smile(points: NDArray[np.float32]) -> float:
    """Return the share of the way from rest to a mean smile, 0..1.

    points: (468, 2) float32 in any unit, x to the right and y down.  The share is the nearest place
    on the straight path between the two (least squares).
    """
    across = points[LEFT_EYE[0]] - points[RIGHT_EYE[0]]
    unit = max(float(np.linalg.norm(across)), 1e-6)
    down = np.array([-across[1], across[0]]) / unit
    right_corner, left_corner = (points[index] for index in MOUTH_CORNERS)
    below_nose = [(right_corner + left_corner) / 2, points[UPPER_LIP]] - points[NOSE_BASE]
    width = np.linalg.norm(right_corner - left_corner)
    moved = np.array([width, *(below_nose @ down)]) / unit - REST
    return float(np.clip(moved @ SMILE_PATH / (SMILE_PATH @ SMILE_PATH), 0, 1))
