"""BlazeFace on the whole picture, and on tiles of it at 640 pixels."""

from pathlib import Path
from typing import Final

from smart_filter_shared.catalog.model_card import Commercial, ModelCard
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.networks.faces import blazeface
from smart_filter_workers.networks.faces.blazeface import BlazeFace
from smart_filter_workers.networks.runtimes.litert import MEDIAPIPE_DATA_TERMS
from smart_filter_workers.stages.face.models.base import FaceDetector
from smart_filter_workers.stages.face.models.centerface import NearOrSearched

CARD: Final = ModelCard(
    name="blazeface",
    version="1",
    task=TaskName.FACE,
    family="centerface",
    title="BlazeFace on tiles at 640 pixels",
    source=blazeface.SOURCE,
    license="Apache-2.0",
    data_terms=MEDIAPIPE_DATA_TERMS,
    commercial=Commercial.YES,
    stands_in=True,
    weights=blazeface.WEIGHTS,
    # 90 web photos, matched at IoU 0.4.
    quality={"precision": 0.955, "recall": 0.900, "f1": 0.926},
)
LONGEST_SIDE_PX: Final = 640


def load(weights: Path) -> FaceDetector:
    """Load the detector from the weights folder."""
    return NearOrSearched(
        BlazeFace(weights, longest_side_px=LONGEST_SIDE_PX, threshold=blazeface.THRESHOLD)
    )
