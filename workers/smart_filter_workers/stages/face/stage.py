"""Face stage: find every face of a photo, from left to right."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from smart_filter_workers.networks.coordinates import to_photo
from smart_filter_workers.results import Face, Faces, PreparedPhoto
from smart_filter_workers.stages.face.models.base import FaceDetector


class Models(TypedDict):
    """The models of this stage, by task."""

    face: FaceDetector


@dataclass(frozen=True, slots=True)
class Inputs:
    """The stage's inputs for one job."""

    prepared: PreparedPhoto


def run(models: Models, batch: Sequence[Inputs]) -> list[Faces]:
    """Find the faces of each photo."""
    found = models["face"]([inputs.prepared.proxy_srgb for inputs in batch])
    return [
        Faces(tuple(sorted((to_photo(face, inputs.prepared) for face in faces), key=_middle)))
        for faces, inputs in zip(found, batch, strict=True)
    ]


def _middle(face: Face) -> float:
    left, _, width, _ = face.box
    return left + width / 2
