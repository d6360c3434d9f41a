"""Sight: the models that look at frames, loaded once for all connections of a process.

They are those of the pipeline, the light ones, and run by the stages' own code.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from smart_filter_shared.cards import TaskName
from smart_filter_workers import memory, weights
from smart_filter_workers.catalogue import Catalogue
from smart_filter_workers.loaded import LoadedModels
from smart_filter_workers.networks.centerface import CenterFace
from smart_filter_workers.networks.selfie import SelfieNetworks
from smart_filter_workers.results import Faces, Prepared, Smiles, Srgb8
from smart_filter_workers.stages.composite.models.base import Compositor
from smart_filter_workers.stages.face import stage as face_stage
from smart_filter_workers.stages.face.models import centerface
from smart_filter_workers.stages.segmentation.closer import Floats, in_two_passes
from smart_filter_workers.stages.segmentation.models import selfie
from smart_filter_workers.stages.smile import stage as smile_stage

# Models see frames no larger than this.
LONGEST_SIDE_PX: Final = 640
# 640 pixels find smaller faces, and take 63 ms instead of 17.
FACES_SIDE_PX: Final = 320


@dataclass(frozen=True, slots=True)
class Seen:
    """The faces of a frame, in its pixels from left to right, and what each shows."""

    faces: Faces
    smiles: Smiles


@dataclass(frozen=True, slots=True)
class Sight:
    """Sees people and faces; any thread may ask."""

    people: SelfieNetworks
    faces: face_stage.Models
    smiles: smile_stage.Models
    compositor: Compositor

    def coverage(self, srgb: Srgb8) -> Floats:
        """Return how sure people are in each pixel, (H, W) float32 0..1; srgb: (H, W, 3) uint8."""
        return in_two_passes(self.people, srgb)

    def look(self, prepared: Prepared) -> Seen:
        """Return the faces of a frame, their smiles and eyes."""
        (faces,) = face_stage.run(self.faces, [face_stage.Inputs(prepared)])
        (smiles,) = smile_stage.run(self.smiles, [smile_stage.Inputs(prepared, faces)])
        return Seen(faces, smiles)


def load(catalogue: Catalogue, folder: Path) -> Sight:
    """Load the models from the weights folder; 0.3 s and 170 MB.

    Of smiles, eyes and compositing the default ones, so that what may not run here does not.
    Raises ModelNotLoaded, SetupFailed.
    """
    for card in (selfie.CARD, centerface.CARD):
        weights.verify(folder, card.weights)
    tasks = (TaskName.SMILE, TaskName.EYES, TaskName.COMPOSITE)
    names = {card.task: card.name for card in catalogue.cards if card.default}
    loaded = LoadedModels(catalogue, folder, room=memory.room(None))
    models = loaded.of({task: names[task] for task in tasks}, {})
    detector = CenterFace(folder, longest_side_px=FACES_SIDE_PX, threshold=centerface.THRESHOLD)
    return Sight(
        people=SelfieNetworks(folder),
        faces=face_stage.Models(face=detector),
        # What each task's models take and return is what their Protocols say.
        smiles=cast("smile_stage.Models", {task: models[task] for task in tasks[:2]}),
        compositor=cast("Compositor", models[TaskName.COMPOSITE]),
    )
