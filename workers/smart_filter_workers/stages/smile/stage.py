"""Smile stage: rate how much each face smiles, and read whether its eyes are open."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from smart_filter_shared.results import Faces, Smiles
from smart_filter_workers.networks.coordinates import to_proxy
from smart_filter_workers.networks.faces.face_mesh import FaceView
from smart_filter_workers.results import PreparedPhoto
from smart_filter_workers.stages.smile.models.base import EyeReader, SmileRater


class Models(TypedDict):
    """The models of this stage, by task."""

    smile: SmileRater
    eyes: EyeReader


@dataclass(frozen=True, slots=True)
class Inputs:
    """The stage's inputs for one job."""

    prepared: PreparedPhoto
    faces: Faces


def run(models: Models, batch: Sequence[Inputs]) -> list[Smiles]:
    """Return smile and eyes of every face; each model gets the faces of all photos at once."""
    views = [
        FaceView(inputs.prepared.proxy_srgb, to_proxy(face, inputs.prepared))
        for inputs in batch
        for face in inputs.faces.faces
    ]
    smiles, eyes = iter(models["smile"](views)), iter(models["eyes"](views))
    return [
        Smiles(
            smiles=tuple(next(smiles) for _ in inputs.faces.faces),
            eyes=tuple(next(eyes) for _ in inputs.faces.faces),
        )
        for inputs in batch
    ]
