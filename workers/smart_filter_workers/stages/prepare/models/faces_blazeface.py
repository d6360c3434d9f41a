"""Orientation by faces that BlazeFace finds."""

from pathlib import Path
from typing import Final

from smart_filter_shared.catalog.model_card import Commercial, ModelCard
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.networks.faces import blazeface
from smart_filter_workers.networks.orientation import FaceOrientation
from smart_filter_workers.networks.runtimes.litert import MEDIAPIPE_DATA_TERMS
from smart_filter_workers.stages.prepare.models.base import OrientationReader
from smart_filter_workers.stages.prepare.models.faces import FaceOrientationReader

CARD: Final = ModelCard(
    name="faces-blazeface",
    version="1",
    task=TaskName.ORIENTATION,
    family="faces",
    title="The quarter turn at which BlazeFace is surest of an upright face",
    source=blazeface.SOURCE,
    license="Apache-2.0",
    data_terms=MEDIAPIPE_DATA_TERMS,
    commercial=Commercial.YES,
    stands_in=True,
    weights=blazeface.WEIGHTS,
    # 90 web photos with faces, turned by every quarter, and 70 others.
    quality={"accuracy_with_faces": 0.955, "harmed": 0.0},
)


def load(weights: Path) -> OrientationReader:
    """Load the detector from the weights folder."""
    return FaceOrientationReader(FaceOrientation.by_blazeface(weights))
