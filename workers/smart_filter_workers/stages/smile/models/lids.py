"""Open eyes by a small network on a gray patch around each eye, all eyes in one pass."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.catalog.model_card import Commercial, ModelCard
from smart_filter_shared.pipeline import TaskName
from smart_filter_wire.findings import Eyes
from smart_filter_workers.networks.faces import eyes
from smart_filter_workers.networks.faces.eyes import EyePatchNetwork, EyeThresholds, crop_eye
from smart_filter_workers.networks.faces.face_mesh import (
    LEFT_EYE,
    MESH_WEIGHTS,
    RIGHT_EYE,
    FaceMesh,
    FaceView,
    square_around_eye,
)
from smart_filter_workers.networks.runtimes.litert import MEDIAPIPE_DATA_TERMS
from smart_filter_workers.results import Floats
from smart_filter_workers.stages.smile.models.base import EyeReader, check_visibility

CARD: Final = ModelCard(
    name="lids",
    version="1",
    task=TaskName.EYES,
    family="lids",
    title="Small network on a gray patch around each eye",
    source="trained by smart_filter_training.models.eyes; mediapipe 0.10.21, modules/face_landmark",
    license="Apache-2.0",
    data_terms=f"mesh: {MEDIAPIPE_DATA_TERMS}; patches: CEW (research use) and Eye-State-Detection"
    " (none stated)",
    commercial=Commercial.NO,
    default=True,
    weights=(MESH_WEIGHTS, eyes.PATCH_WEIGHTS),
    learns=eyes.PATCH_WEIGHTS.name,
    input_size=(eyes.PATCH_PX, eyes.PATCH_PX),
    # 224 sharp crops of eyes, and 500 of 24 × 24 pixels, unknown counted as not open.
    quality={"accuracy": 1.0, "accuracy_24px": 0.968},
    # Two eyes of a face whose mesh the smile model has already made.
    speed={"cpu_ms": 1.8},
)
# Behind dark glasses the network sees an eye where there is glass, with a lower score. Of 293 such
# eyes of training photos 37 score above this, and two or three of those are wrong.
DARK_CUTS: Final = EyeThresholds(shut_below=0, open_above=0.982)


def load(weights: Path) -> EyeReader:
    """Load the face mesh and the network from the weights folder."""
    content = (weights / eyes.PATCH_WEIGHTS.name).read_bytes()
    return _Lids(FaceMesh(weights), EyePatchNetwork(content))


@dataclass(frozen=True, slots=True)
class _VisibleEye:
    """An eye that can be judged: its face's index, its corners, its patch, whether it is dark."""

    face: int
    eye: tuple[int, int]
    patch: Floats
    in_the_dark: bool


@dataclass(frozen=True, slots=True)
class _Lids:
    face_mesh: FaceMesh
    eye_patches: EyePatchNetwork

    def __call__(self, faces: Sequence[FaceView]) -> list[Eyes]:
        """Return the eyes of each face; None for one too small, turned away or covered."""
        seen = [
            eye_view for index, face in enumerate(faces) for eye_view in self._seen(index, face)
        ]
        is_open: dict[tuple[int, tuple[int, int]], bool | None] = {}
        if seen:
            openness = self.eye_patches(np.stack([eye_view.patch for eye_view in seen])).tolist()
            is_open = {
                (eye_view.face, eye_view.eye): (
                    DARK_CUTS if eye_view.in_the_dark else self.eye_patches.cuts
                ).judge(value)
                for eye_view, value in zip(seen, openness, strict=True)
            }
        return [
            Eyes(
                left_open=is_open.get((index, LEFT_EYE)), right_open=is_open.get((index, RIGHT_EYE))
            )
            for index in range(len(faces))
        ]

    def _seen(self, index: int, face: FaceView) -> list[_VisibleEye]:
        mesh = face.mesh(self.face_mesh)
        sight = check_visibility(face.picture, mesh)
        return [
            _VisibleEye(
                index,
                eye,
                crop_eye(face.picture, square_around_eye(mesh.points, eye, side=eyes.PATCH_MARGIN)),
                sight.dark,
            )
            for eye, is_seen in ((RIGHT_EYE, sight.right), (LEFT_EYE, sight.left))
            if is_seen
        ]
