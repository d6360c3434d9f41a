"""Smile stage: rate how much each face smiles, read its eyes, and measure how well it is seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypedDict

from smart_filter_shared.results import FaceQuality, Faces, Smiles
from smart_filter_workers.measurements import measure_face, measure_turn
from smart_filter_workers.networks.coordinates import photo_per_proxy, to_proxy
from smart_filter_workers.networks.faces.face_mesh import FaceView, measure_head
from smart_filter_workers.results import PreparedPhoto
from smart_filter_workers.stages.smile.models.base import EyeReader, SmileRater

# Digits that are stored: smaller differences of a face are not visible.
_DIGITS: Final = 3
# JSON has no infinity, which is the turn of a face seen from the side.
_MOST_TURN: Final = 9.0


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
    views_left = iter(views)
    return [
        Smiles(
            smiles=tuple(next(smiles) for _ in inputs.faces.faces),
            eyes=tuple(next(eyes) for _ in inputs.faces.faces),
            qualities=tuple(
                _measure_quality(next(views_left), photo_per_proxy(inputs.prepared))
                for _ in inputs.faces.faces
            ),
        )
        for inputs in batch
    ]


def _measure_quality(view: FaceView, per_px: tuple[float, float]) -> FaceQuality:
    """Return how well a face of the proxy is seen.  per_px: pixels of the photo, along x and y."""
    turn = round(min(measure_turn(view.face), _MOST_TURN), _DIGITS)
    head = None if view.computed_mesh is None else measure_head(view.computed_mesh, per_px)
    measured = measure_face(view.picture, view.picture, view.face)
    if measured is None:
        return FaceQuality(turn=turn, head=head)
    levels = measured.levels
    return FaceQuality(
        turn=turn,
        blur_px=None if measured.blur_px is None else round(measured.blur_px, _DIGITS),
        grain=round(measured.grain, _DIGITS),
        brightest=round(levels.brightest, _DIGITS),
        clipped=round(levels.clipped, _DIGITS),
        head=head,
    )
