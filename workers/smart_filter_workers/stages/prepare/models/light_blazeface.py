"""Face proposals by BlazeFace on a very small picture."""

from pathlib import Path
from typing import Final

from smart_filter_shared.catalog.model_card import Commercial, ModelCard
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.networks.faces import blazeface
from smart_filter_workers.networks.faces.blazeface import BlazeFace
from smart_filter_workers.networks.runtimes.litert import MEDIAPIPE_DATA_TERMS
from smart_filter_workers.stages.prepare.models.base import LightDetector

CARD: Final = ModelCard(
    name="light-blazeface",
    version="1",
    task=TaskName.PREPARE,
    family="light",
    title="BlazeFace at 256 pixels",
    source=blazeface.SOURCE,
    license="Apache-2.0",
    data_terms=MEDIAPIPE_DATA_TERMS,
    commercial=Commercial.YES,
    stands_in=True,
    weights=blazeface.WEIGHTS,
)
LONGEST_SIDE_PX: Final = 256


def load(weights: Path) -> LightDetector:
    """Load the detector from the weights folder."""
    return BlazeFace(weights, longest_side_px=LONGEST_SIDE_PX, threshold=blazeface.THRESHOLD)
