"""Face stage: find every face of a photo, from left to right."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from smart_filter_shared.feedback.face_changes import FaceChanges
from smart_filter_shared.results import Face, Faces
from smart_filter_workers.networks.coordinates import to_photo, to_proxy
from smart_filter_workers.results import PreparedPhoto
from smart_filter_workers.stages.face.added_faces import measure_added_faces
from smart_filter_workers.stages.face.models.base import FaceDetector


class Models(TypedDict):
    """The models of this stage, by task."""

    face: FaceDetector


@dataclass(frozen=True, slots=True)
class Inputs:
    """The stage's inputs for one job; changes: of the faces, by users."""

    prepared: PreparedPhoto
    changes: FaceChanges = field(default_factory=FaceChanges)


def run(models: Models, batch: Sequence[Inputs]) -> list[Faces]:
    """Find the faces of each photo, and change them as users did."""
    photos = [inputs.prepared for inputs in batch]
    faces_by_photo = models["face"](
        [photo.proxy_srgb for photo in photos],
        [tuple(to_proxy(face, photo) for face in photo.proposals) for photo in photos],
    )
    return [
        Faces(tuple(sorted(_change_faces(models["face"], inputs, faces), key=_middle)))
        for faces, inputs in zip(faces_by_photo, batch, strict=True)
    ]


def _change_faces(detect: FaceDetector, inputs: Inputs, faces: Sequence[Face]) -> list[Face]:
    """Return the faces that count, in pixels of the photo; `faces` are in those of its proxy."""
    return [
        *inputs.changes.without_changed([to_photo(face, inputs.prepared) for face in faces]),
        *measure_added_faces(detect, inputs.prepared, inputs.changes.added),
    ]


def _middle(face: Face) -> float:
    left, _, width, _ = face.box
    return left + width / 2
