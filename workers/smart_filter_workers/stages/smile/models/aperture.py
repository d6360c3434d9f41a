"""Open eyes by the distance of the lids: the eye aspect ratio, with a usual limit.

No number here was fitted to photos.
"""

from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.catalog.model_card import Commercial, ModelCard
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.networks.faces import eyes
from smart_filter_workers.networks.faces.eyes import EyeContour, EyeContourNetwork
from smart_filter_workers.networks.faces.face_mesh import MESH_WEIGHTS, FaceMesh
from smart_filter_workers.networks.runtimes.litert import MEDIAPIPE_DATA_TERMS
from smart_filter_workers.stages.smile.models.base import ContourEyeReader, EyeReader

CARD: Final = ModelCard(
    name="aperture",
    version="1",
    task=TaskName.EYES,
    family="lids",
    title="Distance of the lids",
    source="mediapipe 0.10.21, modules/face_landmark and modules/iris_landmark; Soukupová & Čech"
    " 2016, Real-time eye blink detection",
    license="Apache-2.0",
    data_terms=MEDIAPIPE_DATA_TERMS,
    commercial=Commercial.YES,
    stands_in=True,
    weights=(MESH_WEIGHTS, eyes.WEIGHTS),
    input_size=(64, 64),
    # 224 sharp crops of eyes, and 500 of 24 × 24 pixels.
    quality={"accuracy": 0.991, "accuracy_24px": 0.806},
)

# Points of the upper and the lower lid that face each other, at a third and two thirds of the eye's
# length, and its corners. Source: Soukupová & Čech 2016, figure 1.
LID_PAIRS: Final = ((11, 3), (13, 5))
CORNERS: Final = (0, 8)
# An eye with a lower aspect ratio is shut. The paper has no such limit, its classifier reads the
# course of the ratio. Chosen by hand: the lower end of the usual limits, "typically between 0.2 and
# 0.25" (preprints.org 202410.0131, section 2.2).
OPEN_ABOVE: Final = 0.2


def load(weights: Path) -> EyeReader:
    """Load the face mesh and the eye contours from the weights folder."""
    return ContourEyeReader(FaceMesh(weights), EyeContourNetwork(weights), _judge)


def _judge(contour: EyeContour, mirrored: EyeContour, is_dark: bool) -> bool | None:  # noqa: FBT001 - the reader calls it
    # Behind dark glasses the network's points are arbitrary.
    return None if is_dark else aspect_ratio(contour, mirrored) > OPEN_ABOVE


def aspect_ratio(contour: EyeContour, mirrored: EyeContour) -> float:
    """Return the mean distance of the lids, in lengths of the eye.

    The mean of an eye's contour and its mirror image's, in the same unit and axes.
    Source: Soukupová & Čech 2016, equation 1.
    """
    lids = (contour.lids + mirrored.lids) / 2
    length = max(float(np.linalg.norm(lids[CORNERS[0]] - lids[CORNERS[1]])), 1e-6)
    return float(np.mean([np.linalg.norm(lids[up] - lids[low]) for up, low in LID_PAIRS])) / length
