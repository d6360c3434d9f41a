"""Smile: how much each face smiles, and whether its eyes are open."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from smart_filter_workers.networks.coordinates import to_proxy
from smart_filter_workers.networks.face_mesh import FaceView
from smart_filter_workers.results import Faces, Prepared, Smiles
from smart_filter_workers.stages.smile.models.base import EyeReader, SmileRater


class Models(TypedDict):
    """The models of this stage, by task."""

    smile: SmileRater
    eyes: EyeReader


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the stage reads of one job."""

    prepared: Prepared
    faces: Faces


def run(models: Models, batch: Sequence[Inputs]) -> list[Smiles]:
    """Rate the smile and read the eyes of every face; both models see the faces of all photos."""
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
