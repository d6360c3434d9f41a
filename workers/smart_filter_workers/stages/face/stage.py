"""Face stage: find every face of a photo, from left to right."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from smart_filter_shared.results import Face, Faces
from smart_filter_workers.networks.coordinates import to_photo, to_proxy
from smart_filter_workers.results import PreparedPhoto
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
    photos = [inputs.prepared for inputs in batch]
    faces_by_photo = models["face"](
        [photo.proxy_srgb for photo in photos],
        [tuple(to_proxy(face, photo) for face in photo.proposals) for photo in photos],
    )
    return [
        Faces(tuple(sorted((to_photo(face, photo) for face in faces), key=_middle)))
        for faces, photo in zip(faces_by_photo, photos, strict=True)
    ]


def _middle(face: Face) -> float:
    left, _, width, _ = face.box
    return left + width / 2
